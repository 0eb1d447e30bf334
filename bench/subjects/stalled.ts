/** What sockets that are not read do to the others, to the server's memory and to the kernel's. */
import type { Figures, Load } from "../load.ts";
import { position } from "../message.ts";
import { type Spread, spread } from "../process.ts";
import { type Row, round, type Series } from "../result.ts";
import { type Bench, disturbance, exactly, goal, type Options, type Subject, session } from "../subject.ts";
import { tidewireEnveloped, ws } from "../systems/own.ts";
import type { Running, System } from "../systems/system.ts";
import { settled, sleep, Watch } from "../watch.ts";
import { evenly } from "./latency.ts";

const CHANNEL = "bench_0";
const MESSAGE_BYTES = 1_000;
const BURST = 20;
/** Messages a second while latency is measured: few enough that nobody stands in line. */
const CALM_RATE = 20;
/** Of the sockets of the second part; some are read, to see that they are served. */
const READERS = 10;
/** What a system without a bound may take before it is ended. */
const MAX_RESIDENT_MB = 2_000;

/** A part of many stalls: do the healthy ones get everything, at what cost in memory and latency? */
interface Some {
	readonly before: Figures;
	readonly during: Figures;
	readonly after: Figures;
	readonly residentBeforeMb: number;
	readonly peakMb: number;
	readonly watch: Watch;
}

async function calm(load: Load, system: System, subscribers: number, seconds: number): Promise<Figures> {
	const pace = { channels: 1, rate: CALM_RATE, seconds, subscribers, data: position(MESSAGE_BYTES) };
	await load.script(evenly(system.speech, pace), "plain");
	return load.paced({ warmMs: Math.min(1_000, seconds * 250) });
}

function someStalled(system: System, { clients = 1, stalled = 1, megabytes = 1, seconds = 1 }: Options): Promise<Some> {
	return session(system, {}, async ({ port, process }: Running, load) => {
		const { speech } = system;
		await load.open(port, clients, "subscriber", speech.subscriber([CHANNEL]));
		await load.open(port, 1, "publisher", speech.publisher(CHANNEL));
		const before = await calm(load, system, clients, seconds);
		await load.stall(stalled);
		await settled(process, system.collects);
		const watch = new Watch(process, 250);
		try {
			await load.script([{ payload: speech.publish(CHANNEL, position(MESSAGE_BYTES)) }], "plain");
			const during = await load.closed(BURST, { messages: (megabytes * 1e6) / MESSAGE_BYTES });
			watch.look();
			const peakMb = Math.max(...watch.samples.map(({ residentMb }) => residentMb));
			const after = await calm(load, system, clients - stalled, seconds);
			return { before, during, after, residentBeforeMb: watch.samples[0]!.residentMb, peakMb, watch };
		} finally {
			watch.end();
		}
	});
}

/** All but a few stall, for a minute of a busy channel. */
interface All {
	readonly figures: Figures | undefined;
	readonly watch: Watch;
}

function allStalled(system: System, { clients = 1, rate = 1, minuteSeconds = 1 }: Options): Promise<All> {
	return session(system, {}, async ({ port, process }: Running, load) => {
		const { speech } = system;
		await load.open(port, clients, "subscriber", speech.subscriber([CHANNEL]));
		await load.stall(clients);
		await load.open(port, READERS, "subscriber", speech.subscriber([CHANNEL]));
		await load.open(port, 1, "publisher", speech.publisher(CHANNEL));
		const pace = { channels: 1, rate, seconds: minuteSeconds, subscribers: READERS, data: position() };
		await load.script(evenly(speech, pace), "plain");
		await settled(process, system.collects);
		const watch = new Watch(process, 1_000, MAX_RESIDENT_MB);
		try {
			const figures = await load.paced({ warmMs: 0 }).catch(() => undefined);
			if (figures !== undefined) {
				watch.look();
			}
			return { figures, watch };
		} finally {
			watch.end();
		}
	});
}

/** The last third beside the second: what still grows then has no bound. */
function growth({ samples }: Watch): number {
	const third = Math.floor(samples.length / 3);
	const most = (from: number, to: number): number =>
		Math.max(...samples.slice(from, to).map(({ residentMb, tcpMb }) => residentMb + tcpMb));
	return most(2 * third, samples.length) - most(third, 2 * third);
}

