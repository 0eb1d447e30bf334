/** Seeds in which something was wrong once. What was repaired stays repaired; what each showed stands in its title. */
import { expect, test } from "vitest";
import { runSeed } from "./pool.ts";
import type { Scenario } from "./scenario.ts";

/** Where the seed alone would not say it any more, what matters of its scenario stands beside it. */
const FOUND: readonly (readonly [number, string, Partial<Scenario>])[] = [
	[107, "a message sent on a dead connection is no proof that the cluster does not heal", {}],
	[
		96,
		"a call whose claim was refused twice while the broker was away, and written the first time, was never begun",
		{},
	],
	[640, "a call that one node had claimed without being told so was waited for at another for ever", {}],
	[4312, "a call that was tried again while its unclear claim was being given up waited for that claim", {}],
	[3335, "a node that was not told of a member finds it in the records within about a minute", {}],
	[3942, "a resume that was late, of a connection that was gone, threw out the client that had come back since", {}],
	[1688, "a client came back to a node that had not been told of what the client had, and was sent back", {}],
	[3409, "the same, in another cluster", {}],
	[2683, "a node that is still on its way out when the faults are over", {}],
];

test.each(FOUND)("seed %i: %s", async (seed, _title, scenario) => {
	expect((await runSeed(seed, { scenario })).wrong).toEqual([]);
});
