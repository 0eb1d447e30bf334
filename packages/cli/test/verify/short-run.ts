/** A run of the whole checker, short enough for a test. */
import type { Verdict } from "../../src/verify/judge/verdict.ts";
import { type RunOptions, verify } from "../../src/verify/run.ts";

export function run(url: URL, options: Partial<RunOptions> = {}): Promise<Verdict> {
	return verify({
		url,
		token: undefined,
		seconds: 0.5,
		publishers: 3,
		subscribers: 4,
		channelName: "verify_{run}_{n}",
		channels: 2,
		rate: 400,
		faults: [],
		everySeconds: 0.1,
		start: undefined,
		nodes: 1,
		seed: 1,
		record: undefined,
		sdk: false,
		presence: true,
		presenceGraceSeconds: 15,
		presenceLateSeconds: 5,
		settleSeconds: 3,
		stopped: new AbortController().signal,
		progress: () => {},
		note: () => {},
		...options,
	});
}
