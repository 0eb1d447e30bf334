import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type Schema, validate } from "../src/index.ts";
import { MAX_ISSUE_CHARACTERS, MAX_ISSUE_PATH, MAX_ISSUES } from "../src/validate.ts";

const schemas: readonly (readonly [string, Schema])[] = [
	["zod", z.object({ at: z.array(z.object({ lat: z.number() })), note: z.string().default("none") })],
	["valibot", v.object({ at: v.array(v.object({ lat: v.number() })), note: v.optional(v.string(), "none") })],
	["arktype", type({ at: type({ lat: "number" }).array(), note: "string = 'none'" })],
];

describe.each(schemas)("a value before a schema of %s", (_vendor, schema) => {
	it("that holds gives the schema's output", async () => {
		expect(await validate(schema, { at: [{ lat: 1 }] })).toEqual({
			ok: true,
			value: { at: [{ lat: 1 }], note: "none" },
		});
	});

	it("that does not hold gives what is wrong, where", async () => {
		const result = await validate(schema, { at: [{ lat: 1 }, { lat: "x" }] });
		expect(result).toMatchObject({ ok: false, issues: [{ path: ["at", 1, "lat"] }] });
	});

	it("with a million faults gives a few", async () => {
		const at = Array.from({ length: 10_000 }, () => ({ lat: "x" }));
		const result = await validate(schema, { at });
		expect(result.ok ? 0 : result.issues.length).toBe(MAX_ISSUES);
	});
});

describe("what a validator says", () => {
	const saying = (issue: { message: string; path?: readonly unknown[] }): Schema =>
		({ "~standard": { version: 1, vendor: "test", validate: () => ({ issues: [issue] }) } }) as unknown as Schema;

	it("is cut where it quotes a message at length", () => {
		const result = validate(saying({ message: "x".repeat(1_000_000), path: ["y".repeat(1_000_000)] }), null);
		expect(result).toMatchObject({ ok: false });
		expect(JSON.stringify(result).length).toBeLessThan(3 * MAX_ISSUE_CHARACTERS);
	});

	it("is cut where a path is as deep as a message can nest", () => {
		const result = validate(saying({ message: "deep", path: Array.from({ length: 100_000 }, () => "a") }), null);
		expect(result).toMatchObject({ issues: [{ path: { length: MAX_ISSUE_PATH } }] });
	});

	it("has a path of strings and numbers, whatever its segments are", () => {
		const path = ["a", 1, { key: "b" }, { key: 2 }, Symbol("c")];
		expect(validate(saying({ message: "m", path }), null)).toMatchObject({ issues: [{ path: ["a", 1, "b", 2, "c"] }] });
		expect(validate(saying({ message: "m" }), null)).toMatchObject({ issues: [{ path: [] }] });
	});
});

describe("a validator", () => {
	it("that is synchronous answers at once", () => {
		expect(validate(z.string(), "a")).toEqual({ ok: true, value: "a" });
	});

	it("that is asynchronous answers with a promise", async () => {
		const known = z.string().refine(async (word) => word === "known");
		expect(validate(known, "known")).toBeInstanceOf(Promise);
		expect(await validate(known, "known")).toEqual({ ok: true, value: "known" });
		expect(await validate(known, "other")).toMatchObject({ ok: false });
	});

	it("that throws is not the value's fault", async () => {
		const broken = (): never => {
			throw new Error("broken");
		};
		expect(() => validate(type("string").pipe(broken), "a")).toThrow("broken");
		// zod, which tries again asynchronously, rejects.
		await expect(validate(z.string().transform(broken), "a")).rejects.toThrow("broken");
	});
});
