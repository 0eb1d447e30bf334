/** What a run of a state channel's entries comes to, for a subscriber that did not take them one by one. Pure. */
import type { Entry } from "@tidewire/broker";
import { applyPatch, composePatches } from "@tidewire/protocol/merge-patch";
import { decodeJson, encodeJson } from "./document.ts";

/** One message instead of many: a patch of what the subscriber has, or the value after the last entry. */
export interface Merged {
	readonly kind: "patch" | "value";
	readonly text: Uint8Array;
}

/** Above this, merging costs more than sending the whole value. */
const MAX_BYTES = 1024 * 1024;

/** Undefined where there is nothing to merge, too much, or no one patch that does what all of them do. */
export function mergeEntries(entries: readonly Entry[]): Merged | undefined {
	const start = entries.findLastIndex((entry) => entry.patch !== true);
	const run = start < 0 ? entries : entries.slice(start);
	const [first] = run;
	if (first === undefined) {
		return undefined;
	}
	const kind = start < 0 ? "patch" : "value";
	if (run.length === 1) {
		return { kind, text: first.data };
	}
	if (run.reduce((bytes, entry) => bytes + entry.data.length, 0) > MAX_BYTES) {
		return undefined;
	}
	const merge = kind === "value" ? applyPatch : composePatches;
	let merged = decodeJson(first.data);
	for (const { data } of run.slice(1)) {
		merged = merge(merged, decodeJson(data));
		if (merged === undefined) {
			return undefined;
		}
	}
	return { kind, text: encodeJson(merged) };
}
