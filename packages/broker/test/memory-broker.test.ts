import { describe, expect, it } from "vitest";
import type { Broker, Entry, Retention } from "../src/broker.ts";
import {
	createMemoryBroker,
	createMemoryCluster,
	type MemoryBroker,
	type MemoryBrokerOptions,
	type MemoryCluster,
} from "../src/memory-broker.ts";
import { FakeClock } from "./fake-clock.ts";

const KEEP: Retention = { messages: 1_000, bytes: 1024 * 1024, ageMs: 600_000 };
const NOTHING: Retention = { messages: 0, bytes: 0, ageMs: 0 };
const DAY_MS = 24 * 3_600_000;

function setUp(options: MemoryBrokerOptions = {}): { broker: MemoryBroker; clock: FakeClock } {
	const clock = new FakeClock();
	return { clock, broker: createMemoryBroker({ now: clock.now, every: clock.never, after: clock.after, ...options }) };
}

function setUpCluster(options: MemoryBrokerOptions = {}): { cluster: MemoryCluster; clock: FakeClock } {
	const clock = new FakeClock();
	return {
		clock,
		cluster: createMemoryCluster({ now: clock.now, every: clock.never, after: clock.after, ...options }),
	};
}

async function publish(broker: Broker, channel: string, value: string | Uint8Array, retention = KEEP): Promise<string> {
	const data = typeof value === "string" ? new TextEncoder().encode(value) : value;
	const result = await broker.publish(channel, { data, encoding: "json" }, { retention });
	if (result.status !== "accepted") {
		throw new Error(`${result.status}, expected accepted`);
	}
	return `${result.position.epoch}:${result.position.offset}`;
}

async function kept(broker: Broker, channel: string): Promise<readonly Entry[]> {
	return (await broker.read(channel, { after: 0, limit: Infinity })).entries;
}

/** A listener that writes down what it hears as `channel=offset`. */
function hear(broker: Broker, heard: string[], during?: (entry: Entry, channel: string) => void): void {
	broker.listen({
		entries: (channel, _epoch, entries) => {
			for (const entry of entries) {
				heard.push(`${channel}=${entry.offset}`);
				during?.(entry, channel);
			}
		},
		reset: (channel, { offset }) => heard.push(`${channel} reset ${offset}`),
	});
}

