/** What the memory broker promises of snapshots beside the compliance suite: they count against the logs' budget. */
import { expect, it } from "vitest";
import type { Broker } from "../src/broker.ts";
import { createMemoryBroker, type MemoryBroker, type MemoryBrokerOptions } from "../src/memory-broker.ts";
import { FakeClock } from "./fake-clock.ts";

const KEEP = { messages: 1_000, bytes: 1024 * 1024, ageMs: 600_000 };
const DAY_MS = 24 * 3_600_000;
const BIG = new Uint8Array(10_000);

interface World {
	readonly broker: MemoryBroker;
	readonly clock: FakeClock;
	readonly heard: string[];
}

/** A broker whose listener writes down what it hears: `a=1` for an entry, `a reset` for a reset. */
function setUp(options: MemoryBrokerOptions = {}): World {
	const clock = new FakeClock();
	const broker = createMemoryBroker({ now: clock.now, every: clock.never, after: clock.after, ...options });
	const heard: string[] = [];
	broker.listen({
		entries: (channel, _epoch, [entry]) => heard.push(`${channel}=${entry!.offset}`),
		reset: (channel) => heard.push(`${channel} reset`),
	});
	return { broker, clock, heard };
}

async function publish(broker: Broker, channel: string, snapshot?: Uint8Array): Promise<void> {
	const publication = { data: Uint8Array.of(49), encoding: "json" } as const;
	await broker.publish(channel, publication, { retention: KEEP, ...(snapshot !== undefined && { snapshot }) });
}

it("a snapshot is charged, the next one in its place, and none when its epoch is over", async () => {
	const { broker, clock } = setUp();
	await publish(broker, "a");
	const { logBytes } = broker.stats();
	for (let turn = 0; turn < 5; turn++) {
		await publish(broker, "a", BIG);
	}
	expect(broker.stats().logBytes).toBeGreaterThan(logBytes + 10_000);
	expect(broker.stats().logBytes).toBeLessThan(logBytes + 15_000);
	clock.advance(KEEP.ageMs + DAY_MS);
	broker.sweep();
	expect(broker.stats()).toMatchObject({ channels: 0, logBytes: 0 });
});

it("a million channels with a snapshot each stay within the budget; the longest unused go, epoch and all", async () => {
	const { broker } = setUp({ maxLogBytes: 200_000 });
	const first = await broker.snapshot("channel-0");
	for (let channel = 0; channel < 1_000; channel++) {
		await publish(broker, `channel-${channel}`, BIG);
		expect(broker.stats().logBytes).toBeLessThanOrEqual(200_000);
	}
	expect((await broker.snapshot("channel-999")).data).toHaveLength(10_000);
	const again = await broker.snapshot("channel-0");
	expect(again.epoch).not.toBe(first.epoch);
	expect(again.data).toBeUndefined();
	expect((await broker.channels({ limit: 2_000 })).length).toBeLessThan(20);
});

it("subscribed channels give up their entries first; a snapshot that must go takes the epoch along, which is told", async () => {
	const { broker, heard } = setUp({ maxLogBytes: 200_000 });
	await broker.subscribe("a");
	await publish(broker, "a", BIG);
	const { epoch } = await broker.snapshot("a");
	for (let channel = 0; channel < 30; channel++) {
		await broker.subscribe(`other-${channel}`);
		await publish(broker, `other-${channel}`, BIG);
		expect(broker.stats().logBytes).toBeLessThanOrEqual(200_000);
	}
	expect(heard).toContain("a reset");
	const after = await broker.snapshot("a");
	expect(after.epoch).not.toBe(epoch);
	expect([after.head, after.offset, after.data]).toEqual([0, undefined, undefined]);
	await publish(broker, "a");
	expect(heard.at(-1)).toBe("a=1");
	expect(heard.filter((each) => each === "other-29 reset")).toEqual([]);
});

it("a subscribed channel whose entries grew old keeps its epoch under pressure: there is nothing to take", async () => {
	const { broker, clock, heard } = setUp({ maxLogBytes: 200_000 });
	await broker.subscribe("a");
	await publish(broker, "a");
	clock.advance(KEEP.ageMs);
	broker.sweep();
	for (let channel = 0; channel < 30; channel++) {
		await publish(broker, `other-${channel}`, BIG);
	}
	expect(heard).toEqual(["a=1"]);
});

it("a listener that publishes when others lose their log hears its own channel in the order of the log", async () => {
	const clock = new FakeClock();
	const broker = createMemoryBroker({ now: clock.now, every: clock.never, after: clock.after, maxLogBytes: 200_000 });
	const heard: number[] = [];
	let resets = 0;
	broker.listen({
		entries: (channel, _epoch, [entry]) => channel === "a" && heard.push(entry!.offset),
		reset: () => {
			resets++;
			void publish(broker, "a");
		},
	});
	await broker.subscribe("a");
	for (let turn = 0; turn < 60; turn++) {
		await broker.subscribe(`other-${turn}`);
		await publish(broker, `other-${turn}`, BIG);
		await publish(broker, "a", BIG);
	}
	expect(resets).toBeGreaterThan(10);
	expect(heard).toEqual(Array.from({ length: 60 + resets }, (_, index) => index + 1));
});

it("a snapshot is kept without the large buffer it is a view of, and is at most maxDataBytes long", async () => {
	const { broker } = setUp({ maxDataBytes: 100 });
	await publish(broker, "a", new Uint8Array(65_536).subarray(7, 8));
	const { data } = await broker.snapshot("a");
	expect(data).toHaveLength(1);
	expect(data!.buffer.byteLength).toBeLessThan(100);
	await expect(publish(broker, "a", new Uint8Array(101))).rejects.toMatchObject({
		code: "invalid",
		message: "snapshot has 101 bytes, at most 100",
	});
});
