/**
 * What all subjects have in common: systems that take turns round by round, ratios within a round, medians with what
 * lies furthest from them, and goals.
 */
import { type Figures, Load } from "./load.ts";
import { median, type Spread, spread } from "./process.ts";
import { type Absent, type Goal, type Measurement, round } from "./result.ts";
import type { Running, Settings, System } from "./systems/system.ts";

export type Options = Readonly<Record<string, number>>;

/** What a subject is given. */
export interface Bench {
	/** The subject's systems that are here and were not left out, in their order. */
	readonly systems: readonly System[];
	readonly absent: readonly Absent[];
	/** It failed: from here on it is not among `systems` but `absent`. */
	drop(system: System, reason: string): void;
	/** Progress, for whoever waits. */
	say(text: string): void;
}

export interface Subject {
	readonly name: string;
	/** The question that it answers. */
	readonly title: string;
	readonly systems: readonly System[];
	readonly defaults: Options;
	/** In place of the defaults with `--quick`. */
	readonly quick: Options;
	run(options: Options, bench: Bench): Promise<Measurement>;
}

/** Starts a system and a load for it, both of which end with `use`. */
export async function session<T>(
	system: System,
	settings: Settings,
	use: (running: Running, load: Load) => Promise<T>,
): Promise<T> {
	const running = await system.start(settings);
	try {
		const load = new Load(running.process.pid);
		try {
			return await use(running, load);
		} finally {
			await load.end();
		}
	} finally {
		await running.end();
	}
}

/** Throws unless every subscriber got every message, once and in order. */
export function complete(figures: Figures): Figures {
	const { lost, disordered, deliveries } = figures;
	if (lost > 0 || disordered > 0) {
		throw new Error(`of ${deliveries + lost} deliveries ${lost} did not come and ${disordered} came out of order`);
	}
	return figures;
}

/** What was measured: by case and system, in the order of the rounds. */
export class Taken<F> {
	readonly #measured = new Map<string, F[]>();

	#of(name: string, system: string): F[] {
		const key = `${name}\n${system}`;
		const known = this.#measured.get(key) ?? [];
		this.#measured.set(key, known);
		return known;
	}

	add(name: string, system: string, figures: F): void {
		this.#of(name, system).push(figures);
	}

	all(name: string, system: string): readonly F[] {
		return this.#of(name, system);
	}

	/** null where the system was not measured. */
	spread(name: string, system: string, read: (figures: F) => number): Spread | null {
		const all = this.#of(name, system);
		return all.length === 0 ? null : spread(all.map(read));
	}

	/** Of two systems (or cases) within each round, so that what else the machine does hits both. */
	ratio(
		[name, system]: readonly [string, string],
		[otherName, other]: readonly [string, string],
		read: (figures: F) => number,
	): Spread | null {
		const own = this.#of(name, system);
		const others = this.#of(otherName, other);
		const rounds = Math.min(own.length, others.length);
		return rounds === 0
			? null
			: spread(Array.from({ length: rounds }, (_, index) => read(own[index]!) / read(others[index]!)));
	}
}

/** Measures each case of each system, the systems in turn within a round. What fails is dropped, and said to be. */
export async function inTurn<F>(
	bench: Bench,
	rounds: number,
	cases: readonly string[],
	measure: (name: string, system: System) => Promise<F>,
): Promise<Taken<F>> {
	const taken = new Taken<F>();
	for (let index = 1; index <= rounds; index++) {
		for (const name of cases) {
			for (const system of bench.systems) {
				bench.say(`round ${index} of ${rounds}: ${name}, ${system.name}`);
				try {
					taken.add(name, system.name, await measure(name, system));
				} catch (error) {
					bench.drop(system, `${name}: ${error instanceof Error ? error.message : String(error)}`);
				}
			}
		}
	}
	return taken;
}

/** A goal and what came of it. */
export function goal(
	name: string,
	limit: number,
	figure: Spread | null,
	more: { readonly unit?: string; readonly atLeast?: true } = {},
): Goal {
	if (figure === null || Number.isNaN(figure.median)) {
		return { name, limit, ...more, figure: null, met: null };
	}
	const met = more.atLeast === true ? figure.median >= limit : figure.median <= limit;
	return {
		name,
		limit,
		...more,
		figure: round(figure.median),
		least: round(figure.least),
		most: round(figure.most),
		met,
	};
}

