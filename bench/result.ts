/** What a benchmark leaves: a table for the reader, and with `--save` a file with the same figures and how they came. */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import { pinned } from "./process.ts";

export type Row = Readonly<Record<string, string | number>>;

export interface Result {
	readonly subject: string;
	/** In a few sentences; README.md has the rest. */
	readonly method: string;
	readonly options: Readonly<Record<string, number>>;
	readonly rows: readonly Row[];
	/** Why the figures say more about the machine than about the servers, where they do. */
	readonly disturbed?: string;
}

/** Three significant digits: more would claim more than a run can know. */
export function round(value: number): number {
	return Number(value.toPrecision(3));
}

export function printTable(rows: readonly Row[]): void {
	const names = Object.keys(rows[0] ?? {});
	const widths = names.map((name) => Math.max(name.length, ...rows.map((row) => String(row[name]).length)));
	const line = (cells: readonly (string | number | undefined)[]): string =>
		cells
			.map((cell, index) =>
				typeof cell === "number" ? String(cell).padStart(widths[index]!) : String(cell).padEnd(widths[index]!),
			)
			.join("  ")
			.trimEnd();
	for (const text of [line(names), ...rows.map((row) => line(names.map((name) => row[name])))]) {
		process.stdout.write(`${text}\n`);
	}
}

/** The machine, without what would name it. */
function machine(): Readonly<Record<string, string | number | boolean>> {
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

export function save({ subject, ...result }: Result): string {
	const folder = join(import.meta.dirname, "results");
	mkdirSync(folder, { recursive: true });
	const date = new Date().toISOString().slice(0, 10);
	writeFileSync(
		join(folder, `${subject}.json`),
		`${JSON.stringify({ subject, date, machine: machine(), ...result }, null, "\t")}\n`,
	);
	return `bench/results/${subject}.json`;
}
