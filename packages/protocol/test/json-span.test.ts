import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memberSpan, nestsDeeper, trimSpan } from "../src/json-span.ts";
import { awkward, jsonValue } from "./messages.ts";
import { bytesOf, textOf } from "./speech.ts";

function member(text: string, name = "data"): string | undefined {
	const bytes = bytesOf(text);
	const span = memberSpan(bytes, name);
	return span && textOf(bytes.subarray(span.start, span.end));
}

describe("a member's own text", () => {
	test.each([
		['{"data":1}', "1"],
		[' \t\r\n{ "data" : 1.0 }\n', "1.0"],
		['{"a":{"data":1},"data":[{"data":2}]}', '[{"data":2}]'],
		['{"a":"\\"data\\":1","data":2}', "2"],
		['{"a":"\\\\","data":"\\\\\\""}', '"\\\\\\""'],
		['{"data":1,"data":2}', "2"],
		['{"d\\u0061ta":1}', "1"],
		['{"data":1,"\\u0064ata":2,"datb":3}', "2"],
		['{"größe":"ß","data":"日本"}', '"日本"'],
		['{"data":"]},{"}', '"]},{"'],
		['{"data":[ [ ] , { } ] , "z":1}', "[ [ ] , { } ]"],
		['{"data":-1e5,"z":null}', "-1e5"],
		["{}", undefined],
		['{"dat":1,"datas":2,"":3}', undefined],
		['{"a":["data",1]}', undefined],
	])("of %j is %j", (text, expected) => {
		expect(member(text)).toBe(expected);
	});

	test("is what JSON.parse reads, whatever stands around it", () => {
		const name = fc.oneof(awkward, fc.constantFrom("data", "id", "\\", '"'), fc.string({ unit: "binary" }));
		fc.assert(
			fc.property(fc.array(fc.tuple(name, jsonValue), { maxLength: 8 }), fc.constantFrom(0, 1, 2), (fields, indent) => {
				const object = Object.fromEntries(fields);
				const text = JSON.stringify(object, undefined, indent);
				const found = member(text);
				expect(found === undefined ? undefined : JSON.parse(found)).toEqual(object.data);
			}),
		);
	});

	test("is found behind 100,000 levels without recursion", () => {
		const deep = "[".repeat(100_000) + "]".repeat(100_000);
		expect(member(`{"a":${deep},"data":${deep}}`)).toBe(deep);
	});

	test("S22 is found in linear time: a million backslashes and a million keys", () => {
		expect(member(`{"a":"${"\\\\".repeat(1_000_000)}","data":1}`)).toBe("1");
		expect(member(`{${'"d\\u0061ta":1,'.repeat(100_000)}"data":2}`)).toBe("2");
	});

	test("ends on any bytes, though only JSON is promised an answer", () => {
		fc.assert(
			fc.property(fc.oneof(fc.uint8Array(), fc.string().map(bytesOf)), (bytes) => {
				trimSpan(bytes);
				nestsDeeper(bytes, 1);
				try {
					memberSpan(bytes, "data");
				} catch (error) {
					// A key that looks escaped and is no JSON string.
					expect(error).toBeInstanceOf(SyntaxError);
				}
			}),
		);
	});
});

describe("outer white space", () => {
	test.each([
		["", 0, 0],
		[" ", 0, 0],
		["1", 0, 1],
		[" \t\r\n1 ", 4, 5],
		[' " " ', 1, 4],
	])("of %j", (text, start, end) => {
		const span = trimSpan(bytesOf(text));
		expect(text.slice(span.start, span.end)).toBe(text.slice(start, end));
	});
});

describe("nesting", () => {
	test.each([
		["[[1]]", 1, true],
		["[[1]]", 2, false],
		["[[],[],[],[]]", 2, false],
		['["[[[[[[[[", 1]', 1, false],
		['["\\"[[[[", 1]', 1, false],
		['{"a":{"b":{}}}', 2, true],
	])("of %j beyond %d levels: %s", (text, levels, deeper) => {
		expect(nestsDeeper(bytesOf(text), levels)).toBe(deeper);
	});
});
