/**
 * `npm run simulate -- [--seeds N] [--seed N] [--threads N] [--bug NAME] [--verbose]`: simulates seeds
 * from 1 (or `--seed`) on, prints what was wrong, and exits with 1 if anything was. With `--seed` and no `--seeds`, one; and
 * what happened in it, line by line, where it failed or with `--verbose`.
 */
import { parseArgs } from "node:util";
import { BUGS, type BugName } from "./bugs.ts";
import { type Result, runSeed, runSeeds } from "./pool.ts";

const MOST_SHOWN = 5;
const PROGRESS_EVERY = 1_000;

const { values } = parseArgs({
	options: {
		seeds: { type: "string" },
		seed: { type: "string" },
		threads: { type: "string" },
		bug: { type: "string" },
		verbose: { type: "boolean", default: false },
	},
});
const from = number("seed") ?? 1;
const seeds = number("seeds") ?? (values.seed === undefined ? 1_000 : 1);
const threads = number("threads");
const bug = values.bug;
if (bug !== undefined && !isBug(bug)) {
	throw new Error(`--bug is one of: ${Object.keys(BUGS).join(", ")}`);
}

const startedAt = performance.now();
const failed: Result[] = [];
let done = 0;
let known = 0;
let steps = 0;
let acknowledged = 0;
let delivered = 0;
const work = { bug };
await runSeeds({
	...work,
	from,
	seeds,
	...(threads === undefined ? {} : { threads }),
	done(result) {
		done++;
		steps += result.steps;
		acknowledged += result.acknowledged;
		delivered += result.delivered;
		if (result.wrong.length > 0) {
			failed.push(result);
		}
		known += result.known.length > 0 ? 1 : 0;
		if (done % PROGRESS_EVERY === 0 || done === seeds) {
			console.log(`${done} of ${seeds} seeds, ${failed.length} failed, ${seconds()} s`);
		}
		return undefined;
	},
});
console.log(
	`${steps} steps, ${acknowledged} messages acknowledged, ${delivered} delivered; ${known} seeds with what is known`,
);
failed.sort((one, other) => one.seed - other.seed);
for (const { seed, wrong } of failed.slice(0, MOST_SHOWN)) {
	console.log(`seed ${seed}:\n    ${wrong.join("\n    ")}`);
}
const shown = failed[0]?.seed ?? from;
if (values.verbose || (failed.length > 0 && bug === undefined)) {
	const { trace } = await runSeed(shown, { ...work, trace: true });
	console.log(`seed ${shown}, from the beginning:\n${trace.join("\n")}`);
}
if (failed.length > 0) {
	console.log(`failed: ${failed.map(({ seed }) => seed).join(" ")}`);
	process.exitCode = 1;
}

function number(name: "seed" | "seeds" | "threads"): number | undefined {
	const text = values[name];
	if (text === undefined) {
		return undefined;
	}
	const value = Number(text);
	if (!(value >= 0) || text === "") {
		throw new Error(`--${name} is ${text}, expected a number`);
	}
	return value;
}

function isBug(name: string): name is BugName {
	return Object.hasOwn(BUGS, name);
}

function seconds(): string {
	return ((performance.now() - startedAt) / 1_000).toFixed(1);
}
