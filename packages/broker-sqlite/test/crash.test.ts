/**
 * I1, I2 and I6 of a node that dies: what was accepted is there once, at its position, for whoever takes the
 * file over.
 */
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import type { Synchronous } from "../src/index.ts";
import { crash } from "./crash.ts";
import { makePath } from "./files.ts";

it.each([
	["full", 1],
	["normal", 2],
] as readonly [Synchronous, number][])(
	"F1: ten processes killed one after another at seeded moments lose nothing that was accepted (%s)",
	{ timeout: 60_000 },
	async (synchronous, seed) => {
		const { accepted, faults } = await crash({ path: makePath(), rounds: 10, synchronous, seed });
		expect(faults).toEqual([]);
		expect(accepted).toBeGreaterThanOrEqual(10);
	},
);

it.each([
	["an entry that is gone", "DELETE FROM entry WHERE log = 1 AND place = 1", /was accepted as \S+ and is gone/],
	[
		"one that is another",
		"UPDATE entry SET data = CAST('1000000' AS BLOB) WHERE log = 1 AND place = 1",
		/and is 1000000/,
	],
	["one that is there twice", "UPDATE entry SET data = (SELECT data FROM entry WHERE log = 2)", /is there twice/],
	["an epoch that changed", "UPDATE file SET era = era + 1", /was accepted as \S+ and is gone/],
	["a key that was forgotten", "DELETE FROM outcome", /the repeat of \d+ came to/],
])("the check finds %s", async (_what, sql, words) => {
	const tamper = (path: string): void => {
		const file = new DatabaseSync(path);
		file.exec(sql);
		file.close();
	};
	const { faults } = await crash({ path: makePath(), rounds: 1, synchronous: "normal", seed: 3, tamper });
	expect(faults.join("\n")).toMatch(words);
});
