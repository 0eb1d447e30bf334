/**
 * One measurement: load processes subscribe, this process publishes, and everything is counted. Either in an open loop,
 * by a schedule that nothing moves, or in a closed one, round by round.
 */
import { Crew, shareOut } from "./crew.ts";
import { nowMicros } from "./delivery.ts";
import { Histogram } from "./histogram.ts";
import type { WorkerFigures } from "./load-task.ts";
import { Publisher } from "./publisher.ts";
import type { Series } from "./result.ts";
import { Samples } from "./samples.ts";
import type { Schedule } from "./schedule.ts";
import type { CpuMicros } from "./server-process.ts";
import type { Settings } from "./settings.ts";

export type Pace =
	| { readonly kind: "schedule"; readonly schedule: Schedule }
	/** Messages to each channel in one write; the next when every subscriber has all of them. */
	| { readonly kind: "rounds"; readonly messages: number };

export interface Plan {
	/** The case's, for progress and graphs. */
	readonly name: string;
	readonly clients: number;
	readonly channels: number;
	/** Each client subscribes to all channels. */
	readonly every: boolean;
	readonly pace: Pace;
}

export interface LoadFigures {
	readonly workers: readonly WorkerFigures[];
	readonly latency: Histogram;
	readonly answered: Histogram;
	readonly late: Histogram;
	readonly deliveries: number;
	/** Of the measured time. */
	readonly elapsedMs: number;
	/** The server's in that time. */
	readonly cpu: CpuMicros | undefined;
	readonly residentBytes: number | undefined;
	readonly refused: ReadonlyMap<string, number>;
	readonly series: readonly Series[];
	readonly interrupted: boolean;
	/** Publishes that the server neither accepted nor refused. */
	readonly unanswered: number;
}

/** Whoever pressed Ctrl-C waits. */
const STOPPED_PATIENCE_MS = 3_000;
/** Between the choice of the first due time and that time: load processes are told it meanwhile. */
const LEAD_MICROS = 200_000;
/** Timers are late by about this; the rest of a wait is spent polling. */
const TIMER_SLACK_MICROS = 2_000;

interface Window {
	readonly beganMs: number;
	readonly endedMs: number;
	readonly cpu: CpuMicros | undefined;
}

/** Undefined where it was stopped before anything was measured. */
export async function runLoad(settings: Settings, plan: Plan): Promise<LoadFigures | undefined> {
	const { target, stopped, process: server } = settings;
	const names = settings.newNames();
	// First one connection: what is wrong with the URL or the rights is said once, in the server's words.
	const publisher = await Publisher.open(target, names, plan.channels, plan.pace.kind === "rounds");
	const shares = shareOut(plan.clients, settings.workers);
	const crew = new Crew(shares.length);
	try {
		const orders = shares.map((share) => ({
			do: "open" as const,
			target,
			...names,
			...share,
			channels: plan.channels,
			every: plan.every,
			stalled: settings.stalled,
			atOnce: Math.ceil(settings.atOnce / shares.length),
			roundMessages: plan.pace.kind === "rounds" ? plan.pace.messages : undefined,
		}));
		const watch = setInterval(() => {
			settings.progress(`${plan.name}: ${crew.opened} of ${plan.clients} clients`);
		}, 1_000);
		const opened = crew.open(orders, stopped);
		await opened.finally(() => clearInterval(watch));
		if (stopped.aborted) {
			return undefined;
		}
		const total = settings.warmUp + settings.seconds;
		const samples = new Samples(
			server,
			() => crew.deliveries,
			(second, rate) => {
				const shown = `${Math.min(second, total).toFixed(0)} of ${total} s`;
				settings.progress(`${plan.name}: ${shown}, ${Math.round(rate)} deliveries/s`);
			},
		);
		const run = plan.pace.kind === "schedule" ? openLoop : closedLoop;
		const window = await run(settings, plan, crew, publisher).catch((error: unknown) => {
			samples.end(plan.name);
			throw error;
		});
		const series = samples.end(plan.name);
		publisher.broken.throwIfAborted();
		const workers = await crew.settle(publisher.heads, patienceOf(settings));
		const latency = new Histogram();
		for (const figures of workers) {
			latency.add(figures.latency);
		}
		return {
			workers,
			latency,
			answered: publisher.answered,
			late: publisher.late,
			deliveries: latency.count,
			elapsedMs: window.endedMs - window.beganMs,
			cpu: window.cpu,
			residentBytes: server?.residentBytes(),
			refused: publisher.refused,
			series,
			interrupted: stopped.aborted,
			unanswered: publisher.unanswered,
		};
	} finally {
		publisher.close();
		await crew.end();
	}
}

