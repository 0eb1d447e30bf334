/** An entry survives its way into a slab and back. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Entry } from "../src/broker.ts";
import { Slab } from "../src/slab.ts";
import {
	dataLengthAt,
	lengthAt,
	ownerAt,
	readEntry,
	recordLength,
	weigh,
	weightAt,
	writeRecord,
} from "../src/slab-record.ts";

const text = fc.oneof(
	fc.string({ maxLength: 40 }),
	fc.constantFrom("", "\u00ff", "ü", "🚗", "\ud83d", "\u0000", "x".repeat(1024), "\u20ac".repeat(1024)),
);
const entry: fc.Arbitrary<Entry> = fc.record(
	{
		offset: fc.maxSafeNat(),
		timeMs: fc.oneof(fc.maxSafeNat(), fc.double({ noNaN: true })),
		data: fc.uint8Array({ maxLength: 300 }),
		encoding: fc.constantFrom("json" as const, "binary" as const),
		name: text,
		key: text,
		from: text,
		exclude: text,
		report: text,
		ttlMs: fc.oneof(fc.nat(), fc.double({ min: 0, noNaN: true })),
		patch: fc.constant(true as const),
	},
	{ requiredKeys: ["offset", "timeMs", "data", "encoding"], noNullPrototype: true },
);

it("any entries come back as they were, and absent attributes stay absent", () => {
	fc.assert(
		fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), (entries) => {
			const weights = entries.map(weigh);
			const lengths = entries.map((each, index) => recordLength(each, weights[index]!));
			const slab = new Slab(
				0,
				lengths.reduce((sum, length) => sum + length, 0),
			);
			const places = entries.map((each, index) => {
				const at = slab.take(lengths[index]!);
				writeRecord(slab, at, lengths[index]!, 7, each);
				return at;
			});
			expect(slab.used).toBe(slab.bytes.length);
			entries.forEach((each, index) => {
				const at = places[index]!;
				expect([lengthAt(slab, at), weightAt(slab, at), ownerAt(slab, at)]).toEqual([
					lengths[index],
					weights[index],
					7,
				]);
				const data = new Uint8Array(dataLengthAt(slab, at));
				expect(readEntry(slab, at, each.offset, data)).toStrictEqual(each);
			});
		}),
	);
});

it("an entry without attributes takes 25 bytes beside its data", () => {
	const bare: Entry = { offset: 1, timeMs: 1, data: new Uint8Array(130), encoding: "json" };
	expect(recordLength(bare, weigh(bare))).toBe(155);
});
