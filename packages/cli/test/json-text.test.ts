import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseKeepingNumbers } from "../src/json-text.ts";

describe("JSON that a person typed, written again", () => {
	it.each([
		["1.0"],
		["-0"],
		["1e3"],
		['{"p":1.0,"n":12345678901234567890}'],
		["[0.10,100000000000000000000000,1E-7]"],
		['{"lat":40.7128,"text":"1.0","none":null,"yes":true}'],
	])("keeps %s", (text) => {
		expect(JSON.stringify(parseKeepingNumbers(text))).toBe(text);
	});

	it("is the same value as JSON.parse gives, for any JSON", () => {
		fc.assert(
			fc.property(fc.json(), (text) => {
				expect(JSON.parse(JSON.stringify(parseKeepingNumbers(text)))).toEqual(JSON.parse(text));
			}),
		);
	});

	it.each([[""], ["{lat:1}"], ["{'lat':1}"], ["01"], ["NaN"]])("refuses %j", (text) => {
		expect(() => parseKeepingNumbers(text)).toThrow(SyntaxError);
	});
});