/** Each publish is due at its time, whatever became of those before. */
async function openLoop(settings: Settings, plan: Plan, crew: Crew, publisher: Publisher): Promise<Window> {
	const { stopped, payloads, process: server } = settings;
	const { schedule } = plan.pace as Extract<Pace, { kind: "schedule" }>;
	const startMicros = nowMicros() + LEAD_MICROS;
	const fromMicros = startMicros + settings.warmUp * 1e6;
	crew.countFrom(Math.round(fromMicros));
	let next = 0;
	let beganMs = performance.now();
	let before: CpuMicros | undefined;
	while (next < schedule.total && !stopped.aborted) {
		publisher.broken.throwIfAborted();
		const waitMicros = startMicros + schedule.dueMicros(next) - nowMicros();
		if (waitMicros > TIMER_SLACK_MICROS) {
			await new Promise((resolve) => setTimeout(resolve, (waitMicros - TIMER_SLACK_MICROS) / 1_000));
			continue;
		}
		if (waitMicros > 0) {
			await new Promise(setImmediate);
			continue;
		}
		publisher.together(() => {
			const now = nowMicros();
			for (; next < schedule.total; next++) {
				const due = startMicros + schedule.dueMicros(next);
				if (due > now) {
					break;
				}
				if (before === undefined && due >= fromMicros) {
					before = server?.cpu() ?? { user: 0, system: 0 };
					beganMs = performance.now();
				}
				const { text } = payloads[schedule.payload(next) % payloads.length]!;
				publisher.publish(schedule.channel(next), text, due, true);
			}
		});
		// What the server answers, and whether somebody wants this to stop, is heard between the turns.
		await new Promise(setImmediate);
	}
	await publisher.allAnswered(patienceOf(settings));
	return { beganMs, endedMs: performance.now(), cpu: difference(before, server?.cpu()) };
}

/** A round after the other, each when every subscriber has all of the one before. */
async function closedLoop(settings: Settings, plan: Plan, crew: Crew, publisher: Publisher): Promise<Window> {
	const { stopped, payloads, process: server } = settings;
	const { messages } = plan.pace as Extract<Pace, { kind: "rounds" }>;
	let rounds = 0;
	let payload = 0;
	let stalled = false;
	const end = AbortSignal.any([stopped, publisher.broken]);
	const runFor = async (seconds: number): Promise<void> => {
		const untilMs = performance.now() + seconds * 1_000;
		while (performance.now() < untilMs && !stopped.aborted && !stalled) {
			const due = nowMicros();
			publisher.together(() => {
				for (let index = 0; index < messages; index++) {
					for (let channel = 0; channel < plan.channels; channel++) {
						const { text } = payloads[payload++ % payloads.length]!;
						publisher.publish(channel, text, due, index === messages - 1);
					}
				}
			});
			rounds++;
			const whole = await crew.until(() => crew.rounds >= rounds, end, settings.patienceMs);
			publisher.broken.throwIfAborted();
			stalled = !whole && !stopped.aborted;
		}
	};
	await runFor(settings.warmUp);
	crew.countFrom(Math.floor(nowMicros()));
	const before = server?.cpu();
	const beganMs = performance.now();
	await runFor(settings.seconds);
	const endedMs = performance.now();
	const cpu = difference(before, server?.cpu());
	await publisher.allAnswered(stalled ? 0 : patienceOf(settings));
	return { beganMs, endedMs, cpu };
}

function patienceOf({ stopped, patienceMs }: Settings): number {
	return stopped.aborted ? Math.min(STOPPED_PATIENCE_MS, patienceMs) : patienceMs;
}

function difference(before: CpuMicros | undefined, after: CpuMicros | undefined): CpuMicros | undefined {
	return before === undefined || after === undefined
		? undefined
		: { user: after.user - before.user, system: after.system - before.system };
}
