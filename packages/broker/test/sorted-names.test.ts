/** Sorted names against a set that is sorted anew for each list. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { SortedNames } from "../src/sorted-names.ts";

const name = fc.string({ unit: fc.constantFrom("a", "b", "\uffff", "\u{1f697}"), maxLength: 4 });

function expected(names: Iterable<string>, prefix: string, after: string | undefined, limit: number): string[] {
	const found = [...names].filter((each) => each.startsWith(prefix) && (after === undefined || each > after));
	return found.sort().slice(0, limit);
}

it("any sequence of add, delete and list agrees with a set", () => {
	const step = fc.oneof(
		fc.record({ do: fc.constantFrom("add" as const, "delete" as const), name }),
		fc.record({
			do: fc.constant("list" as const),
			prefix: name,
			after: fc.option(name, { nil: undefined }),
			limit: fc.nat(20),
		}),
	);
	fc.assert(
		fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
			const names = new SortedNames();
			const model = new Set<string>();
			for (const each of steps) {
				if (each.do === "list") {
					const { prefix, after, limit } = each;
					expect(names.list({ prefix, after, limit }, () => true)).toEqual(expected(model, prefix, after, limit));
				} else {
					names[each.do](each.name);
					model[each.do](each.name);
				}
			}
		}),
	);
});

it.each([
	["in order", (index: number) => index],
	["backwards", (index: number) => 20_000 - index],
	["scattered", (index: number) => (index * 7_919) % 20_011],
])("twenty thousand names that come %s, and go again, are listed whole at every stage", (_, place) => {
	const names = new SortedNames();
	const model = new Set<string>();
	const check = (): void => {
		for (const after of [undefined, "n5", "n19999"]) {
			const options = { prefix: "n", after, limit: Infinity };
			expect(names.list(options, () => true)).toEqual(expected(model, "n", after, Infinity));
		}
		expect(names.list({ prefix: "n12", after: "n123", limit: 3 }, () => true)).toEqual(
			expected(model, "n12", "n123", 3),
		);
	};
	for (let index = 0; index < 20_000; index++) {
		names.add(`n${place(index)}`);
		model.add(`n${place(index)}`);
	}
	check();
	for (let index = 0; index < 20_000; index++) {
		if (index % 100 !== 0) {
			names.delete(`n${place(index)}`);
			model.delete(`n${place(index)}`);
		}
	}
	check();
	for (const each of model) {
		names.delete(each);
	}
	model.clear();
	check();
});

it("a name may be deleted while it is asked about, and does not count", () => {
	const names = new SortedNames();
	for (let index = 0; index < 3_000; index++) {
		names.add(`n${index + 10_000}`);
	}
	const ask = (each: string): boolean => {
		const isKept = each.endsWith("0");
		if (!isKept) {
			names.delete(each);
		}
		return isKept;
	};
	const listed = names.list({ prefix: "n", after: undefined, limit: 250 }, ask);
	expect(listed).toHaveLength(250);
	expect(listed.at(-1)).toBe("n12490");
	expect(names.list({ prefix: "n124", after: undefined, limit: 100 }, () => true)).toHaveLength(19);
});
