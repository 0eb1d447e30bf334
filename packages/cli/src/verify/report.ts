/** The verdict in words: what was acknowledged, what came of it, each counter, and the evidence of what is wrong. Pure. */
import { COUNTER_NAMES, COUNTERS, type Counter } from "./judge/counters.ts";
import type { Verdict } from "./judge/verdict.ts";

export function describeVerdict({ counts, examples, figures, complete }: Verdict): readonly string[] {
	const lines = [
		`${figure(figures.acknowledged)} acknowledged (${figures.durability})`,
		`${figure(figures.published)} published`,
		`${figure(figures.unknown)} unknown: not answered, may have been performed`,
		`${figure(figures.refused)} refused`,
		`${figure(figures.resent)} sent again under the same id`,
		`${figure(figures.delivered)} delivered`,
		`${figure(figures.connectionsLost)} connections lost`,
		`${figure(figures.recovered)} subscriptions recovered, ${figures.notRecovered} told that they could not`,
		`${figure(sum(figures.announcedLosses))} deliveries announced as lost${detail(figures.announcedLosses)}`,
		`${figure(figures.presence.told)} changes of presence told, ${figures.presence.lists} lists of members compared`,
		`${figure(sum(figures.faults))} faults${detail(figures.faults)}`,
		"",
		...COUNTER_NAMES.map((name) => {
			const { invariant, meaning } = COUNTERS[name];
			return `${figure(counts[name])} ${name.padEnd(14)} ${invariant.padEnd(3)} ${meaning}`;
		}),
	];
	if (examples.length > 0) {
		lines.push("", "Evidence (lines of the record):");
		lines.push(...examples.map(({ counter, text, lines: at }) => `  ${counter}: ${text} [${at.join(", ")}]`));
	}
	if (!complete) {
		lines.push("", "The record has no end: what had not come by then is not judged.");
	}
	return lines;
}

const SUMMARIZED: readonly Counter[] = ["lost_acked", "silent_gap", "duplicates", "reorder", "nonmonotonic"];

/** In one line: the promise, and whether it was kept. */
export function summarize({ counts, figures }: Verdict): string {
	// A message that was passed over counts as a hole and as lost; it is one.
	const lost = Math.max(counts.lost_acked, counts.silent_gap);
	const order = counts.reorder + counts.nonmonotonic;
	const rest = COUNTER_NAMES.filter((name) => !SUMMARIZED.includes(name)).reduce((all, name) => all + counts[name], 0);
	const others = rest === 0 ? "" : `, ${rest} other violations`;
	const text = `${lost} lost, ${counts.duplicates} doubled, ${order} out of order`;
	return `${text}${others}, of ${figures.acknowledged} acknowledged messages in ${figures.seconds} s`;
}

function figure(value: number): string {
	return String(value).padStart(10);
}

function sum(figures: Readonly<Record<string, number>>): number {
	return Object.values(figures).reduce((total, value) => total + value, 0);
}

function detail(figures: Readonly<Record<string, number>>): string {
	const parts = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
	return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}