async function measure(options: Options, bench: Bench): Promise<readonly [readonly Some[], ReadonlyMap<string, All>]> {
	const { rounds = 1 } = options;
	const some: Some[] = [];
	const all = new Map<string, All>();
	for (const system of bench.systems) {
		// A send loop would take minutes for what it writes 36 million times, and gigabytes.
		for (let index = 1; system === tidewireEnveloped && index <= rounds; index++) {
			bench.say(`round ${index} of ${rounds}: some stall, ${system.name}`);
			some.push(await someStalled(system, options));
		}
		bench.say(`all stall, ${system.name}`);
		all.set(system.name, await allStalled(system, options));
		// The kernel gives back what the closed sockets held.
		await sleep(1_000);
	}
	return [some, all];
}

export const stalled: Subject = {
	name: "stalled",
	title:
		"100 of 1,000 sockets are not read while 40 MB are published; 1,000 are not read for a minute of a busy channel",
	systems: [tidewireEnveloped, ws],
	defaults: { rounds: 3, clients: 1_000, stalled: 100, megabytes: 40, seconds: 8, rate: 1_000, minuteSeconds: 60 },
	quick: { rounds: 1, clients: 100, stalled: 10, megabytes: 2, seconds: 1, rate: 200, minuteSeconds: 4 },
	run: async (options, bench) => {
		const { clients = 1, stalled: still = 1, megabytes = 1, rate = 1, minuteSeconds = 1 } = options;
		const [some, all] = await measure(options, bench);
		const over = (read: (one: Some) => number): Spread | null => (some.length === 0 ? null : spread(some.map(read)));
		const name = tidewireEnveloped.name;
		const own = all.get(name);
		const cases = [
			`${still} of ${clients} stalled, ${megabytes} MB`,
			`${clients} stalled, ${rate} messages/s`,
		] as const;
		const rows: Row[] = some.map(({ before, during, after, residentBeforeMb, peakMb, watch }) => ({
			system: name,
			case: cases[0],
			deliveries: during.deliveries,
			lost: during.lost + after.lost,
			"resident before MB": residentBeforeMb,
			"peak MB": peakMb,
			"kernel TCP MB": Math.max(...watch.samples.map(({ tcpMb }) => tcpMb)),
			"p99 ms without": round(before.p99Ms),
			"p99 ms with": round(after.p99Ms),
		}));
		for (const [system, { figures, watch }] of all) {
			rows.push({
				system,
				case: cases[1],
				deliveries: figures?.deliveries ?? null,
				lost: figures?.lost ?? null,
				"resident before MB": watch.samples[0]!.residentMb,
				"peak MB": Math.max(...watch.samples.map(({ residentMb }) => residentMb)),
				"kernel TCP MB": Math.max(...watch.samples.map(({ tcpMb }) => tcpMb)),
				"p99 ms with": figures === undefined ? null : round(figures.p99Ms),
				"seconds until it was ended": figures === undefined ? watch.samples.at(-1)!.seconds : null,
			});
		}
		const series: Series[] = [
			...(some[0]?.watch.series(name, cases[0]) ?? []),
			...[...all].flatMap(([system, { watch }]) => watch.series(system, cases[1])),
		];
		return {
			subject: "stalled",
			method:
				`${clients} clients with the envelope. First ${still} stop reading, then ${megabytes} MB are published in bursts of ` +
				`${BURST} messages of ${MESSAGE_BYTES} bytes, the next when every healthy client has the last; before and after, p99 ` +
				`at ${CALM_RATE} messages a second. Then, in a new server, all ${clients} stop reading, ${READERS} more read, and ` +
				`${rate} messages a second of 126 bytes are published for ${minuteSeconds} s. The kernel's share is that of the whole ` +
				`machine's TCP sockets, above what it was. A system that takes more than ${MAX_RESIDENT_MB} MB is ended.`,
			options,
			goals: [
				goal(
					"healthy readers: messages that did not come",
					0,
					over(({ during }) => during.lost),
				),
				goal(
					"resident memory beyond that before",
					40,
					over((one) => one.peakMb - one.residentBeforeMb),
					{ unit: "MB" },
				),
				goal(
					"p99 of the healthy, with by without",
					1.25,
					over(({ before, after }) => after.p99Ms / before.p99Ms),
				),
				goal(
					"all stalled: growth from the second third of the time to the last, the kernel's share included",
					10,
					own === undefined ? null : exactly(growth(own.watch)),
					{ unit: "MB" },
				),
			],
			rows,
			series,
			absent: bench.absent,
			...disturbance([
				...some.flatMap(({ before, during, after }) => [before, during, after]),
				...[...all.values()].flatMap(({ figures }) => figures ?? []),
			]),
		};
	},
};
