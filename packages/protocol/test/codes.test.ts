import { expect, test } from "vitest";
import { CLOSE_REASONS, reconnectsAfter } from "../src/index.ts";

test("every close reason has a number of its own, which a close frame may carry", () => {
	const codes = Object.values(CLOSE_REASONS).map((reason) => reason.code);
	expect(new Set(codes).size).toBe(codes.length);
	for (const code of codes) {
		// RFC 6455 §7.4: 1004–1006 and 1015 never travel; 4000–4999 are private.
		expect(code <= 1003 || (code >= 1007 && code <= 1014) || (code >= 4000 && code < 5000)).toBe(true);
	}
});

test.each([
	[1000, false],
	[1001, true],
	[1009, false],
	[1012, true],
	[4001, false],
	[4003, false],
	[4004, true],
	[4008, true],
])("after %d a client comes back: %s", (code, comesBack) => {
	expect(reconnectsAfter(code)).toBe(comesBack);
});

test("a close without a code, or with one that nobody knows, is an accident: the client comes back", () => {
	expect([1005, 1006, 1015, 3000, 4999].map(reconnectsAfter)).toEqual([true, true, true, true, true]);
});
