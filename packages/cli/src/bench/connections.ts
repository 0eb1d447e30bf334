/**
 * What connections cost: how fast they are opened and subscribed, what each holds of the server's memory, and what the
 * server spends on them while nothing happens. At the end one message a channel proves that they are alive.
 */
import { addCounts, NOTHING_COUNTED } from "./continuity.ts";
import { Crew, shareOut } from "./crew.ts";
import { describeUse } from "./delivered.ts";
import { nowMicros } from "./delivery.ts";
import { Histogram } from "./histogram.ts";
import { Publisher } from "./publisher.ts";
import { figure, type Measurement, round } from "./result.ts";
import { Samples } from "./samples.ts";
import type { Settings } from "./settings.ts";

/** A server's garbage of so many handshakes is given this long to be collected before its memory is read. */
const REST_MS = 1_000;

export async function measureConnections(settings: Settings): Promise<Measurement | undefined> {
	const { clients = 1_000, channels = 1, seconds, target, stopped, process: server } = settings;
	const name = "connections with a subscription";
	const names = settings.newNames();
	const publisher = await Publisher.open(target, names, channels, true);
	const shares = shareOut(clients, settings.workers);
	const crew = new Crew(shares.length);
	const samples = new Samples(
		server,
		() => crew.deliveries,
		(second) => settings.progress(`${name}: ${crew.opened} open after ${second.toFixed(0)} s`),
	);
	try {
		const residentBefore = server?.residentBytes();
		const cpuBefore = server?.cpu();
		const beganMs = performance.now();
		const orders = shares.map((share) => ({
			do: "open" as const,
			target,
			...names,
			...share,
			channels,
			every: false,
			stalled: 0,
			atOnce: Math.ceil(settings.atOnce / shares.length),
		}));
		const openings = await crew.open(orders, stopped);
		const openMs = performance.now() - beganMs;
		if (openings.length < shares.length) {
			return undefined;
		}
		const opening = new Histogram();
		for (const { micros } of openings) {
			opening.add(micros);
		}
		const cpuOpened = server?.cpu();
		await sleep(REST_MS, stopped);
		const residentOpened = server?.residentBytes();
		const idleFrom = server?.cpu();
		const idleBeganMs = performance.now();
		await sleep(seconds * 1_000, stopped);
		const idleMs = performance.now() - idleBeganMs;
		const idleUntil = server?.cpu();

		for (let channel = 0; channel < channels; channel++) {
			publisher.publish(channel, settings.payloads[0]!.text, nowMicros(), true);
		}
		await publisher.allAnswered(settings.patienceMs);
		publisher.broken.throwIfAborted();
		const workers = await crew.settle(publisher.heads, settings.patienceMs);
		const series = samples.end(name);
		const per = (after: number | undefined, before: number | undefined, of: number): number | null =>
			after === undefined || before === undefined ? null : figure((after - before) / of);
		const sum = (cpu: { user: number; system: number } | undefined): number | undefined =>
			cpu === undefined ? undefined : cpu.user + cpu.system;
		const cpuShare = Math.max(...openings.map((one) => one.cpuShare));
		return {
			subject: "connections",
			method:
				`Connections are opened ${settings.atOnce} at a time, each with one subscription, then held for ${seconds} s, ` +
				"then get a message. Opening counts from the first step of the TCP connection until the subscription is " +
				"accepted. Memory is the growth of the server's resident memory.",
			options: { clients, channels, atOnce: settings.atOnce, seconds, workers: settings.workers },
			rows: [
				{
					system: "server",
					case: name,
					"opened/s": Math.round((clients / openMs) * 1_000),
					"open p50 ms": figure(opening.percentile(0.5) / 1_000),
					"open p99 ms": figure(opening.percentile(0.99) / 1_000),
					...(server === undefined
						? {}
						: {
								"cpu µs to open": per(sum(cpuOpened), sum(cpuBefore), clients),
								"resident kB each": per(residentOpened, residentBefore, clients * 1_000),
								"idle cpu µs/s each": per(sum(idleUntil), sum(idleFrom), (clients * idleMs) / 1_000),
							}),
				},
			],
			series,
			continuity: [
				{
					...workers.map(({ continuity }) => continuity).reduce(addCounts, NOTHING_COUNTED),
					subscriptions: workers.reduce((total, { subscriptions }) => total + subscriptions, 0),
					unanswered: publisher.unanswered,
					closed: workers.reduce((total, { closed }) => total + closed, 0),
					closedWhy: workers.find(({ closedWhy }) => closedWhy !== undefined)?.closedWhy ?? null,
				},
			],
			load: [{ processes: workers.length, cpuShare: round(cpuShare), lateMs: 0, limit: describeUse(cpuShare) }],
			refused: Object.fromEntries(publisher.refused),
			...(stopped.aborted ? { interrupted: true } : {}),
		};
	} finally {
		samples.end(name);
		publisher.close();
		await crew.end();
	}
}

function sleep(ms: number, stopped: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const end = (): void => {
			clearTimeout(timer);
			stopped.removeEventListener("abort", end);
			resolve();
		};
		const timer = setTimeout(end, ms);
		if (stopped.aborted) {
			end();
		} else {
			stopped.addEventListener("abort", end);
		}
	});
}
