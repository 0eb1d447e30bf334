/** What the logs really take, beside what they are charged. The broker's own tests show who is evicted. */
import { expect, it } from "vitest";
import { MemoryLogs } from "../src/memory-logs.ts";

const MAX_BYTES = 200_000;
const AGE_MS = 600_000;

function setUp(): { readonly logs: MemoryLogs; publish(channel: string, size: number, messages: number): void } {
	let epochs = 0;
	const logs = new MemoryLogs({ maxBytes: MAX_BYTES, epoch: () => `${++epochs}`, dropped: () => {} });
	return {
		logs,
		publish: (channel, size, messages) => {
			const log = logs.open(channel, 1);
			const data = new Uint8Array(size).fill(log.head + 1);
			log.append({ offset: log.head + 1, timeMs: 1, data, encoding: "json" }, { messages, bytes: 1e6, ageMs: AGE_MS });
			logs.settle(log);
			expect(logs.bytes).toBeLessThanOrEqual(MAX_BYTES);
			expect(logs.slabBytes).toBeLessThanOrEqual(MAX_BYTES);
		},
	};
}

it("the slabs keep to the budget under a flood of sizes that leaves holes everywhere", () => {
	const { logs, publish } = setUp();
	for (let turn = 0; turn < 20_000; turn++) {
		const channel = (turn * 7_919) % 61;
		const size = turn % 500 === 0 ? 30_000 : (turn * 31) % 90;
		publish(`channel-${channel}`, size, 1 + (channel % 50));
	}
	expect(logs.evicted).toBeGreaterThan(0);
});

it("a busy channel does not cut a quiet one's history, however much passes through it", () => {
	const { logs, publish } = setUp();
	for (let turn = 0; turn < 100; turn++) {
		publish("quiet", 60, 100);
		for (let busy = 0; busy < 300; busy++) {
			publish("busy", 60, 10);
		}
	}
	const { entries } = logs.open("quiet", 1).read({ after: 0, limit: Infinity }, 1);
	expect(entries.map((entry) => entry.data[0])).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
	expect(logs.evicted).toBe(0);
});

it("aged entries leave their slabs with the sweep, though nobody publishes any more", () => {
	const { logs, publish } = setUp();
	for (let turn = 0; turn < 500; turn++) {
		publish("a", 60, 500);
	}
	const before = logs.slabBytes;
	logs.sweep(1 + AGE_MS, Infinity);
	expect(before).toBeGreaterThan(500 * 85);
	expect(logs.slabBytes).toBeLessThan(before / 4);
});