/** One figure that is known for sure, as a spread. */
export function exactly(value: number): Spread {
	return { median: value, least: value, most: value };
}

export const totalMicros = ({ userMicros, systemMicros, deliveries }: Figures): number =>
	(userMicros + systemMicros) / deliveries;
export const userMicros = (figures: Figures): number => figures.userMicros / figures.deliveries;

const percent = (part: number): number => Math.round(part * 1_000) / 10;

/** CPU per delivery, beside that of `ws`, and who had nothing to do. */
export function cpuColumns(taken: Taken<Figures>, name: string, system: string): Record<string, number | null> {
	const all = taken.all(name, system);
	const total = taken.spread(name, system, totalMicros)!;
	const ofWs = (read: (figures: Figures) => number): number | null => {
		const ratio = taken.ratio([name, system], [name, "ws"], read);
		return ratio === null ? null : round(ratio.median);
	};
	const busy = ({ userMicros, systemMicros, elapsedMs }: Figures): number =>
		(userMicros + systemMicros) / (1_000 * elapsedMs);
	return {
		deliveries: all.reduce((sum, { deliveries }) => sum + deliveries, 0),
		lost: all.reduce((sum, { lost }) => sum + lost, 0),
		"cpu µs": round(total.median),
		least: round(total.least),
		most: round(total.most),
		"user µs": round(median(all.map(userMicros))),
		"cpu / ws": ofWs(totalMicros),
		"user / ws": ofWs(userMicros),
		"deliveries/s": Math.round(median(all.map(({ deliveries, elapsedMs }) => (deliveries / elapsedMs) * 1_000))),
		"server busy %": percent(median(all.map(busy))),
		"load idle %": percent(median(all.map(({ loadIdle }) => loadIdle))),
	};
}

/** Of what came; null where nothing did that was published within the measure. */
export function latencyColumns(all: readonly Figures[]): Record<string, number | null> {
	const timed = all.filter((figures) => figures.timed > 0);
	const over = (values: readonly number[], judge: (values: readonly number[]) => number): number | null =>
		values.length === 0 ? null : round(judge(values));
	const most = (values: readonly number[]): number => Math.max(...values);
	return {
		"p50 ms": over(
			timed.map(({ p50Ms }) => p50Ms),
			median,
		),
		"p90 ms": over(
			timed.map(({ p90Ms }) => p90Ms),
			median,
		),
		"p99 ms": over(
			timed.map(({ p99Ms }) => p99Ms),
			median,
		),
		"p99.9 ms": over(
			timed.map(({ p999Ms }) => p999Ms),
			median,
		),
		"worst round's p99": over(
			timed.map(({ p99Ms }) => p99Ms),
			most,
		),
		"max ms": over(
			timed.map(({ maxMs }) => maxMs),
			most,
		),
		"publisher late ms": over(
			all.map(({ lateMs }) => lateMs),
			most,
		),
		"server waited %": percent(most(all.map(({ serverWaited }) => serverWaited))),
		"load waited %": percent(most(all.map(({ loadWaited }) => loadWaited))),
	};
}

/** The part of the time that a process may stand in line for its core before its latencies are another's. */
const MAX_WAITED = 0.01;

/** What to say of a run in which something else took the cores. */
export function disturbance(all: readonly Figures[]): { readonly disturbed?: string } {
	const waited = Math.max(0, ...all.flatMap(({ serverWaited, loadWaited }) => [serverWaited, loadWaited]));
	return waited <= MAX_WAITED
		? {}
		: {
				disturbed:
					`server or load stood in line for a core for up to ${percent(waited)} % of a round, behind something ` +
					"else on this machine: latencies are not the servers', and CPU times are higher than they need be",
			};
}

/** Every figure of a table, for `disturbance`. */
export function everything<F>(taken: Taken<F>, cases: readonly string[], systems: readonly System[]): readonly F[] {
	return cases.flatMap((name) => systems.flatMap((system) => taken.all(name, system.name)));
}
