import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Histogram } from "../../src/bench/histogram.ts";

function histogramOf(values: readonly number[]): Histogram {
	const histogram = new Histogram();
	for (const value of values) {
		histogram.record(value);
	}
	return histogram;
}

describe("a histogram of durations", () => {
	it("knows every percentile to within 1/128 of itself", () => {
		const durations = fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { minLength: 1, maxLength: 200 });
		fc.assert(
			fc.property(durations, fc.double({ min: 0, max: 1, noNaN: true }), (values, part) => {
				const exact = values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(part * values.length) - 1)]!;
				const told = histogramOf(values).percentile(part);
				expect(told).toBeGreaterThanOrEqual(exact);
				expect(told - exact).toBeLessThanOrEqual(exact / 128);
			}),
		);
	});

	it("knows the greatest exactly", () => {
		const histogram = histogramOf([5, 123_457, 9]);
		expect(histogram.percentile(1)).toBe(123_457);
		expect(histogram.maxMicros).toBe(123_457);
	});

	it("adds up with those of other processes, through JSON", () => {
		const whole = histogramOf([1, 2, 300, 70_000, 70_000]);
		const sum = histogramOf([1, 70_000]);
		sum.add(JSON.parse(JSON.stringify(histogramOf([2, 300, 70_000]).counts())) as ReturnType<Histogram["counts"]>);
		expect(sum.counts()).toEqual(whole.counts());
		expect(sum.count).toBe(5);
	});

	it("takes what is out of range as the nearest that is in it", () => {
		expect(histogramOf([-5]).percentile(1)).toBe(0);
		expect(histogramOf([1e12]).percentile(1)).toBe(2 ** 31 - 1);
	});

	it("of nothing has no percentile", () => {
		expect(new Histogram().percentile(0.5)).toBeNaN();
	});
});
