/** B9: how what consumers have received gets into the broker's records: rarely, never back, and bounded. */
import { type Broker, createMemoryCluster, type MemoryCluster, type Records } from "@tidewire/broker";
import { beforeEach, describe, expect, it } from "vitest";
import { decodeCursor, encodeCursor } from "../../src/durable/cursor.ts";
import { type Consumer, Received, type ReceivedOptions } from "../../src/durable/received.ts";
import { afterwards } from "../client.ts";

const KEY = "durable:ann:phone";
const EXPIRY_MS = 1_000_000;

let nowMs: number;
let cluster: MemoryCluster;
let broker: Broker;
/** The present epoch of the consumer's channel. */
let epoch: string;
let timer: (() => void) | undefined;
let writes: number;
let failures: unknown[];
/** Stands before each write; may throw, or wait. */
let gate: () => unknown;

beforeEach(async () => {
	nowMs = 0;
	cluster = createMemoryCluster({ now: () => nowMs, every: () => () => {} });
	afterwards(() => cluster.close());
	broker = cluster.node();
	epoch = (await broker.read("news", { after: 0, limit: 0 })).epoch;
	// So that the log stays.
	broker.listen({ entries: () => {}, reset: () => {} });
	await broker.subscribe("news");
	timer = undefined;
	writes = 0;
	failures = [];
	gate = () => undefined;
});

function make(more: Partial<ReceivedOptions> = {}): Received {
	const records: Pick<Records, "get" | "replace"> = {
		get: (key) => broker.records.get(key),
		replace: async (...given) => {
			writes++;
			await gate();
			return broker.records.replace(...given);
		},
	};
	return new Received({
		broker: { read: (...given) => broker.read(...given), records: records as Records },
		nowMs: () => nowMs,
		setTimer: (task) => {
			timer = task;
			return () => {
				timer = undefined;
			};
		},
		expiryMs: EXPIRY_MS,
		intervalMs: 1_000,
		maxConsumers: 1_000,
		failed: (cause) => failures.push(cause),
		...more,
	});
}

function interval(): void {
	const task = timer;
	timer = undefined;
	task?.();
}

/** Whatever was begun is done: nothing here waits for anything but microtasks. */
function settled(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve));
}

async function existing(offset: number, key = KEY): Promise<Consumer> {
	const record = encodeCursor({ position: { epoch, offset }, writtenMs: nowMs });
	await broker.records.set(key, record, EXPIRY_MS);
	return { key, channel: "news", record };
}

async function stored(key = KEY): Promise<number | undefined> {
	return decodeCursor(await broker.records.get(key))?.position.offset;
}

describe("what a consumer has received is written", () => {
	it("at once the first time, then the newest of each interval, and then nothing is remembered", async () => {
		const received = make();
		const consumer = await existing(0);
		received.note(consumer, { epoch, offset: 1 });
		await settled();
		expect(await stored()).toBe(1);
		received.note(consumer, { epoch, offset: 2 });
		received.note(consumer, { epoch, offset: 4 });
		received.note(consumer, { epoch, offset: 3 });
		await settled();
		expect([await stored(), writes]).toEqual([1, 1]);
		expect(received.find(KEY)).toEqual({ epoch, offset: 4 });
		interval();
		await settled();
		expect([await stored(), writes, received.size]).toEqual([4, 2, 1]);
		interval();
		expect([received.size, timer]).toEqual([0, undefined]);
	});

	it("not where it says nothing new", async () => {
		const received = make();
		const consumer = await existing(5);
		received.note(consumer, { epoch, offset: 5 });
		received.note(consumer, { epoch, offset: 4 });
		await settled();
		expect([writes, received.size, timer]).toEqual([0, 0, undefined]);
	});

	it("what comes while it is being written comes after it", async () => {
		const first = Promise.withResolvers<void>();
		gate = () => first.promise;
		const received = make();
		const consumer = await existing(0);
		received.note(consumer, { epoch, offset: 1 });
		received.note(consumer, { epoch, offset: 2 });
		first.resolve();
		await settled();
		expect([await stored(), writes]).toEqual([1, 1]);
		interval();
		await settled();
		expect(await stored()).toBe(2);
	});

	it("one at a time, however long the broker takes", async () => {
		const first = Promise.withResolvers<void>();
		gate = () => first.promise;
		const received = make();
		const consumer = await existing(0);
		for (let offset = 1; offset <= 5; offset++) {
			received.note(consumer, { epoch, offset });
			interval();
		}
		expect([writes, received.find(KEY)]).toEqual([1, { epoch, offset: 5 }]);
		first.resolve();
		await settled();
		interval();
		await settled();
		expect([await stored(), writes]).toEqual([5, 2]);
	});

	it("again after a failure, which is told", async () => {
		gate = () => Promise.reject(new Error("the disk is full"));
		const received = make();
		received.note(await existing(0), { epoch, offset: 1 });
		await settled();
		expect(failures).toHaveLength(1);
		gate = () => undefined;
		interval();
		await settled();
		expect([await stored(), failures.length]).toEqual([1, 1]);
	});

	it("for its whole time anew", async () => {
		const consumer = await existing(0);
		nowMs = EXPIRY_MS - 1;
		make().note(consumer, { epoch, offset: 1 });
		await settled();
		nowMs += EXPIRY_MS - 1;
		expect(await stored()).toBe(1);
	});
});

