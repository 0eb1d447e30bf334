/** I1, I2 and I6 of a node that dies: what was accepted is there once, at its position, for whoever takes the file over. */
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
