/** Bugs that a broker may have, one each, as seen from outside. The compliance suite must find every one. */
import type { BugTable } from "./broken/breaking.ts";
import { channelBugs } from "./broken/channels.ts";
import { logBugs } from "./broken/log.ts";
import { recordBugs } from "./broken/records.ts";
import { scheduleBugs } from "./broken/schedule.ts";
import { snapshotBugs } from "./broken/snapshots.ts";

export const BUGS: BugTable = {
	...logBugs,
	...snapshotBugs,
	...scheduleBugs,
	...channelBugs,
	...recordBugs,
};
