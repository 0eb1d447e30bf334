/** RFC 7396, and what is made of it: one patch of two, a patch from value to value. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyPatch, composePatches, patchBetween } from "../src/merge-patch.ts";

describe("applying a patch (RFC 7396 appendix A)", () => {
	it.each([
		['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
		['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
		['{"a":"b"}', '{"a":null}', "{}"],
		['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
		['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
		['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
		['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
		['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
		['["a","b"]', '["c","d"]', '["c","d"]'],
		['{"a":"b"}', '["c"]', '["c"]'],
		['{"a":"foo"}', "null", "null"],
		['{"a":"foo"}', '"bar"', '"bar"'],
		['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
		["[1,2]", '{"a":"b","c":null}', '{"a":"b"}'],
		["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
	])("%s patched by %s is %s", (value, patch, result) => {
		expect(applyPatch(JSON.parse(value), JSON.parse(patch))).toEqual(JSON.parse(result));
	});

	it("changes nothing that it is given", () => {
		const value = Object.freeze({ a: Object.freeze({ b: 1 }), c: Object.freeze([1]) });
		const result = applyPatch(value, { a: { b: 2 } }) as typeof value;
		expect(value.a.b).toBe(1);
		expect(result.c).toBe(value.c);
	});

	it("S19 takes __proto__ and constructor for members, and leaves prototypes alone", () => {
		const patch: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":2}}}');
		const result = applyPatch({}, patch) as object;
		expect(JSON.stringify(result)).toBe(JSON.stringify(patch));
		expect(Object.getPrototypeOf(result)).toBe(Object.prototype);
		expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
		const again = applyPatch(result, JSON.parse('{"__proto__":{"more":1}}'));
		expect(JSON.stringify(again)).toContain('"__proto__":{"polluted":1,"more":1}');
		expect(JSON.stringify(applyPatch(again, JSON.parse('{"__proto__":null}')))).not.toContain("__proto__");
	});
});

// Few names and small values, so that they meet.
const name = fc.constantFrom("a", "b", "__proto__", "constructor");
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
	json: fc.oneof(
		{ maxDepth: 4, depthSize: "medium" },
		fc.constantFrom(null, 1, 2, "x", true),
		fc.array(tie("json"), { maxLength: 2 }),
		fc.dictionary(name, tie("json"), { maxKeys: 3 }).map((members) => JSON.parse(JSON.stringify(members)) as unknown),
	),
}));
/** Random values seldom are near each other: here the second is made of the first. */
const changed = fc.tuple(json, json).map(([value, patch]) => [value, applyPatch(value, patch)] as const);

const text = (value: unknown): unknown => JSON.parse(JSON.stringify(value, sortedMembers));

function sortedMembers(_name: string, value: unknown): unknown {
	return typeof value === "object" && value !== null && !Array.isArray(value)
		? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
		: value;
}

describe("one patch of two", () => {
	it("does to any value what the two do one after the other", () => {
		let defined = 0;
		fc.assert(
			fc.property(json, json, json, (value, first, second) => {
				const both = composePatches(first, second);
				if (both !== undefined) {
					defined += 1;
					expect(text(applyPatch(value, both))).toEqual(text(applyPatch(applyPatch(value, first), second)));
				}
			}),
			{ numRuns: 5_000 },
		);
		expect(defined).toBeGreaterThan(1_000);
	});

	it.each([
		["removes", { a: null }],
		["replaces by no object", { a: 1 }],
		["replaces by an array", { a: [] }],
	])("is not there where the first %s what the second patches within", (_, first) => {
		expect(composePatches(first, { a: { b: 1 } })).toBeUndefined();
		expect(composePatches({ x: first }, { x: { a: {} } })).toBeUndefined();
	});

	it("is the second where that is no object", () => {
		expect(composePatches({ a: 1 }, [1])).toEqual([1]);
		expect(composePatches({ a: 1 }, { a: null })).toEqual({ a: null });
	});
});

describe("a patch from a value to another", () => {
	it.each([
		["any", fc.tuple(json, json)],
		["near", changed],
	] as const)("leads there, of %s values", (_, pairs) => {
		let defined = 0;
		fc.assert(
			fc.property(pairs, ([from, to]) => {
				const patch = patchBetween(from, to);
				if (patch !== undefined) {
					defined += 1;
					expect(text(applyPatch(from, patch))).toEqual(text(to));
				}
			}),
			{ numRuns: 3_000 },
		);
		expect(defined).toBeGreaterThan(1_000);
	});

	it("is not there where a member becomes null: a patch would remove it", () => {
		expect(patchBetween({ a: 1 }, { a: null })).toBeUndefined();
		expect(patchBetween({}, { a: { b: null } })).toBeUndefined();
		// What is null already may stay so.
		expect(patchBetween({ a: null }, { a: null, b: 1 })).toEqual({ b: 1 });
	});

	it("names what goes, and says nothing of what stays", () => {
		expect(patchBetween({ a: { x: 1, y: 2 }, b: [1] }, { a: { y: 3 }, b: [1] })).toEqual({ a: { x: null, y: 3 } });
	});
});
