/**
 * What a subject of `tidewire bench` leaves: the same shape as the results of the project's own bench, so that its report
 * draws either. Figures only, with how they came.
 */
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import type { ContinuityCounts } from "./continuity.ts";

/** A line of the table: the case, and a column for each figure. null: not known, such as CPU without a --pid. */
export interface Row {
	readonly system: "server";
	readonly case: string;
	readonly [column: string]: string | number | null;
}

/** A line of a graph over the seconds of the measurement. */
export interface Series {
	readonly name: string;
	readonly unit: string;
	readonly x: readonly number[];
	readonly y: readonly number[];
	readonly graph: string;
}

/** What each subscriber got of what it was owed, over the whole of a subject, the warm-up too. */
export interface Continuity extends ContinuityCounts {
	readonly subscriptions: number;
	/** Publishes that the server neither accepted nor refused: what became of them is not known. */
	readonly unanswered: number;
	/** Connections that the server ended. */
	readonly closed: number;
	readonly closedWhy: string | null;
}

/** What the load was like, and whether it was what limited the figures. */
export interface LoadState {
	readonly processes: number;
	/** The busiest process's part of a core, 0 to 1. */
	readonly cpuShare: number;
	/** How late publishes were: p99, ms. */
	readonly lateMs: number;
	/** Why the figures are the load's, where they are. */
	readonly limit: string | null;
}

export interface Measurement {
	readonly subject: string;
	/** In a few sentences. */
	readonly method: string;
	readonly options: Readonly<Record<string, string | number | boolean>>;
	readonly rows: readonly Row[];
	readonly series: readonly Series[];
	/** In the order of the rows. */
	readonly continuity: readonly Continuity[];
	readonly load: readonly LoadState[];
	/** Messages of the server's refusals by code, where it refused. */
	readonly refused: Readonly<Record<string, number>>;
	/** Why the figures say more about the machine than about the server, where they do. */
	readonly disturbed?: string;
	/** It was stopped before its time: the figures are of what was measured until then. */
	readonly interrupted?: true;
}

export interface Result extends Measurement {
	readonly date: string;
	/** Without its query, which may hold a token. */
	readonly url: string;
	/** The load's machine, without what would name it. */
	readonly machine: Readonly<Record<string, string | number | boolean>>;
	/** Of the project's bench: here nothing is judged, and nothing compared. */
	readonly goals: readonly never[];
	readonly absent: readonly never[];
}

export function resultOf(measurement: Measurement, url: string): Result {
	const { subject, ...rest } = measurement;
	const date = new Date().toISOString().slice(0, 10);
	return { subject, date, url, machine: machine(), goals: [], absent: [], ...rest };
}

function machine(): Result["machine"] {
	return {
		cpu: cpus()[0]?.model ?? "unknown",
		cores: availableParallelism(),
		memoryGb: round(totalmem() / 1e9),
		kernel: `${process.platform} ${release()}`,
		node: process.version,
		loadAverage: round(loadavg()[0] ?? 0),
	};
}

/** Three significant digits: more would claim more than a run can know. */
export function round(value: number): number {
	return Number(value.toPrecision(3));
}

/** As `round`; null where there was nothing to measure. */
export function figure(value: number | undefined): number | null {
	return value === undefined || !Number.isFinite(value) ? null : round(value);
}

/** Whether something went wrong that the server did not announce: then the run has failed, whatever its figures. */
export function isBroken({ lost, repeated, unanswered, closed }: Continuity): boolean {
	return lost > 0 || repeated > 0 || unanswered > 0 || closed > 0;
}
