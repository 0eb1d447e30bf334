/** What `tidewire bench` says of a result to the person. Pure. */
import { type Continuity, isBroken, type LoadState, type Result, type Row } from "./result.ts";

export function describeResult(result: Result): readonly string[] {
	const { subject, interrupted, rows, continuity, load, refused, disturbed, options } = result;
	const settings = Object.entries(options).map(([name, value]) => `${name} ${value}`);
	return [
		`${subject}${interrupted === true ? ", stopped before its time" : ""} (${settings.join(", ")})`,
		...tableOf(rows).map((line) => `  ${line}`),
		...rows.flatMap((row, index) => {
			const prefix = rows.length > 1 ? `${row.case}: ` : "";
			return [describeContinuity(continuity[index]!), describeLoad(load[index]!)].map((line) => `  ${prefix}${line}`);
		}),
		...Object.entries(refused).map(([code, count]) => `  refused by the server: ${grouped(count)} publishes (${code})`),
		...(disturbed === undefined ? [] : [`  disturbed: ${disturbed}`]),
	];
}

export function describeContinuity(continuity: Continuity): string {
	const { subscriptions, delivered, lost, repeated, announced, resets, unanswered, closed, closedWhy } = continuity;
	const told = [
		...(announced > 0 ? [`${grouped(announced)} announced as not delivered`] : []),
		...(resets > 0 ? [`${grouped(resets)} resets`] : []),
	];
	if (!isBroken(continuity)) {
		const all = told.length === 0 ? "each offset once and in order" : `no silent hole, ${told.join(", ")}`;
		return `continuity: ${all}: ${grouped(delivered)} deliveries to ${grouped(subscriptions)} subscriptions`;
	}
	const faults = [
		...(lost > 0 ? [`${grouped(lost)} lost`] : []),
		...(repeated > 0 ? [`${grouped(repeated)} repeated or out of order`] : []),
		...(unanswered > 0 ? [`${grouped(unanswered)} publishes without an answer`] : []),
		...(closed > 0 ? [`${grouped(closed)} connections ended by the server (${closedWhy ?? "no reason"})`] : []),
		...told,
	];
	return `continuity BROKEN: ${faults.join(", ")}; ${grouped(delivered)} deliveries to ${grouped(subscriptions)} subscriptions`;
}

function describeLoad({ processes, cpuShare, lateMs, limit }: LoadState): string {
	const used = `${processes} ${processes === 1 ? "process" : "processes"}, the busiest at ${Math.round(100 * cpuShare)} % of a core`;
	const late = lateMs > 0 ? `, publishes late by p99 ${lateMs} ms` : "";
	return limit === null ? `load: ${used}${late}; not the limit` : `load: ${used}; THE LIMIT: ${limit}`;
}

/** Numbers to the right, words to the left. */
export function tableOf(rows: readonly Row[]): readonly string[] {
	const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => name !== "system");
	const cell = (value: string | number | null | undefined): string =>
		value === null || value === undefined ? "–" : String(value);
	const widths = names.map((name) => Math.max(name.length, ...rows.map((row) => cell(row[name]).length)));
	const line = (cells: readonly string[], isText: (index: number) => boolean): string =>
		cells
			.map((text, index) => (isText(index) ? text.padEnd(widths[index]!) : text.padStart(widths[index]!)))
			.join("  ")
			.trimEnd();
	const isText = (index: number): boolean => rows.some((row) => typeof row[names[index]!] === "string");
	return [
		line(names, isText),
		...rows.map((row) =>
			line(
				names.map((name) => cell(row[name])),
				isText,
			),
		),
	];
}

function grouped(count: number): string {
	return count.toLocaleString("en");
}
