/** What the memory broker promises of scheduled publishes beside the compliance suite: its limits and its timer. */
import { expect, it, vi } from "vitest";
import type { Broker, PublishResult } from "../src/broker.ts";
import { createMemoryBroker, type MemoryBroker, type MemoryBrokerOptions } from "../src/memory-broker.ts";
import { FakeClock } from "./fake-clock.ts";

const retention = { messages: 200_000, bytes: 64 * 1024 * 1024, ageMs: 600_000 };
const DAY_MS = 24 * 3_600_000;

function setUp(options: MemoryBrokerOptions = {}): { broker: MemoryBroker; clock: FakeClock } {
	const clock = new FakeClock();
	return { clock, broker: createMemoryBroker({ now: clock.now, every: clock.never, after: clock.after, ...options }) };
}

function schedule(broker: Broker, atMs: number, value = "1", idempotencyKey?: string): Promise<PublishResult> {
	const publication = { data: new TextEncoder().encode(value), encoding: "json" } as const;
	return broker.publish("a", publication, { retention, atMs, ...(idempotencyKey !== undefined && { idempotencyKey }) });
}

async function head(broker: Broker): Promise<number> {
	return (await broker.read("a", { after: 0, limit: 0 })).head;
}

it("more than maxScheduled are refused as unavailable, and use no idempotency key up", async () => {
	const { broker, clock } = setUp({ maxScheduled: 2 });
	await schedule(broker, clock.now() + 1_000);
	await schedule(broker, clock.now() + 2_000);
	await expect(schedule(broker, clock.now() + 500, "1", "k")).rejects.toMatchObject({ code: "unavailable" });
	expect(broker.stats()).toMatchObject({ scheduled: 2, idempotencyKeys: 0 });
	clock.advance(1_000);
	expect(await schedule(broker, clock.now() + 500, "1", "k")).toEqual({ status: "scheduled", duplicate: false });
});

it("more than maxScheduledBytes are refused: a few of the largest messages fill the memory", async () => {
	const { broker, clock } = setUp({ maxScheduledBytes: 25_000 });
	const large = `"${"x".repeat(10_000)}"`;
	await schedule(broker, clock.now() + 1_000, large);
	await schedule(broker, clock.now() + 1_000, large);
	await expect(schedule(broker, clock.now() + 1_000, large)).rejects.toMatchObject({ code: "unavailable" });
	clock.advance(1_000);
	await schedule(broker, clock.now() + 1_000, large);
	expect(await head(broker)).toBe(2);
});

it("what waits keeps no large buffer that it is a small view of", async () => {
	const { broker, clock } = setUp();
	const chunk = new Uint8Array(65_536).fill(49);
	const publication = { data: chunk.subarray(0, 1), encoding: "json" } as const;
	await broker.publish("a", publication, { retention, atMs: clock.now() + 1 });
	chunk.fill(50);
	clock.advance(1);
	expect((await broker.read("a", { after: 0, limit: 1 })).entries[0]!.data).toEqual(Uint8Array.of(49));
});

it("one timer waits for the first, and none where nothing is scheduled", async () => {
	const { broker, clock } = setUp();
	const startMs = clock.now();
	expect(clock.timers).toHaveLength(0);
	for (const delayMs of [3_000, 1_000, 2_000]) {
		await schedule(broker, startMs + delayMs);
		expect(clock.timers).toHaveLength(1);
	}
	expect(clock.timers[0]!.atMs).toBe(startMs + 1_000);
	clock.advance(1_000);
	expect(clock.timers.map((timer) => timer.atMs)).toEqual([startMs + 2_000]);
	clock.advance(2_000);
	expect(clock.timers).toHaveLength(0);
	expect(await head(broker)).toBe(3);
});

it("a time beyond what a timer of Node can wait for is waited for: 2^31 ms fire at once", async () => {
	const delays: number[] = [];
	const clock = new FakeClock();
	const after = (delayMs: number, task: () => void): (() => void) => {
		delays.push(delayMs);
		return clock.after(delayMs, task);
	};
	const broker = createMemoryBroker({ now: clock.now, every: clock.never, after });
	await schedule(broker, clock.now() + 100 * DAY_MS);
	clock.advance(100 * DAY_MS - 1);
	expect(await head(broker)).toBe(0);
	clock.advance(1);
	expect(await head(broker)).toBe(1);
	expect(delays.filter((delayMs) => delayMs >= 2 ** 31)).toEqual([]);
});

it("a timer that is early appends nothing, and one that is late appends all that is due", async () => {
	const { broker, clock } = setUp();
	await schedule(broker, clock.now() + 1_000);
	await schedule(broker, clock.now() + 2_000);
	clock.timers.shift()!.task();
	expect(await head(broker)).toBe(0);
	expect(clock.timers).toHaveLength(1);
	const { task } = clock.timers.shift()!;
	clock.advance(5_000);
	task();
	expect(await head(broker)).toBe(2);
});

it("a burst set for one moment is appended a thousand a turn, in order", async () => {
	const { broker, clock } = setUp();
	const atMs = clock.now() + 1_000;
	for (let count = 0; count < 2_500; count++) {
		await schedule(broker, atMs, String(count));
	}
	const first = clock.timers.shift()!;
	clock.advance(1_000);
	first.task();
	expect(await head(broker)).toBe(1_000);
	clock.advance(0);
	const { entries } = await broker.read("a", { after: 0, limit: Infinity });
	expect(entries.map(({ data }) => Number(new TextDecoder().decode(data)))).toEqual(
		Array.from({ length: 2_500 }, (_, count) => count),
	);
});

it("a listener that schedules and publishes is served in the order of the log", async () => {
	const { broker, clock } = setUp();
	const heard: number[] = [];
	broker.listen({
		entries: (_channel, _epoch, [entry]) => {
			heard.push(entry!.offset);
			if (entry!.offset === 1) {
				void schedule(broker, clock.now() + 500);
				void schedule(broker, 0);
			}
		},
		reset: () => {},
	});
	await broker.subscribe("a");
	await schedule(broker, clock.now() + 1_000);
	await schedule(broker, clock.now() + 2_000);
	clock.advance(3_000);
	expect(heard).toEqual([1, 2, 3, 4]);
});

it("close drops what waits, and leaves no timer", async () => {
	const { broker, clock } = setUp();
	await schedule(broker, clock.now() + 1_000);
	await broker.close();
	expect(clock.timers).toHaveLength(0);
	expect(broker.stats().scheduled).toBe(0);
});

it("the timer keeps no process alive", async () => {
	const unref = vi.fn();
	const timeout = vi.spyOn(globalThis, "setTimeout").mockReturnValue({ unref } as unknown as NodeJS.Timeout);
	try {
		const broker = createMemoryBroker();
		await schedule(broker, Date.now() + 10_000);
		expect(timeout).toHaveBeenCalledOnce();
		expect(unref).toHaveBeenCalledOnce();
		await broker.close();
	} finally {
		timeout.mockRestore();
	}
});
