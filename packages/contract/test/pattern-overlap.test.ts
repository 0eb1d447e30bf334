import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePattern } from "../src/index.ts";
import { nameInBoth } from "../src/pattern-overlap.ts";

const overlap = (left: string, right: string): string | undefined =>
	nameInBoth(compilePattern(left), compilePattern(right));

describe("two patterns", () => {
	it.each([
		["order_{id}", "order_123", "order_123"],
		["order_{id}", "{kind}_1", "order_1"],
		["{a}_{b}", "{c}-{d}", undefined as string | undefined],
		["{a}", "{b}", "x"],
		["a{x}b", "ab{y}", "abb"],
	])("%s and %s share a name", (left, right, name) => {
		const found = overlap(left, right);
		expect(found).toBeDefined();
		if (name !== undefined) {
			expect(found).toBe(name);
		}
	});

	it.each([
		["order_{id}", "order_{id}:notes"],
		["order_{id}", "parcel_{id}"],
		["order_{id}", "order_"],
		["chat:{room}", "chat:{room}:{thread}"],
		["{a}/{b}", "{a}"],
		["{a}b", "{a}c"],
		["lobby", "lobby2"],
	])("%s and %s share none", (left, right) => {
		expect(overlap(left, right)).toBeUndefined();
	});

	it("overlap exactly where some name matches both, and the example is a shortest one", () => {
		const alphabet = ["a", "b", ":"];
		const names = [""];
		for (let start = 0, length = 1; length <= 7; length++) {
			const end = names.length;
			for (; start < end; start++) {
				names.push(...alphabet.map((character) => names[start]! + character));
			}
		}
		// No shortest common name is longer than the names tried: each pattern has 4 steps at most.
		const literal = fc.constantFrom("a", "b", ":", "ab");
		const source = fc
			.array(fc.oneof(literal, fc.constant("{}")), { minLength: 1, maxLength: 4 })
			.map((parts) => parts.filter((part, index) => part !== "{}" || parts[index - 1] !== "{}"))
			.filter((parts) => parts.join("").replaceAll("{}", "p").length <= 4)
			.map((parts) => parts.map((part, index) => (part === "{}" ? `{p${index}}` : part)).join(""));
		fc.assert(
			fc.property(source, source, (left, right) => {
				const [a, b] = [compilePattern(left), compilePattern(right)];
				const shared = names.find((name) => a.match(name) !== undefined && b.match(name) !== undefined);
				const found = nameInBoth(a, b);
				expect(found?.length).toBe(shared?.length);
				if (found !== undefined) {
					expect(a.match(found) && b.match(found)).toBeDefined();
				}
			}),
			{ numRuns: 500 },
		);
	});
});
