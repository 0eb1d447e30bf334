/** A thread that runs one simulation after the other, and says what was found. */
import { parentPort, workerData } from "node:worker_threads";
import { BUGS } from "./bugs.ts";
import type { Job, Result } from "./pool.ts";
import { prepareThread, simulate } from "./simulate.ts";

// Before the globals are replaced, on which it stands.
const port = parentPort;

async function run({ from, step, count, bug, scenario, trace }: Job): Promise<void> {
	for (let index = 0, seed = from; index < count; index++, seed += step) {
		const {
			counts: _,
			trace: lines,
			...outcome
		} = await simulate(seed, {
			bug: bug === undefined ? undefined : BUGS[bug],
			scenario,
			trace,
		});
		port?.postMessage({ ...outcome, trace: lines } satisfies Result);
	}
}

prepareThread();
void run(workerData as Job);