describe("telling", () => {
	it("happens inside publish, before it returns its promise", async () => {
		const { broker } = setUp();
		const heard: string[] = [];
		hear(broker, heard);
		await broker.subscribe("a");
		void publish(broker, "a", "1");
		expect(heard).toEqual(["a=1"]);
	});

	it("keeps one order on all nodes when a listener publishes", async () => {
		const { cluster } = setUpCluster();
		const nodes = [cluster.node(), cluster.node(), cluster.node()];
		const heard: string[][] = [[], [], []];
		nodes.forEach((node, index) => {
			hear(node, heard[index]!, (entry) => {
				if (index === 0 && entry.offset <= 3) {
					void publish(node, "a", "echo");
					void publish(node, "b", "echo");
				}
			});
		});
		for (const node of nodes) {
			await node.subscribe("a");
			await node.subscribe("b");
		}
		await publish(nodes[1]!, "a", "first");
		const ofA = heard[0]!.filter((each) => each.startsWith("a"));
		expect(ofA.length).toBeGreaterThan(4);
		expect(ofA).toEqual(ofA.map((_, index) => `a=${index + 1}`));
		expect(await kept(nodes[0]!, "a")).toHaveLength(ofA.length);
		expect(heard[1]).toEqual(heard[0]);
		expect(heard[2]).toEqual(heard[0]);
	});

	it("has no seam for a node that subscribes from inside another's listener", async () => {
		const { cluster } = setUpCluster();
		const first = cluster.node();
		const second = cluster.node();
		const heard: string[] = [];
		hear(second, heard);
		let position: Promise<{ offset: number }> | undefined;
		hear(first, [], (entry) => {
			if (entry.offset === 1) {
				void publish(first, "a", "2"); // appended now, told later
				position = second.subscribe("a");
				void publish(first, "a", "3");
			}
		});
		await first.subscribe("a");
		await publish(first, "a", "1");
		expect((await position!).offset).toBe(2);
		expect(heard).toEqual(["a=3"]);
	});

	it("passes over a node that unsubscribed, and subscribed anew, during a telling", async () => {
		const { cluster } = setUpCluster();
		const first = cluster.node();
		const second = cluster.node();
		const heard: string[] = [];
		let again: Promise<{ offset: number }> | undefined;
		hear(first, [], (entry) => {
			if (entry.offset === 1) {
				second.unsubscribe("a");
				again = second.subscribe("a");
			}
		});
		hear(second, heard);
		await first.subscribe("a");
		await second.subscribe("a");
		await publish(first, "a", "1");
		expect((await again!).offset).toBe(1);
		expect(heard).toEqual([]);
		await publish(first, "a", "2");
		expect(heard).toEqual(["a=2"]);
	});

	it("reaches the other nodes and the publisher when one listener throws, and the bug is seen", async () => {
		const { cluster } = setUpCluster();
		const broken = cluster.node();
		const other = cluster.node();
		const heard: string[] = [];
		const bug = new Error("a bug in a listener");
		broken.listen({
			entries: () => {
				throw bug;
			},
			reset: () => {},
		});
		hear(other, heard);
		await broken.subscribe("a");
		await other.subscribe("a");
		const before = process.listeners("uncaughtException");
		process.removeAllListeners("uncaughtException");
		const seen = new Promise((resolve) => process.once("uncaughtException", resolve));
		try {
			await publish(other, "a", "1");
			expect(heard).toEqual(["a=1"]);
			expect(await seen).toBe(bug);
		} finally {
			for (const listener of before) {
				process.on("uncaughtException", listener);
			}
		}
	});

	it("ends with reset when the log is forgotten", async () => {
		const { broker } = setUp();
		const heard: string[] = [];
		hear(broker, heard);
		const { epoch } = await broker.subscribe("a");
		await publish(broker, "a", "1");
		broker.forget("a");
		broker.forget("unknown");
		expect(await publish(broker, "a", "2")).not.toContain(epoch);
		expect(heard).toEqual(["a=1", "a reset 0", "a=1"]);
	});
});

describe("data", () => {
	it("is kept without the large buffer it is a view of: one-byte messages in 64 KiB chunks", async () => {
		const { broker } = setUp();
		const chunk = new Uint8Array(65_536).fill(49);
		await publish(broker, "a", chunk.subarray(100, 101));
		const [entry] = await kept(broker, "a");
		expect(entry!.data).toEqual(Uint8Array.of(49));
		expect(entry!.data.buffer.byteLength).toBeLessThan(100);
	});

	it("is copied when it is kept and when it is read: what anybody does with it later changes nothing", async () => {
		const { broker } = setUp();
		const data = Uint8Array.of(1, 2, 3);
		await publish(broker, "a", data);
		data.fill(9);
		(await kept(broker, "a"))[0]!.data.fill(9);
		expect((await kept(broker, "a"))[0]!.data).toEqual(Uint8Array.of(1, 2, 3));
	});

	it("that is read does not hold more memory than the page has data, whatever it was kept in", async () => {
		const { broker } = setUp();
		for (let turn = 0; turn < 10; turn++) {
			await publish(broker, "a", new Uint8Array(100));
		}
		const page = await kept(broker, "a");
		expect(new Set(page.map((entry) => entry.data.buffer)).size).toBe(1);
		expect(page[0]!.data.buffer.byteLength).toBe(1_000);
	});

	it("larger than maxDataBytes is refused", async () => {
		const { broker } = setUp({ maxDataBytes: 10 });
		await publish(broker, "a", new Uint8Array(10));
		await expect(publish(broker, "a", new Uint8Array(11))).rejects.toMatchObject({
			code: "invalid",
			message: "data has 11 bytes, at most 10",
		});
	});
});

