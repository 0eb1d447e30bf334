/** Which pictures a result is worth, and what they show. Pure: results in, SVG out. */
import type { Result, Row, Series } from "../result.ts";
import { type Bar, type BarGroup, drawBars } from "./bar-chart.ts";
import { drawGoals } from "./goal-chart.ts";
import { drawLines } from "./line-chart.ts";

export interface Picture {
	/** Of the file, without its ending. */
	readonly name: string;
	readonly title: string;
	readonly svg: string;
}

/** The columns worth a picture in each subject. Others have the column that has a spread. */
const DRAWN: Readonly<Record<string, readonly string[]>> = {
	latency: ["p99 ms"],
	channels16: ["cpu µs", "p99 ms"],
	crowd: ["p99 ms"],
	compression: ["bytes a delivery", "cpu µs"],
	"many-channels": ["cpu µs"],
	heartbeat: ["cpu ms a minute"],
	stalled: ["p99 ms with", "peak MB"],
};

/** What a column's name says in short. */
const UNITS: Readonly<Record<string, string>> = {
	"cpu µs": "server CPU, µs per delivery",
	"p99 ms": "latency at the 99th percentile, ms",
	bytes: "resident memory, bytes per connection",
	"bytes a delivery": "bytes on the wire per delivery",
	"cpu ms a minute": "server CPU, ms a minute",
	"p99 ms with": "latency at the 99th percentile of the healthy readers, ms",
	"peak MB": "resident memory at its peak, MB",
};

/** Cases that lie further apart than this get an axis each, or the bars of the smaller could not be compared. */
const LARGEST_SPREAD = 12;

export function isOurs(system: string): boolean {
	return system.startsWith("tidewire");
}

export function goalsPicture(results: readonly Result[]): Picture | undefined {
	const groups = results.filter(({ goals }) => goals.length > 0).map(({ subject, goals }) => ({ subject, goals }));
	const title = "Every goal and what was measured";
	return groups.length === 0 ? undefined : { name: "goals", title, svg: drawGoals(title, groups) };
}

export function picturesOf(result: Result): readonly Picture[] {
	return [...barsOf(result), ...linesOf(result)];
}

function barsOf({ subject, rows, series = [] }: Result): readonly Picture[] {
	// A sweep over sizes is a line; its bars would say the same in more room.
	if (series.some(({ xUnit }) => xUnit !== undefined)) {
		return [];
	}
	return columnsOf(subject, rows).flatMap((column) => {
		const cases = [...new Set(rows.map((row) => row.case))];
		const groups = cases
			.map((name) => groupOf(rows, name, column))
			.filter(({ bars }) => bars.some(({ value }) => value !== null));
		const together = spreadOf(groups) < LARGEST_SPREAD;
		const parts = column === "cpu µs" && groups.some(({ bars }) => bars.some(({ part }) => part !== undefined));
		const draw = (some: readonly BarGroup[], name: string, title: string): Picture => ({
			name,
			title,
			svg: drawBars({
				title,
				unit: UNITS[column] ?? column,
				groups: some,
				...(parts ? { parts: ["user", "system"] as const } : {}),
			}),
		});
		const base = `${subject}: ${(UNITS[column] ?? column).split(",")[0]}`;
		const file = slugOf(`${subject} ${column}`);
		return together && groups.length !== 1
			? groups.length === 0
				? []
				: [draw(groups, file, base)]
			: groups.map((group) =>
					draw([{ ...group, label: "" }], `${file}-${slugOf(group.label)}`, `${base}, ${group.label}`),
				);
	});
}

function groupOf(rows: readonly Row[], name: string, column: string): BarGroup {
	const own = rows.filter((row) => row.case === name && column in row);
	const systems = [...new Set(own.map(({ system }) => system))];
	return {
		label: name,
		bars: systems.map((system) =>
			barOf(
				own.filter((row) => row.system === system),
				column,
			),
		),
	};
}

/** Several rows of one system and case are its rounds. */
function barOf(rows: readonly Row[], column: string): Bar {
	const row = rows[0]!;
	const values = rows.flatMap((one) => numberAt(one, column) ?? []).toSorted((a, b) => a - b);
	const part = column === "cpu µs" ? numberAt(row, "user µs") : undefined;
	const spread = values.length > 1 ? { least: values[0], most: values.at(-1) } : {};
	return {
		label: row.system,
		value: values[values.length >> 1] ?? null,
		...(hasSpread(row, column) ? { least: numberAt(row, "least"), most: numberAt(row, "most") } : spread),
		...(part === undefined ? {} : { part }),
		marked: isOurs(row.system),
	};
}

/** How many times the greatest value of one group is that of another. */
function spreadOf(groups: readonly BarGroup[]): number {
	const tops = groups.map(({ bars }) => Math.max(...bars.map(({ value }) => value ?? 0))).filter((top) => top > 0);
	return tops.length < 2 ? 1 : Math.max(...tops) / Math.min(...tops);
}

function columnsOf(subject: string, rows: readonly Row[]): readonly string[] {
	const numeric = (name: string): boolean => rows.some((row) => typeof row[name] === "number");
	const chosen = (DRAWN[subject] ?? []).filter(numeric);
	if (chosen.length > 0) {
		return chosen;
	}
	const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
	const withSpread = names.find((name) => rows.some((row) => hasSpread(row, name)));
	return [withSpread ?? names.find(numeric)].filter((name) => name !== undefined);
}

/** `least` and `most` are those of the column before them. */
export function hasSpread(row: Row, column: string): boolean {
	const names = Object.keys(row);
	const index = names.indexOf(column);
	return index >= 0 && names[index + 1] === "least" && names[index + 2] === "most";
}

function numberAt(row: Row, column: string): number | undefined {
	const value = row[column];
	return typeof value === "number" ? value : undefined;
}

/** Series of one graph and one unit are one picture. */
function linesOf({ subject, series = [] }: Result): readonly Picture[] {
	const pictures = new Map<string, Series[]>();
	for (const one of series) {
		const key = `${one.graph ?? one.name}\n${one.unit}`;
		pictures.set(key, [...(pictures.get(key) ?? []), one]);
	}
	return [...pictures.values()].map((group) => {
		const { graph, name, unit, xUnit = "seconds" } = group[0]!;
		const title = `${subject}: ${graph ?? name}`;
		const several = new Set(series.filter((one) => one.graph === graph).map((one) => one.unit)).size > 1;
		return {
			name: slugOf(`${subject} ${graph ?? name}${several ? ` ${unit}` : ""}`),
			title,
			svg: drawLines({
				title,
				subtitle:
					unit === "MB" ? "resident memory of the server, and what the kernel holds for TCP" : "median of the rounds",
				xLabel: xUnit,
				yUnit: unit,
				lines: group.map((one) => ({ name: one.name, x: one.x, y: one.y, marked: isOurs(one.name) })),
			}),
		};
	});
}

function slugOf(words: string): string {
	return words
		.toLowerCase()
		.replaceAll("µ", "u")
		.replace(/[^a-z0-9]+/g, "-")
		.replace(/^-|-$/g, "");
}
