import { describe, expect, it } from "vitest";
import { readCookies } from "../../src/http/cookie.ts";

describe("RFC 6265 §5.4: the Cookie header", () => {
	it.each([
		[undefined, {}],
		["", {}],
		["a=1", { a: "1" }],
		["a=1; b=2;c=3", { a: "1", b: "2", c: "3" }],
		["a=1; a=2", { a: "1" }],
		["a==x=y", { a: "=x=y" }],
		["a=", { a: "" }],
		["nothing; =no-name; a=1;", { a: "1" }],
		['a="quoted"', { a: '"quoted"' }],
	])("%j", (header, cookies) => {
		expect({ ...readCookies(header) }).toEqual(cookies);
	});

	it("S18: takes __proto__ and constructor for names like any other", () => {
		const cookies = readCookies("__proto__=x; constructor=y");
		expect(Object.getPrototypeOf(cookies)).toBeNull();
		expect(Object.entries(cookies)).toEqual([
			["__proto__", "x"],
			["constructor", "y"],
		]);
		expect(readCookies("a=1").toString).toBeUndefined();
	});
});
