import { describe, expect, test } from "vitest";
import { play, type Result } from "./play.ts";
import { diff, ROLES, readExpected } from "./results.ts";
import { TABLE } from "./table.ts";

const GROUPS = [
	[1, "framing", 16],
	[2, "pings and pongs", 11],
	[3, "reserved bits", 7],
	[4, "opcodes", 10],
	[5, "fragmentation", 20],
	[6, "UTF-8", 145],
	[7, "closing handshake", 37],
	[9, "sizes", 54],
	[10, "autofragmentation", 1],
	[12, "compression of contents", 90],
	[13, "compression parameters", 126],
] as const;

const expected = readExpected();
const numbered = (group: number): typeof TABLE => TABLE.filter(({ id }) => id.startsWith(`${group}.`));

/** Group 9 moves half a gigabyte. */
const TIMEOUT_MS = 120_000;

describe("the conformance table, in both roles, against expected.json", () => {
	test.each(GROUPS)(
		"%i: %s, %i cases",
		async (group, _name, count) => {
			const cases = numbered(group);
			expect(cases).toHaveLength(count);
			const results = new Map<string, Result>();
			for (const one of cases) {
				for (const role of ROLES) {
					results.set(`${one.id} ${role}`, await play(one, role));
				}
			}
			const ours = new Map([...expected].filter(([name]) => name.startsWith(`${group}.`)));
			// Where a change is meant: regenerate.ts.
			expect(diff(ours, results)).toEqual([]);
		},
		TIMEOUT_MS,
	);

	test("517 cases, each number once, each expected to pass, none merely non-strict", () => {
		expect(new Set(TABLE.map(({ id }) => id)).size).toBe(517);
		const behaviours = Map.groupBy(expected, ([, { behaviour }]) => behaviour);
		expect([...behaviours].map(([behaviour, all]) => [behaviour, all.length])).toEqual([
			["OK", 2 * 514],
			["INFORMATIONAL", 2 * 3],
		]);
	});
});

describe("what differs is told", () => {
	const passed: Result = { behaviour: "OK", close: 1000, events: [], in: "", out: "" };

	test("a changed result, a missing one and a new one", () => {
		const before = new Map([
			["1.1.1 server", passed],
			["1.1.2 server", passed],
		]);
		const now = new Map([
			["1.1.1 server", { ...passed, close: 1002 }],
			["1.1.3 server", passed],
		]);
		expect(diff(before, now).map((line) => line.slice(0, 14))).toEqual([
			"- 1.1.1 server",
			"+ 1.1.1 server",
			"- 1.1.2 server",
			"+ 1.1.3 server",
		]);
		expect(diff(before, before)).toEqual([]);
	});
});
