import { describe, expect, it } from "vitest";
import { backoffMs, hintMs, MAX_HINT_MS } from "../src/backoff.ts";

const maxMs = 30_000;

describe("backoff", () => {
	it("is anything from nothing to a ceiling that doubles with each try (full jitter)", () => {
		const ceilings = [0, 1, 2, 3, 4, 5, 6].map((attempt) => backoffMs(maxMs, attempt, 1));
		expect(ceilings).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
		expect(backoffMs(maxMs, 3, 0)).toBe(0);
	});

	it("stays bounded after a million tries", () => {
		expect(backoffMs(maxMs, 1_000_000, 1)).toBe(30_000);
	});

	it("waits at least as long as the server asks", () => {
		expect(backoffMs(maxMs, 0, 0.5, 3.2)).toBe(3_200);
	});

	it("is not shortened by a server that asks for no wait (S45, retry: 0)", () => {
		expect(backoffMs(maxMs, 2, 0.5, 0)).toBe(2_000);
	});

	it.each([1e9, Number.MAX_VALUE, Number.POSITIVE_INFINITY])("does not stay away for %d seconds (S45)", (hint) => {
		expect(hintMs(hint)).toBe(MAX_HINT_MS);
	});

	it.each([-1, Number.NaN, "5", null, undefined, {}])("takes %s for no hint", (hint) => {
		expect(hintMs(hint)).toBe(0);
	});
});
