import { describe, expect, it } from "vitest";
import type { Continuity, Result } from "../../src/bench/result.ts";
import { describeContinuity, describeResult, tableOf } from "../../src/bench/text.ts";

const CLEAN: Continuity = {
	subscriptions: 1_000,
	delivered: 12_000,
	lost: 0,
	repeated: 0,
	announced: 0,
	resets: 0,
	unanswered: 0,
	closed: 0,
	closedWhy: null,
};

describe("what is said of continuity", () => {
	it("is that it held", () => {
		expect(describeContinuity(CLEAN)).toBe(
			"continuity: each offset once and in order: 12,000 deliveries to 1,000 subscriptions",
		);
	});

	it("is that it held with holes that were announced", () => {
		expect(describeContinuity({ ...CLEAN, announced: 57, resets: 1 })).toMatch(
			/^continuity: no silent hole, 57 announced as not delivered, 1 resets: /,
		);
	});

	it("is each fault with its number", () => {
		const told = describeContinuity({
			...CLEAN,
			lost: 3,
			repeated: 1,
			unanswered: 7,
			closed: 2,
			closedWhy: "code 4008, slow",
		});
		expect(told).toMatch(
			/^continuity BROKEN: 3 lost, 1 repeated or out of order, 7 publishes without an answer, 2 connections ended by the server \(/,
		);
		expect(told).toContain("code 4008, slow");
	});
});

describe("a result in words", () => {
	const result: Result = {
		subject: "latency",
		date: "2026-01-31",
		url: "ws://127.0.0.1:7400/connect",
		machine: {},
		goals: [],
		absent: [],
		method: "…",
		options: { clients: 100 },
		rows: [{ system: "server", case: "100/s", deliveries: 5, "p99 ms": null }],
		series: [],
		continuity: [CLEAN],
		load: [{ processes: 1, cpuShare: 0.123, lateMs: 0.2, limit: null }],
		refused: {},
	};

	it("has a table, and a dash where there is no figure", () => {
		expect(tableOf(result.rows)).toEqual(["case   deliveries  p99 ms", "100/s           5       –"]);
	});

	it("says that the load was not the limit, and when it was", () => {
		expect(describeResult(result)).toContain(
			"  load: 1 process, the busiest at 12 % of a core, publishes late by p99 0.2 ms; not the limit",
		);
		const limited = { ...result, load: [{ ...result.load[0]!, limit: "a load process used 97 % of a core" }] };
		expect(describeResult(limited).join("\n")).toMatch(/THE LIMIT: a load process used 97 % of a core$/m);
	});

	it("says what was refused, what disturbed it, and that it was stopped", () => {
		const told = describeResult({ ...result, refused: { rate_limited: 7 }, disturbed: "why", interrupted: true });
		expect(told[0]).toBe("latency, stopped before its time (clients 100)");
		expect(told).toContain("  refused by the server: 7 publishes (rate_limited)");
		expect(told).toContain("  disturbed: why");
	});
});
