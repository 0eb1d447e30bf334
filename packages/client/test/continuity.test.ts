import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterGap, afterMessage, type Place, placeAt } from "../src/continuity.ts";

const at = (offset: number, conflatedTo = 0): Place => ({ epoch: "e", offset, conflatedTo });

describe("a message", () => {
	it("with the next offset is delivered", () => {
		expect(afterMessage(at(41), 42, undefined)).toEqual(at(42));
	});

	it.each([41, 40, 0])("with offset %d at position 41 is a duplicate", (offset) => {
		expect(afterMessage(at(41), offset, undefined)).toBe("duplicate");
	});

	it("after a hole that nobody announced is a fault", () => {
		expect(afterMessage(at(41), 43, undefined)).toEqual({ fault: "offset 43 came after 41" });
	});

	it("may leave out offsets that do not exist, when `prev` says so", () => {
		expect(afterMessage(at(41), 57, 41)).toEqual(at(57));
		expect(afterMessage(at(41), 57, 56)).toHaveProperty("fault");
	});
});

describe("a gap", () => {
	it("moves the position to its end", () => {
		expect(afterGap(at(42), "gap", 43, 57)).toEqual(at(57));
	});

	it("that is known already changes nothing", () => {
		expect(afterGap(at(57), "gap", 43, 57)).toBe("duplicate");
	});

	it("behind a hole is a fault", () => {
		expect(afterGap(at(42), "gap", 44, 57)).toHaveProperty("fault");
	});

	it("from after to before is a fault", () => {
		expect(afterGap(at(42), "gap", 57, 43)).toHaveProperty("fault");
	});
});

describe("conflation", () => {
	it("lets holes pass up to its end, and none after it", () => {
		const conflated = afterGap(at(42), "conflated", 43, 57) as Place;
		expect(conflated).toEqual(at(42, 57));
		const within = afterMessage(conflated, 50, undefined) as Place;
		expect(within).toEqual(at(50, 57));
		expect(afterMessage(within, 58, undefined)).toEqual(at(58, 57));
		expect(afterMessage(within, 59, undefined)).toHaveProperty("fault");
	});

	it("resumes from what was delivered, not from its end", () => {
		expect(afterGap(at(42), "conflated", 43, 57)).toHaveProperty("offset", 42);
	});
});

it.each(["", "x", "e:", ":1", "e:-1", "e:01", 5, null, undefined, {}])("%s is no position", (text) => {
	expect(placeAt(text)).toBeUndefined();
});

it("delivers each offset once and in order, or it was announced, whatever comes (any mix of duplicates, holes, gaps)", () => {
	const message = fc.record({
		offset: fc.integer({ min: -1, max: 30 }),
		prev: fc.option(fc.integer({ min: 0, max: 30 })),
	});
	const gap = fc.record({
		gap: fc.constantFrom("gap" as const, "conflated" as const),
		from: fc.nat(30),
		to: fc.nat(30),
	});
	fc.assert(
		fc.property(fc.array(fc.oneof(message, gap), { maxLength: 60 }), (events) => {
			let place = at(0);
			const delivered: number[] = [];
			const announced = new Set<number>();
			for (const event of events) {
				const before = place.offset;
				const next =
					"gap" in event
						? afterGap(place, event.gap, event.from, event.to)
						: afterMessage(place, event.offset, event.prev ?? undefined);
				if (typeof next === "string" || "fault" in next) {
					continue;
				}
				place = next;
				const upTo = "gap" in event ? event.to : event.offset;
				if ("gap" in event || event.prev !== null) {
					for (let offset = before + 1; offset <= upTo; offset += 1) {
						announced.add(offset);
					}
				}
				if (!("gap" in event)) {
					delivered.push(event.offset);
				}
			}
			expect(delivered).toEqual([...new Set(delivered)].sort((a, b) => a - b));
			for (let offset = 1; offset <= place.offset; offset += 1) {
				expect(delivered.includes(offset) || announced.has(offset)).toBe(true);
			}
		}),
	);
});