describe("a cursor", () => {
	it("is not moved back to what a slower node has heard", async () => {
		const consumer = await existing(0);
		await existing(9);
		make().note(consumer, { epoch, offset: 5 });
		await settled();
		expect(await stored()).toBe(9);
		expect(decodeCursor(consumer.record)?.position.offset).toBe(9);
	});

	it("is moved on from where another node has left it", async () => {
		const consumer = await existing(0);
		await existing(3);
		make().note(consumer, { epoch, offset: 5 });
		await settled();
		expect(await stored()).toBe(5);
	});

	it("is moved into another epoch where the channel is in that, and only there", async () => {
		const before = epoch;
		const consumer = await existing(7);
		cluster.forget("news");
		epoch = (await broker.read("news", { after: 0, limit: 0 })).epoch;
		expect(epoch).not.toBe(before);
		const received = make();
		received.note({ ...consumer }, { epoch, offset: 1 });
		await settled();
		expect(decodeCursor(await broker.records.get(KEY))?.position).toEqual({ epoch, offset: 1 });
		// A node that has not heard of it yet.
		make().note(consumer, { epoch: before, offset: 8 });
		await settled();
		expect(decodeCursor(await broker.records.get(KEY))?.position).toEqual({ epoch, offset: 1 });
	});

	it("is made anew where its record is gone or nobody can read it", async () => {
		const consumer = await existing(1);
		await broker.records.delete(KEY);
		make().note(consumer, { epoch, offset: 2 });
		await settled();
		expect(await stored()).toBe(2);
		await broker.records.set(KEY, Buffer.from("{"), EXPIRY_MS);
		make().note(consumer, { epoch, offset: 3 });
		await settled();
		expect(await stored()).toBe(3);
	});

	it("that others change each time is left for the next interval", async () => {
		const received = make();
		const consumer = await existing(0);
		let other = 0;
		gate = () => {
			nowMs++;
			return existing(other++ % 2);
		};
		received.note(consumer, { epoch, offset: 5 });
		await settled();
		expect(failures).toHaveLength(1);
		expect(writes).toBeLessThan(20);
		gate = () => undefined;
		interval();
		await settled();
		expect(await stored()).toBe(5);
	});
});

describe("bounds", () => {
	it("S42: of more consumers than are remembered nothing is noted; they get it again", async () => {
		const received = make({ maxConsumers: 2 });
		const consumers = await Promise.all(["a", "b", "c"].map((key) => existing(0, key)));
		for (const consumer of consumers) {
			received.note(consumer, { epoch, offset: 1 });
		}
		expect(received.size).toBe(2);
		received.note(consumers[0]!, { epoch, offset: 2 });
		interval();
		await received.close();
		expect([await stored("a"), await stored("b"), await stored("c")]).toEqual([2, 1, 0]);
	});

	it("S42: a thousand consumers at once are written a few at a time", async () => {
		let open = 0;
		let most = 0;
		gate = async () => {
			most = Math.max(most, ++open);
			await settled();
			open--;
		};
		const received = make();
		const keys = Array.from({ length: 1_000 }, (_, index) => `key${index}`);
		const consumers = await Promise.all(keys.map((key) => existing(0, key)));
		for (const consumer of consumers) {
			received.note(consumer, { epoch, offset: 1 });
		}
		await received.close();
		expect([most, writes]).toEqual([64, 1_000]);
		expect(await Promise.all(keys.map(stored))).toEqual(keys.map(() => 1));
	});
});

describe("when its node stops", () => {
	it("what was noted while the last write was under way is written too", async () => {
		const received = make();
		const consumer = await existing(0);
		const first = Promise.withResolvers<void>();
		gate = () => first.promise;
		received.note(consumer, { epoch, offset: 1 });
		const closed = received.close();
		received.note(consumer, { epoch, offset: 2 });
		first.resolve();
		await closed;
		expect(await stored()).toBe(2);
	});

	it("everything is written, what was noted meanwhile too, and nothing afterwards", async () => {
		const received = make();
		const consumer = await existing(0);
		const first = Promise.withResolvers<void>();
		gate = () => first.promise;
		received.note(consumer, { epoch, offset: 1 });
		received.note(consumer, { epoch, offset: 2 });
		const closed = received.close();
		received.note(consumer, { epoch, offset: 3 });
		first.resolve();
		await closed;
		expect([await stored(), timer]).toEqual([3, undefined]);
		received.note(consumer, { epoch, offset: 4 });
		await settled();
		expect([await stored(), received.size]).toEqual([3, 0]);
	});

	it("a broker that does not answer well holds nobody up", async () => {
		gate = () => Promise.reject(new Error("away"));
		const received = make();
		received.note(await existing(0), { epoch, offset: 1 });
		await received.close();
		expect(await stored()).toBe(0);
	});
});
