/** The report's page in Markdown: the goals first, then each subject with its pictures and tables. Pure. */
import type { Goal, Result, Row } from "../result.ts";
import { goalsPicture, hasSpread, isOurs, type Picture, picturesOf } from "./pictures.ts";
import { written } from "./svg.ts";

export interface Report {
	readonly page: string;
	readonly pictures: readonly Picture[];
}

/** Columns of the short table, where a row has them; the rest can be opened. */
const SHORT: readonly RegExp[] = [
	/\/ ws$|\/ uncompressed$/,
	/^p(50|99) ms/,
	/^saved %$/,
	/^in time %$/,
	/^lost$/,
	/^peak MB$/,
];

/** `png`: whether each picture is there as a PNG, too, for those who click on it. */
export function reportOf(results: readonly Result[], { png }: { readonly png: boolean }): Report {
	const show = ({ name, title }: Picture): string => {
		const image = `![${title}](pictures/${name}.svg)`;
		return png ? `[${image}](pictures/${name}.png)` : image;
	};
	const overview = goalsPicture(results);
	const chapters = results.map((result) => ({ result, pictures: picturesOf(result) }));
	const page = [
		"# What the benchmarks measured",
		"",
		"Made by `npm run bench:report` from `../results/`; do not edit it. How each figure comes about stands in",
		"[`../README.md`](../README.md); every figure holds for its machine, its options and its day.",
		"",
		...machinesOf(results),
		"",
		...(overview === undefined ? [] : ["## Goals", "", show(overview), "", ...goalTable(results), ""]),
		...absenceTable(results),
		...chapters.flatMap(({ result, pictures }) => chapter(result, pictures.map(show))),
	];
	return {
		page: `${page.join("\n").trimEnd()}\n`,
		pictures: [...(overview === undefined ? [] : [overview]), ...chapters.flatMap(({ pictures }) => pictures)],
	};
}

/** One line where all were measured on the same. */
function machinesOf(results: readonly Result[]): readonly string[] {
	const machines = new Map<string, string[]>();
	for (const { subject, machine, date } of results) {
		const { cpu, cores, memoryGb, kernel, node, pinned } = machine;
		const where =
			pinned === true ? ", server and load each on a core of its own" : pinned === false ? ", not pinned" : "";
		const words = `${cpu}, ${cores} cores, ${memoryGb} GB, ${kernel}, Node ${node}${where}; ${date}`;
		machines.set(words, [...(machines.get(words) ?? []), subject]);
	}
	return [...machines].map(([words, subjects]) =>
		machines.size === 1 ? `Machine: ${words}.` : `- ${subjects.join(", ")}: ${words}`,
	);
}

function goalTable(results: readonly Result[]): readonly string[] {
	const rows = results.flatMap(({ subject, goals, disturbed }) =>
		goals.map((goal) => [
			`[${subject}](#${subject})`,
			goal.name,
			`${goal.atLeast === true ? "≥" : "≤"} ${withUnit(goal.limit, goal)}`,
			figureOf(goal),
			verdictOf(goal) + (disturbed === undefined ? "" : " *"),
		]),
	);
	const disturbed = results.some((result) => result.disturbed !== undefined && result.goals.length > 0);
	return [
		...table(["subject", "goal", "limit", "figure (least–most)", ""], rows),
		...(disturbed ? ["", "\\* The run was disturbed by something else on the machine; its chapter says by what."] : []),
	];
}

function withUnit(value: number, { unit }: Goal): string {
	return unit === undefined ? written(value) : `${written(value)} ${unit}`;
}

function figureOf(goal: Goal): string {
	const { figure, least, most } = goal;
	if (figure === null) {
		return "–";
	}
	const spread =
		least === undefined || most === undefined || least === most ? "" : ` (${written(least)}–${written(most)})`;
	return withUnit(figure, goal) + spread;
}

function verdictOf({ met }: Goal): string {
	return met === null ? "not measured" : met ? "met" : "**missed**";
}

function absenceTable(results: readonly Result[]): readonly string[] {
	const absent = new Map<string, string[]>();
	for (const { subject, absent: systems } of results) {
		for (const { system, reason } of systems) {
			const key = `${system}\n${reason}`;
			absent.set(key, [...(absent.get(key) ?? []), subject]);
		}
	}
	if (absent.size === 0) {
		return [];
	}
	const rows = [...absent].map(([key, subjects]) => [...key.split("\n"), subjects.join(", ")]);
	return ["## Not measured", "", ...table(["system", "why", "subjects"], rows), ""];
}

function chapter(result: Result, shown: readonly string[]): readonly string[] {
	const { subject, method, options, rows, disturbed } = result;
	const settings = Object.entries(options).map(([name, value]) => `${name} ${value}`);
	const short = shortTable(rows);
	const full = fullTable(rows);
	return [
		`## ${subject}`,
		"",
		method,
		"",
		`Options: ${settings.join(", ")}.`,
		"",
		...(disturbed === undefined ? [] : [`> Disturbed: ${disturbed}.`, ""]),
		...shown.flatMap((picture) => [picture, ""]),
		...short,
		"",
		...(short.join() === full.join()
			? []
			: ["<details>", "<summary>All columns</summary>", "", ...full, "", "</details>", ""]),
	];
}

/** The column with a spread as one cell, and what compares. */
function shortTable(rows: readonly Row[]): readonly string[] {
	const names = columnsOf(rows);
	const main = names.find((name) => rows.some((row) => hasSpread(row, name)));
	const chosen = names.filter((name) => name === main || SHORT.some((pattern) => pattern.test(name)));
	if (chosen.length === 0) {
		return fullTable(rows);
	}
	const heads = chosen.map((name) => (name === main ? `${name} (least–most)` : name));
	return table(
		["case", "system", ...heads],
		rows.map((row) => [row.case, nameOf(row), ...chosen.map((name) => cellWithSpread(row, name, name === main))]),
	);
}

function cellWithSpread(row: Row, name: string, spread: boolean): string {
	const { least, most } = row;
	return spread && hasSpread(row, name) && typeof least === "number" && typeof most === "number" && least !== most
		? `${cell(row[name])} (${written(least)}–${written(most)})`
		: cell(row[name]);
}

function fullTable(rows: readonly Row[]): readonly string[] {
	const names = columnsOf(rows);
	return table(
		["case", "system", ...names],
		rows.map((row) => [row.case, nameOf(row), ...names.map((name) => cell(row[name]))]),
	);
}

function nameOf({ system }: Row): string {
	return isOurs(system) ? `**${system}**` : system;
}

function columnsOf(rows: readonly Row[]): readonly string[] {
	return [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => name !== "system" && name !== "case");
}

function cell(value: string | number | null | undefined): string {
	return value === null || value === undefined ? "–" : typeof value === "number" ? written(value) : value;
}

/** Columns of which every cell is a number, or has none, stand to the right. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
	const right = heads.map(
		(_, index) => index > 1 && rows.length > 0 && rows.every((row) => /^[–\d.,-]/.test(row[index] ?? "")),
	);
	const line = (cells: readonly string[]): string =>
		`| ${cells.map((text) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;")).join(" | ")} |`;
	return [line(heads), line(right.map((isRight) => (isRight ? "---:" : "---"))), ...rows.map(line)];
}