describe("the byte budget", () => {
	const BIG = new Uint8Array(10_000);

	it("lets the channel that was used longest ago go first, whole", async () => {
		const { broker } = setUp({ maxLogBytes: 35_000 });
		const positions = [
			await publish(broker, "a", BIG),
			await publish(broker, "b", BIG),
			await publish(broker, "c", BIG),
		];
		await kept(broker, "a"); // reading is using
		await publish(broker, "d", BIG);
		expect(await kept(broker, "a")).toHaveLength(1);
		expect(await kept(broker, "b")).toHaveLength(0);
		expect(await kept(broker, "c")).toHaveLength(1);
		expect(await publish(broker, "b", "1")).not.toBe(positions[1]);
	});

	it("gives a channel that comes back a new epoch, so that no (epoch, offset) is used twice", async () => {
		const { broker } = setUp({ maxLogBytes: 35_000 });
		const seen = new Set<string>();
		for (let turn = 0; turn < 200; turn++) {
			seen.add(await publish(broker, `channel-${turn % 7}`, BIG));
		}
		expect(seen.size).toBe(200);
		expect(broker.stats().evictedLogs).toBeGreaterThan(100);
		expect(broker.stats().logBytes).toBeLessThanOrEqual(35_000);
	});

	it("takes a subscribed channel's entries, and leaves its epoch and head", async () => {
		const { broker } = setUp({ maxLogBytes: 35_000 });
		hear(broker, []);
		const { epoch } = await broker.subscribe("a");
		await publish(broker, "a", BIG);
		for (const channel of ["b", "c", "d", "e"]) {
			await publish(broker, channel, BIG);
		}
		const page = await broker.read("a", { after: 0, limit: 10 });
		expect(page).toEqual({ epoch, head: 1, tail: 1, entries: [] });
		expect(await publish(broker, "a", "1")).toBe(`${epoch}:2`);
	});

	it("is kept by a single channel too, which loses its oldest entries", async () => {
		const { broker } = setUp({ maxLogBytes: 35_000 });
		const seen = new Set<string>();
		for (let turn = 0; turn < 20; turn++) {
			seen.add(await publish(broker, "a", BIG));
		}
		expect(seen.size).toBe(20);
		const page = await broker.read("a", { after: 0, limit: 10 });
		expect(page.entries.map((entry) => entry.offset)).toEqual([18, 19, 20]);
		expect(page.tail).toBe(17);
	});

	it("holds under a million asked-for names, which evict nobody's history", async () => {
		const { broker } = setUp({ maxLogBytes: 100_000 });
		const position = await publish(broker, "real", BIG);
		for (let turn = 0; turn < 20_000; turn++) {
			await broker.read(`invented-${turn}`, { after: 0, limit: 1 });
		}
		expect(broker.stats().logBytes).toBeLessThanOrEqual(100_000);
		expect(broker.stats().channels).toBeLessThan(300);
		const page = await broker.read("real", { after: 0, limit: 1 });
		expect(`${page.epoch}:${page.entries[0]?.offset}`).toBe(position);
	});

	it("holds under a million channels without history", async () => {
		const { broker } = setUp({ maxLogBytes: 100_000 });
		for (let turn = 0; turn < 20_000; turn++) {
			await publish(broker, `channel-${turn}`, "1", NOTHING);
		}
		expect(broker.stats().logBytes).toBeLessThanOrEqual(100_000);
		expect(broker.stats().channels).toBeLessThan(300);
	});

	it("charges exactly what is held, whatever happened before", async () => {
		const { broker, clock } = setUp();
		hear(broker, []);
		for (let turn = 0; turn < 100; turn++) {
			await publish(broker, `channel-${turn % 10}`, BIG, { ...KEEP, messages: (turn % 4) * 2 });
			await broker.subscribe(`channel-${turn % 3}`);
			broker.unsubscribe(`channel-${turn % 5}`);
		}
		for (let channel = 0; channel < 10; channel++) {
			broker.unsubscribe(`channel-${channel}`);
		}
		clock.advance(KEEP.ageMs + DAY_MS);
		broker.sweep();
		expect(broker.stats()).toMatchObject({ channels: 0, logBytes: 0 });
	});
});

