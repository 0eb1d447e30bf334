/** B9: consumers are made within a bound, however they come, and do not expire while they are connected. */
import { type Broker, createMemoryCluster } from "@tidewire/broker";
import { beforeEach, describe, expect, it } from "vitest";
import { DurableConsumers } from "../../src/durable/consumers.ts";
import { decodeCursor, encodeCursor, keyOf, keyPrefixOf } from "../../src/durable/cursor.ts";
import type { Subscription } from "../../src/hub/subscription.ts";
import { afterwards } from "../client.ts";

type Named = [user: string, channel: string, name: string];

const EXPIRY_MS = 1_000;
const START = { epoch: "e", offset: 0 };

let nowMs: number;
let broker: Broker;
let consumers: DurableConsumers;
let failures: unknown[];

beforeEach(() => {
	nowMs = 0;
	failures = [];
	const cluster = createMemoryCluster({ now: () => nowMs, every: () => () => {} });
	afterwards(() => cluster.close());
	broker = cluster.node();
	consumers = make(broker);
});

function make(given: Pick<Broker, "records" | "read">): DurableConsumers {
	return new DurableConsumers({
		broker: given,
		nowMs: () => nowMs,
		setTimer: () => () => {},
		expiryMs: EXPIRY_MS,
		intervalMs: 1_000,
		maxConsumers: 1_000,
		maxPerUser: 3,
		failed: (cause) => failures.push(cause),
	});
}

async function begin(user: string, name: string): Promise<"made" | "present" | "full"> {
	const { consumer } = await consumers.find(user, "news", name);
	return consumers.make(user, consumer, START);
}

describe("keys", () => {
	it("are short enough for every broker, and begin alike for one user only", () => {
		const long = "\u{1f600}".repeat(5_000);
		expect(keyOf(long, long, long).length).toBeLessThan(128);
		expect(keyOf("ann", "a", "b").startsWith(keyPrefixOf("ann"))).toBe(true);
		expect(keyPrefixOf("ann").startsWith(keyPrefixOf("an"))).toBe(false);
	});

	it.each<[Named, Named]>([
		[
			["ann", "a", "bc"],
			["ann", "ab", "c"],
		],
		[
			["ann", "a", "b"],
			["ann:a", "", "b"],
		],
		[
			["\ud800", "a", "b"],
			["\ud801", "a", "b"],
		],
		[
			["\ud800", "a", "b"],
			["\ufffd", "a", "b"],
		],
	])("differ: %j and %j", (left, right) => {
		expect(keyOf(...left)).not.toBe(keyOf(...right));
	});
});

describe("records that are no cursors", () => {
	it.each(["", "{", "1", "null", "[]", '["e",1]', '["e:1"]', '["e:01",1]', '[{"e":1},1]', '["e:1","1"]'])(
		"%s",
		(text) => {
			expect(decodeCursor(Buffer.from(text))).toBeUndefined();
		},
	);
});

describe("S42: a user's consumers", () => {
	it("are never more than one may have, also when they are made at once", async () => {
		const made = await Promise.all(Array.from({ length: 50 }, (_, index) => begin("ann", `c${index}`)));
		expect(made.filter((each) => each === "made")).toHaveLength(3);
		expect(made.filter((each) => each === "full")).toHaveLength(47);
		expect(await begin("bob", "c")).toBe("made");
	});

	it("may be others when some have expired", async () => {
		await Promise.all(["a", "b", "c"].map((name) => begin("ann", name)));
		nowMs += EXPIRY_MS;
		expect(await begin("ann", "d")).toBe("made");
	});

	it("are made after one that could not be", async () => {
		const { consumer } = await consumers.find("ann", "news", "phone");
		const { records } = broker;
		let asked = false;
		const moody = make({
			read: (...given) => broker.read(...given),
			records: Object.assign(Object.create(records) as typeof records, {
				list: (...given: Parameters<typeof records.list>) => {
					const first = !asked;
					asked = true;
					return first ? Promise.reject(new Error("away")) : records.list(...given);
				},
				setIfAbsent: (...given: Parameters<typeof records.setIfAbsent>) => records.setIfAbsent(...given),
			}),
		});
		const refused = moody.make("ann", consumer, START);
		const next = moody.make("ann", consumer, START);
		await expect(refused).rejects.toThrow("away");
		await expect(next).resolves.toBe("made");
	});

	it("are one where two connections make the same", async () => {
		expect((await Promise.all([begin("ann", "phone"), begin("ann", "phone")])).sort()).toEqual(["made", "present"]);
	});
});

describe("a consumer that is connected", () => {
	async function connected(): Promise<Subscription> {
		const { consumer } = await consumers.find("ann", "news", "phone");
		await consumers.make("ann", consumer, START);
		const subscription = {} as Subscription;
		consumers.bind(subscription, consumer);
		return subscription;
	}

	async function isThere(): Promise<boolean> {
		return (await consumers.find("ann", "news", "phone")).positions.length > 0;
	}

	it("does not expire, however little it receives", async () => {
		const subscription = await connected();
		for (let passes = 0; passes < 30; passes++) {
			nowMs += EXPIRY_MS / 4;
			await consumers.renew([{} as Subscription, subscription]);
		}
		expect(await isThere()).toBe(true);
		nowMs += EXPIRY_MS;
		expect(await isThere()).toBe(false);
	});

	it("is written anew only when a tenth of its time has passed", async () => {
		const subscription = await connected();
		const before = await broker.records.get(keyOf("ann", "news", "phone"));
		nowMs += EXPIRY_MS / 10;
		await consumers.renew([subscription]);
		expect(await broker.records.get(keyOf("ann", "news", "phone"))).toEqual(before);
	});

	it("stays where another connection has moved it", async () => {
		const subscription = await connected();
		nowMs += EXPIRY_MS / 2;
		const key = keyOf("ann", "news", "phone");
		await broker.records.set(key, encodeCursor({ position: { epoch: "e", offset: 7 }, writtenMs: 0 }), EXPIRY_MS);
		await consumers.renew([subscription]);
		expect(decodeCursor(await broker.records.get(key))).toEqual({
			position: { epoch: "e", offset: 7 },
			writtenMs: nowMs,
		});
	});

	it("is renewed later where the broker is away, and that is told", async () => {
		const subscription = await connected();
		nowMs += EXPIRY_MS / 2;
		await broker.close();
		await consumers.renew([subscription]);
		expect(failures).toHaveLength(1);
	});
});
