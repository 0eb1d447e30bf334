import type { Entry } from "@tidewire/broker";
import { describe, expect, it } from "vitest";
import { Log } from "../../src/hub/log.ts";

const KIB = 1024;

function entry(offset: number, size = KIB, more: Partial<Entry> = {}): Entry {
	return { offset, timeMs: 0, data: new Uint8Array(size), encoding: "json", ...more };
}

function offsets(log: Log, after: number): number[] {
	return log.after(after).map((logged) => logged.entry.offset);
}

describe("a channel's log on the node", () => {
	it("drops the oldest entries above its bound, and says from where on it is whole", () => {
		const log = new Log();
		for (let offset = 1; offset <= 1_000; offset++) {
			log.append(entry(offset), 10 * KIB);
			expect(log.bytes).toBeLessThanOrEqual(10 * KIB);
		}
		expect(log.tail).toBe(1_000 - 8);
		expect(offsets(log, log.tail)).toEqual([993, 994, 995, 996, 997, 998, 999, 1000]);
	});

	it("keeps the newest entry, however large", () => {
		const log = new Log();
		log.append(entry(1), 10 * KIB);
		log.append(entry(2, 100 * KIB), 10 * KIB);
		expect([log.tail, offsets(log, 1)]).toEqual([1, [2]]);
	});

	it("finds what is after an offset, also where offsets are not dense", () => {
		const log = new Log();
		for (const offset of [5, 9, 10, 40]) {
			log.append(entry(offset), 100 * KIB);
		}
		expect([offsets(log, 0), offsets(log, 9), offsets(log, 20), offsets(log, 40)]).toEqual([
			[5, 9, 10, 40],
			[10, 40],
			[40],
			[],
		]);
	});

	it("charges small messages for more than their data: a flood of empty ones is bounded as well", () => {
		const log = new Log();
		for (let offset = 1; offset <= 10_000; offset++) {
			log.append(entry(offset, 0), 64 * KIB);
		}
		expect(log.after(log.tail).length).toBeLessThanOrEqual(512);
	});

	it("counts entries that are not for everybody, and forgets the count with them", () => {
		const log = new Log();
		log.append(entry(1, KIB, { ttlMs: 1 }), 3 * KIB);
		log.append(entry(2, KIB, { exclude: "me" }), 3 * KIB);
		expect(log.special).toBe(2);
		log.append(entry(3), 3 * KIB);
		expect(log.special).toBe(1);
		log.clear(3);
		expect([log.special, log.bytes, log.tail]).toEqual([0, 0, 3]);
	});
});
