import { describe, expect, it } from "vitest";
import { type Fault, KINDS, type PlanOptions, planFaults } from "../../src/verify/fault/plan.ts";
import { seeded } from "../../src/verify/fault/random.ts";

function plan(seed: number, options: Partial<PlanOptions> = {}): readonly Fault[] {
	return planFaults({
		random: seeded(seed),
		kinds: KINDS,
		lastsMs: 60_000,
		everyMs: 1_000,
		publishers: ["p1", "p2"],
		subscribers: ["s1", "s2", "s3"],
		attendees: ["m1"],
		nodes: 3,
		...options,
	});
}

describe("a plan of faults", () => {
	it("is the same for the same seed, and another for another", () => {
		expect(plan(7)).toEqual(plan(7));
		expect(plan(7)).not.toEqual(plan(8));
	});

	it("has a fault every so often, none at the start, none after the end", () => {
		expect(plan(1, { lastsMs: 3_500 }).map(({ atMs }) => atMs)).toEqual([1_000, 2_000, 3_000]);
		expect(plan(1, { lastsMs: 1_000 })).toEqual([]);
		expect(plan(1, { kinds: [] })).toEqual([]);
	});

	it("has every kind before it has one again", () => {
		const kinds = plan(3).map(({ kind }) => kind);
		expect(new Set(kinds.slice(0, KINDS.length)).size).toBe(KINDS.length);
		expect(new Set(kinds.slice(KINDS.length, 2 * KINDS.length)).size).toBe(KINDS.length);
	});

	it("stalls subscribers, holds back the acks of publishers, cuts anybody, and spares half", () => {
		for (let seed = 0; seed < 50; seed++) {
			for (const { kind, clients, node, forMs } of plan(seed)) {
				expect(clients.every((name) => kind === "cut" || name.startsWith(kind === "acks" ? "p" : "s"))).toBe(true);
				expect(new Set(clients).size).toBe(clients.length);
				expect(clients.length).toBeLessThanOrEqual(3);
				expect([0, 1, 2]).toContain(node);
				expect(forMs).toBeLessThan(1_000);
			}
		}
	});
});