describe("a sweep", () => {
	it("prunes old entries at once, and drops the log 24 h after its last entry", async () => {
		const { broker, clock } = setUp();
		const first = await publish(broker, "a", new Uint8Array(1_000));
		clock.advance(KEEP.ageMs);
		broker.sweep();
		expect(broker.stats().logBytes).toBeLessThan(1_000);
		clock.advance(DAY_MS - 1);
		broker.sweep();
		expect(broker.stats().channels).toBe(1);
		clock.advance(1);
		broker.sweep();
		expect(broker.stats()).toMatchObject({ channels: 0, logBytes: 0 });
		expect(await publish(broker, "a", "1")).not.toBe(first);
	});

	it("does not drop a channel that somebody is subscribed to", async () => {
		const { broker, clock } = setUp();
		hear(broker, []);
		const { epoch } = await broker.subscribe("a");
		clock.advance(30 * DAY_MS);
		broker.sweep();
		expect(await publish(broker, "a", "1")).toBe(`${epoch}:1`);
	});

	it("goes on where the last one stopped", async () => {
		const { broker, clock } = setUp();
		for (let channel = 0; channel < 10; channel++) {
			await publish(broker, `channel-${channel}`, "1");
		}
		clock.advance(KEEP.ageMs + DAY_MS);
		broker.sweep(4);
		expect(broker.stats().channels).toBe(6);
		broker.sweep(4);
		broker.sweep(4);
		expect(broker.stats().channels).toBe(0);
	});

	it("runs by itself on the timer that was handed in, until close", async () => {
		const tasks = new Set<() => void>();
		const every = (_intervalMs: number, task: () => void): (() => void) => {
			tasks.add(task);
			return () => tasks.delete(task);
		};
		const { broker, clock } = setUp({ every });
		await publish(broker, "a", "1");
		clock.advance(KEEP.ageMs + DAY_MS);
		for (const task of tasks) {
			task();
		}
		expect(broker.stats().channels).toBe(0);
		await broker.close();
		expect(tasks.size).toBe(0);
	});
});

describe("idempotency keys", () => {
	it("are bounded in number; the oldest are forgotten first, and counted", async () => {
		const { broker } = setUp({ maxIdempotencyKeys: 3 });
		const send = async (idempotencyKey: string): Promise<boolean> => {
			const data = new Uint8Array(1);
			const result = await broker.publish("a", { data, encoding: "binary" }, { retention: KEEP, idempotencyKey });
			return result.status === "accepted" && result.duplicate;
		};
		for (const key of ["1", "2", "3", "4"]) {
			expect(await send(key)).toBe(false);
		}
		expect(await send("2")).toBe(true);
		expect(await send("1")).toBe(false);
		expect(broker.stats()).toMatchObject({ idempotencyKeys: 3, forgottenKeys: 2 });
	});

	it("that ended are swept", async () => {
		const { broker, clock } = setUp();
		const publication = { data: new Uint8Array(1), encoding: "binary" } as const;
		await broker.publish("a", publication, { retention: KEEP, idempotencyKey: "k", idempotencyMs: 1_000 });
		clock.advance(1_000);
		broker.sweep();
		expect(broker.stats().idempotencyKeys).toBe(0);
	});
});

describe("records", () => {
	it("beyond maxRecords are refused as unavailable, until others end", async () => {
		const { broker, clock } = setUp({ maxRecords: 2 });
		const { records } = broker;
		await records.set("1", Uint8Array.of(1), 1_000);
		await records.set("2", Uint8Array.of(2), 5_000);
		await expect(records.set("3", Uint8Array.of(3), 1_000)).rejects.toMatchObject({ code: "unavailable" });
		await records.set("2", Uint8Array.of(22), 5_000); // the place it has is its own
		clock.advance(1_000);
		await records.set("3", Uint8Array.of(3), 1_000);
		expect(await records.get("2")).toEqual(Uint8Array.of(22));
	});

	it("beyond maxRecordBytes are refused, and the value that was there stays", async () => {
		const { broker } = setUp({ maxRecordBytes: 100 });
		const { records } = broker;
		await records.set("k", new Uint8Array(98), 1_000);
		await expect(records.set("k", new Uint8Array(99), 1_000)).rejects.toMatchObject({ code: "unavailable" });
		expect((await records.get("k"))!.byteLength).toBe(98);
		await records.delete("k");
		await records.set("k", new Uint8Array(50), 1_000);
	});
});

it("an epoch is a new text of at least 64 random bits, without a colon", async () => {
	const { broker } = setUp();
	const epochs = new Set<string>();
	for (let channel = 0; channel < 1_000; channel++) {
		epochs.add((await broker.read(`channel-${channel}`, { after: 0, limit: 0 })).epoch);
	}
	expect(epochs.size).toBe(1_000);
	for (const epoch of epochs) {
		expect(epoch).toMatch(/^[A-Za-z0-9_-]{12}$/);
	}
});
