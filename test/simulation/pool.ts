/** Runs many seeds in several threads, each with globals of its own. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { BugName } from "./bugs.ts";
import type { Scenario } from "./scenario.ts";
import type { Outcome } from "./simulate.ts";

export type Result = Omit<Outcome, "counts">;

interface Work {
	readonly bug: BugName | undefined;
	/** In place of what the seed says. */
	readonly scenario: Partial<Scenario>;
	readonly trace: boolean;
}

/** What one thread does: `count` seeds, each `step` after the one before. */
export interface Job extends Work {
	readonly from: number;
	readonly step: number;
	readonly count: number;
}

export interface PoolOptions extends Partial<Work> {
	readonly from: number;
	readonly seeds: number;
	/** Default: as many as there are processors. */
	readonly threads?: number;
	/** Called for each seed, in any order. True: no more is needed. */
	readonly done: (result: Result) => boolean | undefined;
}

/** Resolves when all seeds are done, or no more are needed. Rejects when a thread dies. */
export async function runSeeds(options: PoolOptions): Promise<void> {
	const { from, seeds, bug, scenario = {}, trace = false, done } = options;
	const threads = Math.min(seeds, options.threads ?? availableParallelism());
	const workers = Array.from({ length: threads }, (_, index) => {
		const count = Math.ceil((seeds - index) / threads);
		const job: Job = { from: from + index, step: threads, count, bug, scenario, trace };
		return { count, worker: new Worker(new URL("worker.ts", import.meta.url), { workerData: job, execArgv: EXEC }) };
	});
	try {
		await new Promise<void>((resolve, reject) => {
			let left = seeds;
			for (const { worker, count } of workers) {
				let own = count;
				worker.on("message", (result: Result) => {
					own--;
					left--;
					if (done(result) === true || left === 0) {
						resolve();
					}
				});
				worker.on("error", reject);
				worker.on("exit", (code) => own > 0 && reject(new Error(`a thread ended early, with ${code}`)));
			}
		});
	} finally {
		await Promise.all(workers.map(({ worker }) => worker.terminate()));
	}
}

/** One seed, with what happened in words where `trace` is set. */
export async function runSeed(seed: number, options: Partial<Work> = {}): Promise<Result> {
	let found: Result | undefined;
	await runSeeds({
		...options,
		from: seed,
		seeds: 1,
		done(result) {
			found = result;
			return true;
		},
	});
	if (found === undefined) {
		throw new Error(`seed ${seed} gave no result`);
	}
	return found;
}

const EXEC = ["--conditions=tidewire-source", "--disable-warning=ExperimentalWarning"];
