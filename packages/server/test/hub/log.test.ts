import type { Entry } from "@tidewire/broker";
import { describe, expect, it } from "vitest";
import { Log, LogBudget } from "../../src/hub/log.ts";

const KIB = 1024;

function entry(offset: number, size = KIB, more: Partial<Entry> = {}): Entry {
	return { offset, timeMs: 0, data: new Uint8Array(size), encoding: "json", ...more };
}

function newLog(budget = new LogBudget(Number.POSITIVE_INFINITY)): Log {
	return new Log(0, budget);
}

/** Appends what each is a flush of its own. */
function flushEach(log: Log, entries: readonly Entry[], maxBytes: number, conflating = false): void {
	for (const each of entries) {
		log.append(each, maxBytes, conflating);
		log.flushed(each.offset);
	}
}

function offsets(log: Log, after: number): number[] {
	return log.entries(after).map(({ offset }) => offset);
}

function range(from: number, to: number, size = KIB): Entry[] {
	return Array.from({ length: to - from + 1 }, (_, index) => entry(from + index, size));
}

describe("a channel's log on the node", () => {
	it("drops the oldest above its bound, and says from where on it is whole", () => {
		const log = newLog();
		flushEach(log, range(1, 1_000), 20 * KIB);
		expect(log.bytes).toBeLessThanOrEqual(20 * KIB);
		expect(log.tail).toBe(1_000 - 9);
		expect(offsets(log, log.tail)).toEqual([992, 993, 994, 995, 996, 997, 998, 999, 1000]);
	});

	it("keeps the newest entry, however large", () => {
		const log = newLog();
		flushEach(log, [entry(1), entry(2, 100 * KIB)], 10 * KIB);
		expect([log.tail, offsets(log, 1)]).toEqual([1, [2]]);
	});

	it("keeps what nobody has been offered yet, beyond its bound: who is at the head is not slow", () => {
		const log = newLog();
		for (const each of range(1, 50)) {
			log.append(each, 20 * KIB, false);
		}
		expect(log.tail).toBe(0);
		for (const each of range(51, 10_000)) {
			log.append(each, 20 * KIB, false);
		}
		expect(log.bytes).toBeLessThanOrEqual(8 * 20 * KIB + 64 * KIB);
	});

	it("finds what is after an offset, also where offsets are not dense", () => {
		const log = newLog();
		flushEach(log, [entry(5), entry(9), entry(10), entry(40)], 100 * KIB);
		expect([offsets(log, 0), offsets(log, 9), offsets(log, 20), offsets(log, 40)]).toEqual([
			[5, 9, 10, 40],
			[10, 40],
			[40],
			[],
		]);
	});

	it("charges small messages for more than their data: a flood of empty ones is bounded as well", () => {
		const log = newLog();
		flushEach(log, range(1, 10_000, 0), 64 * KIB);
		expect(log.entries(log.tail).length).toBeLessThanOrEqual(512);
	});

	it("holds no larger buffer than its own bytes once it outlives its flush: neither a socket's chunk nor a pool", () => {
		const log = newLog();
		const chunk = new Uint8Array(64 * KIB);
		log.append({ ...entry(1), data: chunk.subarray(5, 105) }, 64 * KIB, false);
		log.flushed(1);
		expect(log.entries(0).map(({ data }) => data.buffer.byteLength)).toEqual([100]);
	});

	it("goes on after what it was told to forget", () => {
		const log = newLog();
		flushEach(log, range(1, 3), 64 * KIB);
		log.clear(3);
		expect([log.bytes, log.tail, offsets(log, 3)]).toEqual([0, 3, []]);
		flushEach(log, [entry(4)], 64 * KIB);
		expect(offsets(log, 3)).toEqual([4]);
	});
});

describe("the last of each key, when the log is cut", () => {
	it("stays within reach, once for each key, ascending", () => {
		const log = newLog();
		const keys = ["a", "b", "a", "c", undefined, "b"];
		flushEach(
			log,
			Array.from({ length: 60 }, (_, index) => {
				const key = keys[index];
				return entry(index + 1, KIB, key === undefined ? {} : { key });
			}),
			8 * KIB,
			true,
		);
		const latest = log.latest!;
		expect(latest.from).toBe(0);
		expect(latest.after(0).map(({ offset, key }) => [offset, key])).toEqual([
			[3, "a"],
			[4, "c"],
			[6, "b"],
			[log.tail, undefined],
		]);
		expect(latest.after(4).map(({ offset }) => offset)).toEqual([6, log.tail]);
	});

	it("is bounded: a flood of keys lets go of the oldest, and says up to where", () => {
		const log = newLog();
		flushEach(
			log,
			Array.from({ length: 500 }, (_, index) => entry(index + 1, KIB, { key: `key ${index}` })),
			16 * KIB,
			true,
		);
		const latest = log.latest!;
		expect(latest.bytes).toBeLessThanOrEqual(16 * KIB);
		expect(latest.from).toBeGreaterThan(400);
		expect(latest.after(0)[0]?.offset).toBe(latest.from + 1);
	});
});

describe("the budget that all logs of a node share", () => {
	it("lets the oldest go first, whosesoever they are", () => {
		const budget = new LogBudget(20 * KIB);
		const [old, busy] = [newLog(budget), newLog(budget)];
		flushEach(old, range(1, 5), 1_000 * KIB);
		flushEach(busy, range(1, 100), 1_000 * KIB);
		expect([old.tail, offsets(old, old.tail), old.bytes]).toEqual([5, [], 0]);
		expect(busy.tail).toBeGreaterThan(80);
		expect(budget.bytes).toBeLessThanOrEqual(20 * KIB);
	});

	it("holds for the newest of very many channels together (one laggard in each)", () => {
		const budget = new LogBudget(20 * KIB);
		const logs = Array.from({ length: 1_000 }, () => newLog(budget));
		for (const log of logs) {
			flushEach(log, range(1, 2), 1_000 * KIB);
		}
		const held = logs.reduce((bytes, log) => bytes + log.bytes, 0);
		expect(held).toBe(budget.bytes);
		expect(held).toBeLessThanOrEqual(20 * KIB);
		flushEach(logs[0]!, range(3, 4), 1_000 * KIB);
		expect(offsets(logs[0]!, 2)).toEqual([3, 4]);
	});

	it("is given back by what is forgotten", () => {
		const budget = new LogBudget(1_000 * KIB);
		const log = newLog(budget);
		flushEach(log, range(1, 5), 1_000 * KIB);
		expect(budget.bytes).toBeGreaterThan(10 * KIB);
		log.clear(5);
		expect(budget.bytes).toBe(0);
	});
});
