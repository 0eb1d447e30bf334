/** Whether a delivery costs the same from 10 to 18,000 subscribers. */
import type { Figures } from "../load.ts";
import { position } from "../message.ts";
import { median, spread } from "../process.ts";
import { round } from "../result.ts";
import {
	complete,
	cpuColumns,
	disturbance,
	everything,
	goal,
	inTurn,
	type Subject,
	session,
	totalMicros,
	userMicros,
} from "../subject.ts";
import { bareSocket, tidewire, ws } from "../systems/own.ts";

const CHANNEL = "bench_0";
/** With one subscriber a message costs its publishing and one delivery; the others are judged by what they add to it. */
const ALONE = 1;
const SIZES = [10, 100, 1_000, 5_000, 18_000];
/** What is still flat: caches hold 10 sockets and not 18,000. */
const FLAT = 1.25;

export const scale: Subject = {
	name: "scale",
	title: "one channel with 10 to 18,000 subscribers, one message a turn: CPU per delivery",
	systems: [tidewire, ws, bareSocket],
	defaults: { rounds: 3, seconds: 2, warmUp: 1, clients: 18_000 },
	quick: { rounds: 1, seconds: 0.3, warmUp: 0.2, clients: 1_000 },
	run: async (options, bench) => {
		const { rounds = 1, seconds = 1, warmUp = 1, clients: most = 1 } = options;
		const sizes = [ALONE, ...SIZES.filter((size) => size <= most)];
		const nameOf = (size: number): string => `${size.toLocaleString("en")} subscriber${size === 1 ? "" : "s"}`;
		const taken = await inTurn<Figures>(bench, rounds, sizes.map(nameOf), (name, system) =>
			session(system, {}, async ({ port }, load) => {
				const clients = sizes.find((size) => nameOf(size) === name)!;
				const { speech } = system;
				await load.open(port, clients, "subscriber", speech.subscriber([CHANNEL]));
				await load.open(port, 1, "publisher", speech.publisher(CHANNEL));
				await load.script([{ payload: speech.publish(CHANNEL, position()) }], speech.publisher(CHANNEL).dialect);
				return complete(await load.closed(1, { warmMs: warmUp * 1_000, measureMs: seconds * 1_000 }));
			}),
		);
		/** User CPU of one more subscriber, by round. */
		const added = (system: string, size: number): readonly number[] => {
			const alone = taken.all(nameOf(ALONE), system);
			return taken
				.all(nameOf(size), system)
				.map((figures, index) => (userMicros(figures) * size - userMicros(alone[index]!)) / (size - 1));
		};
		const larger = sizes.filter((size) => size > ALONE);
		const flatness = spread(
			Array.from({ length: rounds }, (_, index) => {
				const each = larger.map((size) => added("tidewire", size)[index] ?? Number.NaN);
				return Math.max(...each) / Math.min(...each);
			}),
		);
		return {
			subject: "scale",
			method:
				"As fanout, one message a turn. A message's publishing is in its figures, so at few subscribers it weighs on each: " +
				"what one more subscriber adds is told from it by the case with one.",
			options,
			goals: [
				...larger.map((size) => {
					const ratio = taken.ratio([nameOf(size), "tidewire"], [nameOf(size), "ws"], totalMicros);
					return goal(`${nameOf(size)}: CPU of ws`, 1.05, ratio);
				}),
				goal("user CPU that a subscriber adds, most by least", FLAT, flatness),
			],
			rows: sizes.flatMap((size) =>
				bench.systems.map(({ name: system }) => ({
					system,
					case: nameOf(size),
					...cpuColumns(taken, nameOf(size), system),
					"user µs added": size === ALONE ? null : round(median(added(system, size))),
				})),
			),
			series: bench.systems.flatMap(({ name }) =>
				[
					{ what: "CPU", value: (size: number) => median(taken.all(nameOf(size), name).map(totalMicros)) },
					{ what: "user CPU added", value: (size: number) => median(added(name, size)) },
				].map(({ what, value }) => ({
					name: `${name}: ${what}`,
					graph: "CPU per delivery by subscribers",
					unit: "µs",
					xUnit: "subscribers",
					x: larger,
					y: larger.map((size) => round(value(size))),
				})),
			),
			absent: bench.absent,
			...disturbance(everything(taken, sizes.map(nameOf), bench.systems)),
		};
	},
};
