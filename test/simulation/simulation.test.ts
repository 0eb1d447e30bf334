/** The simulation in the tests: many seeds, and the proof that what is wrong would be found. More: `npm run simulate`. */
import { describe, expect, test } from "vitest";
import { BUGS, type BugName } from "./bugs.ts";
import { type Result, runSeed, runSeeds } from "./pool.ts";

const SEEDS = 2_000;
/** Each bug must show in as many seeds as the suite runs; in fact it shows much earlier. */
const SECONDS = 1_000;

describe("server, client and broker on a virtual clock, with faults", () => {
	test(`${SEEDS} seeds keep I1 to I8, I10 and I11; calls are performed once; nobody is told of a loss that is none`, {
		timeout: 120 * SECONDS,
	}, async () => {
		const failed: Result[] = [];
		let acknowledged = 0;
		await runSeeds({
			from: 1,
			seeds: SEEDS,
			done(result) {
				acknowledged += result.acknowledged;
				if (result.wrong.length > 0) {
					failed.push(result);
				}
				return false;
			},
		});
		const words = failed.map(({ seed, wrong }) => `npm run simulate -- --seed ${seed}: ${wrong.join("; ")}`);
		expect(words).toEqual([]);
		expect(acknowledged).toBeGreaterThan(SEEDS);
	});

	test.each(Object.keys(BUGS) as BugName[])("a server that %s is found", { timeout: 60 * SECONDS }, async (bug) => {
		let found: Result | undefined;
		await runSeeds({
			from: 1,
			seeds: SEEDS,
			bug,
			done(result) {
				found ??= result.wrong.some((what) => what.startsWith(BUGS[bug].shows)) ? result : undefined;
				return found !== undefined;
			},
		});
		expect(found).toBeDefined();
	});

	test("a seed repeats itself, whatever ran before it in its thread", async () => {
		const digests: number[] = [];
		await runSeeds({ from: 30, seeds: 11, threads: 1, done: ({ digest }) => void digests.push(digest) });
		const [alone, traced] = await Promise.all([runSeed(40), runSeed(40, { trace: true })]);
		expect(alone.digest).toBe(digests.at(-1));
		expect(traced.digest).toBe(alone.digest);
		expect(new Set(digests).size).toBe(digests.length);
	});
});
