/** From the figures of a measurement of deliveries to a row, to what became of continuity, and to a word on the load. */
import { addCounts, NOTHING_COUNTED } from "./continuity.ts";
import type { LoadFigures, Plan } from "./load-run.ts";
import { runLoad } from "./load-run.ts";
import { type Continuity, figure, type LoadState, type Measurement, type Row, round } from "./result.ts";
import type { Settings } from "./settings.ts";

/** A process above this part of a core has no time left: what it measures is itself. */
const MOST_SHARE = 0.9;
/** Publishes later than this at the p99 shift latencies, which count from when they were due. */
const MOST_LATE_MS = 5;
/** The part of the time that the load may stand in line for a core before its figures are another program's. */
const MOST_WAITED = 0.02;

/** null where a process had time left. */
export function describeUse(cpuShare: number): string | null {
	return cpuShare < MOST_SHARE ? null : `a load process used ${Math.round(100 * cpuShare)} % of a core`;
}

/** Runs the plans one after the other, until one is stopped. */
export async function measureDeliveries(
	settings: Settings,
	about: Pick<Measurement, "subject" | "method" | "options">,
	plans: readonly Plan[],
): Promise<Measurement | undefined> {
	const taken: { readonly plan: Plan; readonly figures: LoadFigures }[] = [];
	for (const plan of plans) {
		const figures = await runLoad(settings, plan);
		if (figures !== undefined) {
			taken.push({ plan, figures });
		}
		if (settings.stopped.aborted) {
			break;
		}
	}
	if (taken.length === 0) {
		return undefined;
	}
	const all = taken.map(({ figures }) => figures);
	const waited = Math.max(...all.flatMap(({ workers }) => workers.map(({ waitedShare }) => waitedShare)));
	return {
		...about,
		rows: taken.map(({ plan, figures }) => rowOf(plan, figures)),
		series: all.flatMap(({ series }) => series),
		continuity: all.map(continuityOf),
		load: taken.map(({ plan, figures }) => judgeLoad(plan.pace.kind, figures)),
		refused: sumRefused(all),
		...(waited > MOST_WAITED ? { disturbed: describeWaiting(waited) } : {}),
		...(settings.stopped.aborted ? { interrupted: true } : {}),
	};
}

export function rowOf({ name, pace }: Plan, figures: LoadFigures): Row {
	const { latency, answered, late, deliveries, elapsedMs, cpu, residentBytes } = figures;
	const ms = (micros: number): number | null => figure(micros / 1_000);
	const each = (micros: number | undefined): number | null =>
		micros === undefined || deliveries === 0 ? null : round(micros / deliveries);
	return {
		system: "server",
		case: name,
		deliveries,
		"deliveries/s": Math.round((deliveries / elapsedMs) * 1_000),
		"p50 ms": ms(latency.percentile(0.5)),
		"p90 ms": ms(latency.percentile(0.9)),
		"p99 ms": ms(latency.percentile(0.99)),
		"p99.9 ms": ms(latency.percentile(0.999)),
		"max ms": ms(latency.percentile(1)),
		"answer p99 ms": ms(answered.percentile(0.99)),
		...(pace.kind === "schedule" ? { "late p99 ms": ms(late.percentile(0.99)) } : {}),
		...(cpu === undefined
			? {}
			: {
					"cpu µs": each(cpu.user + cpu.system),
					"cpu user µs": each(cpu.user),
					"resident MB": residentBytes === undefined ? null : round(residentBytes / 1e6),
				}),
	};
}

export function continuityOf({ workers, unanswered }: LoadFigures): Continuity {
	return {
		...workers.map(({ continuity }) => continuity).reduce(addCounts, NOTHING_COUNTED),
		subscriptions: workers.reduce((sum, { subscriptions }) => sum + subscriptions, 0),
		unanswered,
		closed: workers.reduce((sum, { closed }) => sum + closed, 0),
		closedWhy: workers.find(({ closedWhy }) => closedWhy !== undefined)?.closedWhy ?? null,
	};
}

export function judgeLoad(kind: Plan["pace"]["kind"], { workers, late }: LoadFigures): LoadState {
	const cpuShare = Math.max(...workers.map((worker) => worker.cpuShare));
	const lateMs = kind === "schedule" ? (figure(late.percentile(0.99) / 1_000) ?? 0) : 0;
	const reasons = [
		...[describeUse(cpuShare)].filter((words) => words !== null),
		...(lateMs > MOST_LATE_MS ? [`publishes were late, p99 ${lateMs} ms`] : []),
	];
	return {
		processes: workers.length,
		cpuShare: round(cpuShare),
		lateMs,
		limit: reasons.length === 0 ? null : reasons.join("; "),
	};
}

function sumRefused(all: readonly LoadFigures[]): Readonly<Record<string, number>> {
	const sums = new Map<string, number>();
	for (const { refused } of all) {
		for (const [code, count] of refused) {
			sums.set(code, (sums.get(code) ?? 0) + count);
		}
	}
	return Object.fromEntries(sums);
}

function describeWaiting(waited: number): string {
	const share = Math.round(100 * waited);
	return `a load process stood in line for a core for ${share} % of the time, behind something else on this machine`;
}
