import { describe, expect, it } from "vitest";
import { addCounts, Continuity } from "../../src/bench/continuity.ts";

const CLEAN = { lost: 0, repeated: 0, announced: 0, resets: 0 };

describe("what one subscription got", () => {
	it("is clean where each offset came once and in order", () => {
		const book = new Continuity(41);
		expect([book.message(42), book.message(43), book.message(44)]).toEqual([1, 1, 1]);
		expect(book.counts(44)).toEqual({ ...CLEAN, delivered: 3 });
	});

	it("lost what was passed over in silence", () => {
		const book = new Continuity(0);
		book.message(1);
		expect(book.message(5)).toBe(4);
		expect(book.counts(5)).toEqual({ ...CLEAN, delivered: 2, lost: 3 });
	});

	it("lost what is still missing at the end", () => {
		const book = new Continuity(0);
		book.message(1);
		expect(book.counts(10)).toEqual({ ...CLEAN, delivered: 1, lost: 9 });
	});

	it("counts what came again, or late", () => {
		const book = new Continuity(0);
		book.message(1);
		expect([book.message(1), book.message(3), book.message(2)]).toEqual([0, 2, 0]);
		expect(book.counts(3)).toMatchObject({ repeated: 2, lost: 1 });
	});

	it("lost nothing between offsets that are not dense, where the message names the one before it", () => {
		const book = new Continuity(100);
		book.message(107, 100);
		book.message(130, 107);
		expect(book.counts(130)).toEqual({ ...CLEAN, delivered: 2 });
		book.message(150, 140);
		expect(book.counts(150)).toMatchObject({ lost: 10 });
	});

	it("lost nothing that was announced", () => {
		const book = new Continuity(0);
		book.message(1);
		expect(book.gap(2, 20)).toBe(19);
		book.message(21);
		expect(book.counts(21)).toEqual({ ...CLEAN, delivered: 2, announced: 19 });
	});

	it("lost what lies between the newest message and an announced gap", () => {
		const book = new Continuity(0);
		book.message(1);
		book.gap(4, 6);
		expect(book.counts(6)).toMatchObject({ lost: 2, announced: 3 });
	});

	it("is not moved by a gap that is over already", () => {
		const book = new Continuity(9);
		expect(book.gap(3, 7)).toBe(0);
		expect(book.counts(9)).toEqual({ ...CLEAN, delivered: 0 });
	});

	it("lost nothing in a conflated range, and what is behind it as ever", () => {
		const book = new Continuity(0);
		book.conflated(10);
		book.message(4);
		book.message(10);
		expect(book.counts(10)).toEqual({ ...CLEAN, delivered: 2, announced: 8 });
		book.message(12);
		expect(book.counts(12)).toMatchObject({ lost: 1 });
	});

	it("goes on from where a reset says", () => {
		const book = new Continuity(500);
		book.reset(0);
		book.message(1);
		expect(book.counts(1)).toEqual({ ...CLEAN, delivered: 1, resets: 1 });
	});

	it("adds up with others", () => {
		const one = { delivered: 1, lost: 2, repeated: 3, announced: 4, resets: 5 };
		expect(addCounts(one, one)).toEqual({ delivered: 2, lost: 4, repeated: 6, announced: 8, resets: 10 });
	});
});
