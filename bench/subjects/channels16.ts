/** A recorded feed of 16 channels at 100 times its pace, to clients that have all of them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Figures, Published } from "../load.ts";
import { recordedTicks, stamped, type Tick } from "../message.ts";
import type { Spread } from "../process.ts";
import { round } from "../result.ts";
import {
	cpuColumns,
	disturbance,
	everything,
	goal,
	inTurn,
	latencyColumns,
	type Subject,
	session,
	totalMicros,
} from "../subject.ts";
import { centrifugo, nats, nchan } from "../systems/foreign.ts";
import { bun, socketIo, tidewire, uWebSockets, ws } from "../systems/own.ts";
import type { Speech } from "../systems/system.ts";

const CHANNELS = 16;
const PACE = 100;
const SIZES = [16, 100, 1_000];
/** What comes later than so long after the last message is lost. */
const PATIENCE_MS = 3_000;

interface Due extends Tick {
	readonly dueMicros: number;
}

/** The recording, over and over until the time is up. */
function feed(seconds: number): readonly Due[] {
	const ticks = recordedTicks();
	const lengthMicros = ticks.at(-1)!.atMicros / PACE;
	const all: Due[] = [];
	for (let index = 0; ; index++) {
		const tick = ticks[index % ticks.length]!;
		const dueMicros = Math.round(Math.floor(index / ticks.length) * lengthMicros + tick.atMicros / PACE);
		if (dueMicros > seconds * 1e6) {
			return all;
		}
		all.push({ ...tick, dueMicros });
	}
}

const channelOf = ({ stream }: Tick): string => `bench_${stream}`;

/** For systems that publish from within. */
function replayFile(folder: string, name: string, ticks: readonly Due[]): string {
	const file = join(folder, name);
	const script = ticks.map(
		(tick) => `{"dueMicros":${tick.dueMicros},"channel":"${channelOf(tick)}","data":${tick.text}}`,
	);
	writeFileSync(file, `[${script.join(",")}]`);
	return file;
}

/** For the others. */
function published(speech: Speech, ticks: readonly Due[], clients: number): readonly Published[] {
	return ticks.map((tick) => ({
		payload: speech.publish(channelOf(tick), stamped(tick.text)),
		publisher: tick.stream,
		dueMicros: tick.dueMicros,
		deliveries: clients,
	}));
}

export const channels16: Subject = {
	name: "channels16",
	title: "16 channels of recorded ticks at 100 times their pace, each client on all: CPU per delivery, percentiles",
	systems: [tidewire, ws, socketIo, uWebSockets, bun, centrifugo, nats, nchan],
	defaults: { rounds: 3, seconds: 3, warmUp: 1, clients: 1_000 },
	quick: { rounds: 1, seconds: 0.5, warmUp: 0.2, clients: 100 },
	run: async (options, bench) => {
		const { rounds = 1, seconds = 1, warmUp = 1, clients: most = 1 } = options;
		const sizes = SIZES.filter((size) => size <= most);
		const nameOf = (size: number): string => `${size.toLocaleString("en")} clients`;
		const names = sizes.map(nameOf);
		const folder = mkdtempSync(join(tmpdir(), "tidewire-bench-"));
		const warm = feed(warmUp);
		const measured = feed(seconds);
		const warmFile = replayFile(folder, "warm.json", warm);
		const file = replayFile(folder, "measured.json", measured);
		const channels = Array.from({ length: CHANNELS }, (_, index) => `bench_${index}`);

		const taken = await inTurn<Figures>(bench, rounds, names, (name, system) =>
			session(system, {}, async ({ port, process }, load) => {
				const clients = sizes.find((size) => nameOf(size) === name)!;
				const { speech } = system;
				await load.open(port, clients, "subscriber", speech.subscriber(channels));
				if (system.inside) {
					const replay = (path: string, ticks: readonly Due[], forSeconds: number): Promise<Figures> =>
						load.expect(ticks.length * clients, { patienceMs: forSeconds * 1_000 + PATIENCE_MS }, () => {
							process.child.stdin!.write(`replay ${JSON.stringify({ file: path })}\n`);
						});
					await replay(warmFile, warm, warmUp);
					return replay(file, measured, seconds);
				}
				for (const channel of channels) {
					await load.open(port, 1, "publisher", speech.publisher(channel));
				}
				await load.script(published(speech, measured, clients), speech.publisher("bench_0").dialect);
				return load.paced({ warmMs: 0, patienceMs: PATIENCE_MS });
			}),
		).finally(() => rmSync(folder, { recursive: true }));

		const p99 = taken.spread(nameOf(1_000), "tidewire", ({ p99Ms }) => p99Ms);
		const offered = measured.length / seconds;
		const inTime = ({ deliveries, lost }: Figures): number => (100 * deliveries) / (deliveries + lost);
		const ofWs = (size: number): Spread | null =>
			taken.ratio([nameOf(size), "tidewire"], [nameOf(size), "ws"], totalMicros);
		return {
			subject: "channels16",
			method:
				`${CHANNELS} streams of recorded ticks (240 bytes each, with a stamp) are replayed at ${PACE} times their pace, ` +
				`${Math.round(offered).toLocaleString("en")} messages a second, and every client has all of them. Programs of ` +
				"this bench (but Bun's) publish from within, the others are published to by the load. A message is due at its time whatever " +
				`became of those before; what is not there ${PATIENCE_MS / 1_000} s after the last is lost: a system that did not ` +
				"keep the pace.",
			options: { ...options, messagesPerSecond: Math.round(offered) },
			goals: [
				goal("16 clients: CPU of ws", 0.35, ofWs(16)),
				goal("100 clients: CPU of ws", 0.2, ofWs(100)),
				goal("1,000 clients: p99", 50, p99, { unit: "ms" }),
				goal("1,000 clients: delivered in time", 99.9, taken.spread(nameOf(1_000), "tidewire", inTime), {
					unit: "%",
					atLeast: true,
				}),
			],
			rows: names.flatMap((name) =>
				bench.systems.map(({ name: system }) => ({
					system,
					case: name,
					"in time %": round(taken.spread(name, system, inTime)!.median),
					...latencyColumns(taken.all(name, system)),
					...cpuColumns(taken, name, system),
				})),
			),
			absent: bench.absent,
			...disturbance(everything(taken, names, bench.systems)),
		};
	},
};
