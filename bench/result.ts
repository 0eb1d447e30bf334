/**
 * What a subject of the bench leaves: `results/<subject>.json`, from which `report/` draws, and a table for the reader.
 * Figures only, with how they came; what they are to be is in `goals`, and no test judges them.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import { pinned } from "./process.ts";

/** A line of the table: the system under test, the case, and a column for each figure. Rows may differ in columns. */
export interface Row {
	readonly system: string;
	readonly case: string;
	readonly [column: string]: string | number | null;
}

export interface Goal {
	/** Such as "1 message a turn: CPU of ws". */
	readonly name: string;
	/** What `figure` may be at most, or with `atLeast` must be at least. */
	readonly limit: number;
	readonly atLeast?: true;
	/** Of the limit and the figure; absent for ratios. */
	readonly unit?: string;
	/** The median over the rounds. null: not measured, because a system that it takes is absent. */
	readonly figure: number | null;
	/** Over the rounds. */
	readonly least?: number;
	readonly most?: number;
	/** null where there is no figure. */
	readonly met: boolean | null;
}

/** A line of a graph. */
export interface Series {
	/** Such as "tidewire: resident memory". */
	readonly name: string;
	/** Of `y`. */
	readonly unit: string;
	/** Of `x`; where it is absent, seconds. */
	readonly xUnit?: string;
	readonly x: readonly number[];
	/** As many as `x`. */
	readonly y: readonly number[];
	/** Series of the same graph belong into one picture. */
	readonly graph?: string;
}

/** A system that was to be measured and could not be. */
export interface Absent {
	readonly system: string;
	readonly reason: string;
}

/** What a subject measures. */
export interface Measurement {
	readonly subject: string;
	/** In a few sentences; README.md has the rest. */
	readonly method: string;
	readonly options: Readonly<Record<string, string | number | boolean>>;
	readonly goals: readonly Goal[];
	readonly rows: readonly Row[];
	readonly series?: readonly Series[];
	readonly absent: readonly Absent[];
	/** Why the figures say more about the machine than about the systems, where they do. */
	readonly disturbed?: string;
}

export type Machine = Readonly<Record<string, string | number | boolean>>;

/** The content of `results/<subject>.json`. */
export interface Result extends Measurement {
	/** "2026-01-31" */
	readonly date: string;
	readonly machine: Machine;
}

/** Three significant digits: more would claim more than a run can know. */
export function round(value: number): number {
	return Number(value.toPrecision(3));
}

export function printTable(rows: readonly Row[]): void {
	const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
	const cell = (row: Row, name: string): string => String(row[name] ?? "");
	const widths = names.map((name) => Math.max(name.length, ...rows.map((row) => cell(row, name).length)));
	const numeric = names.map((name) => rows.some((row) => typeof row[name] === "number"));
	const line = (cells: readonly string[]): string =>
		cells
			.map((text, index) => (numeric[index] ? text.padStart(widths[index]!) : text.padEnd(widths[index]!)))
			.join("  ")
			.trimEnd();
	for (const text of [line(names), ...rows.map((row) => line(names.map((name) => cell(row, name))))]) {
		process.stdout.write(`${text}\n`);
	}
}

/** The machine, without what would name it. */
function machine(): Machine {
	return {
		cpu: cpus()[0]?.model ?? "unknown",
		cores: availableParallelism(),
		memoryGb: round(totalmem() / 1e9),
		kernel: `${process.platform} ${release()}`,
		node: process.version,
		pinned,
		loadAverageBefore: round(loadBefore),
	};
}

const loadBefore = loadavg()[0] ?? 0;

/** Writes it to `folder` and returns the path. */
export function save({ subject, ...measurement }: Measurement, folder: string): string {
	mkdirSync(folder, { recursive: true });
	const date = new Date().toISOString().slice(0, 10);
	const result: Result = { subject, date, machine: machine(), ...measurement };
	const path = join(folder, `${subject}.json`);
	writeFileSync(path, `${JSON.stringify(result, null, "\t")}\n`);
	return path;
}
