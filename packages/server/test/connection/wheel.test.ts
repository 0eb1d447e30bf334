import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Wheel, type WheelItem } from "../../src/connection/wheel.ts";

class Item implements WheelItem {
	wheelNext: WheelItem | undefined;
	wheelPrevious: WheelItem | undefined;
	dueMs = 0;
}

describe("the timer wheel", () => {
	it("reports an item at the first tick after its deadline, once, and never before it", () => {
		const wheel = new Wheel<Item>(10, 64, 0);
		const item = new Item();
		wheel.set(item, 25);
		expect([wheel.advance(20), wheel.advance(29), wheel.advance(30), wheel.advance(1_000)]).toEqual([
			[],
			[],
			[item],
			[],
		]);
	});

	it("keeps deadlines beyond one turn of the wheel until their turn", () => {
		const wheel = new Wheel<Item>(10, 64, 0);
		const [near, far] = [new Item(), new Item()];
		// Both stand in one slot: 64 ticks of 10 ms lie between them.
		wheel.set(near, 105);
		wheel.set(far, 105 + 640);
		expect(wheel.advance(110)).toEqual([near]);
		expect(wheel.advance(740)).toEqual([]);
		expect(wheel.advance(750)).toEqual([far]);
	});

	it("gives no more at a time than is asked for, and goes on where it stopped", () => {
		const wheel = new Wheel<Item>(10, 64, 0);
		const items = Array.from({ length: 10 }, (_, index) => {
			const item = new Item();
			wheel.set(item, index < 5 ? 15 : 35);
			return item;
		});
		const pages = [4, 4, 4].map((most) => wheel.advance(100, most));
		expect(pages.map(({ length }) => length)).toEqual([4, 4, 2]);
		expect(new Set(pages.flat())).toEqual(new Set(items));
		expect(wheel.advance(200)).toEqual([]);
	});

	it("finds everything after a stall of many turns", () => {
		const wheel = new Wheel<Item>(10, 64, 0);
		const items = Array.from({ length: 200 }, (_, index) => {
			const item = new Item();
			wheel.set(item, index * 13);
			return item;
		});
		expect(new Set(wheel.advance(1_000_000))).toEqual(new Set(items));
	});

	it("takes a deadline in the past for one that is due at the next tick", () => {
		const wheel = new Wheel<Item>(10, 64, 1_000);
		const item = new Item();
		wheel.set(item, 3);
		expect(wheel.advance(1_010)).toEqual([item]);
	});

	it("does as a list of deadlines does, whatever is set, moved, removed and waited for", () => {
		const step = fc.oneof(
			fc.record({
				do: fc.constant("set" as const),
				item: fc.nat({ max: 9 }),
				inMs: fc.integer({ min: -50, max: 3_000 }),
			}),
			fc.record({ do: fc.constant("remove" as const), item: fc.nat({ max: 9 }) }),
			fc.record({ do: fc.constant("advance" as const), byMs: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 5_000 })) }),
		);
		fc.assert(
			fc.property(fc.array(step, { maxLength: 100 }), fc.constantFrom(10, 33.4, 1_000 / 30), (steps, tickMs) => {
				const slots = 8;
				const wheel = new Wheel<Item>(tickMs, slots, 0);
				const items = Array.from({ length: 10 }, () => new Item());
				const deadlines = new Map<Item, number>();
				let nowMs = 0;
				for (const each of steps) {
					if (each.do === "advance") {
						nowMs += each.byMs;
						for (const item of wheel.advance(nowMs)) {
							expect(deadlines.get(item)).toBeLessThanOrEqual(nowMs);
							deadlines.delete(item);
						}
						for (const dueMs of deadlines.values()) {
							// At most a tick late.
							expect(dueMs).toBeGreaterThan(nowMs - tickMs - 1e-6);
						}
					} else {
						const item = items[each.item]!;
						if (each.do === "set") {
							wheel.set(item, nowMs + each.inMs);
							deadlines.set(item, Math.max(nowMs, nowMs + each.inMs));
						} else {
							wheel.remove(item);
							deadlines.delete(item);
						}
					}
				}
			}),
			{ numRuns: 500 },
		);
	});
});
