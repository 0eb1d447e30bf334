/** From publish to receipt with 100 connected clients at a fixed rate. */
import type { Figures, Published } from "../load.ts";
import { position } from "../message.ts";
import { spread } from "../process.ts";
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
} from "../subject.ts";
import { centrifugo, nats, nchan } from "../systems/foreign.ts";
import { bun, socketIo, tidewire, uWebSockets, ws } from "../systems/own.ts";
import type { Speech } from "../systems/system.ts";

/** Messages a second in each channel. */
const RATE = 100;

/** Evenly over the time and the channels, each of which has a publishing connection of its own. */
export function evenly(speech: Speech, { channels, rate, seconds, subscribers, data }: EvenPace): readonly Published[] {
	const total = Math.round(rate * channels * seconds);
	return Array.from({ length: total }, (_, index) => ({
		payload: speech.publish(`bench_${index % channels}`, data),
		publisher: index % channels,
		dueMicros: Math.round((index / (rate * channels)) * 1e6),
		deliveries: subscribers,
	}));
}

interface EvenPace {
	readonly channels: number;
	/** Messages a second in each channel. */
	readonly rate: number;
	readonly seconds: number;
	/** Of each channel. */
	readonly subscribers: number;
	readonly data: string;
}

export const latency: Subject = {
	name: "latency",
	title: "publish to receipt with 100 clients at 100 messages a second in each channel: percentiles",
	systems: [tidewire, ws, socketIo, uWebSockets, bun, centrifugo, nats, nchan],
	defaults: { rounds: 3, seconds: 10, warmUp: 2, clients: 100 },
	quick: { rounds: 1, seconds: 1, warmUp: 0.3 },
	run: async (options, bench) => {
		const { rounds = 1, seconds = 1, warmUp = 1, clients = 1 } = options;
		const cases = [1, 10].map((channels) => {
			const subscribers = Math.ceil(clients / channels);
			return { channels, subscribers, name: `${channels} channel${channels > 1 ? "s" : ""} × ${subscribers}` };
		});
		const names = cases.map(({ name }) => name);
		const taken = await inTurn<Figures>(bench, rounds, names, (name, system) =>
			session(system, {}, async ({ port }, load) => {
				const { channels, subscribers } = cases.find((one) => one.name === name)!;
				const { speech } = system;
				for (let channel = 0; channel < channels; channel++) {
					await load.open(port, subscribers, "subscriber", speech.subscriber([`bench_${channel}`]));
					await load.open(port, 1, "publisher", speech.publisher(`bench_${channel}`));
				}
				const pace = { channels, rate: RATE, seconds: warmUp + seconds, subscribers, data: position() };
				await load.script(evenly(speech, pace), speech.publisher("bench_0").dialect);
				return load.paced({ warmMs: warmUp * 1_000 });
			}),
		);
		const p99 = names.flatMap((name) => taken.all(name, "tidewire").map(({ p99Ms }) => p99Ms));
		return {
			subject: "latency",
			method:
				`Each channel gets ${RATE} messages a second of 130 bytes as a frame, each due at its time whatever became of ` +
				"those before; latency counts from when a message was due until a client has it. Percentiles are over all " +
				"deliveries of a round, the table has the median of the rounds; systems take turns.",
			options: { ...options, rate: RATE },
			goals: [goal("p99 of any round", 50, p99.length === 0 ? null : spread([Math.max(...p99)]), { unit: "ms" })],
			rows: names.flatMap((name) =>
				bench.systems.map(({ name: system }) => {
					const ratio = taken.ratio([name, system], [name, "ws"], ({ p99Ms }) => p99Ms);
					return {
						system,
						case: name,
						...latencyColumns(taken.all(name, system)),
						"p99 / ws": ratio === null ? null : round(ratio.median),
						...cpuColumns(taken, name, system),
					};
				}),
			),
			absent: bench.absent,
			...disturbance(everything(taken, names, bench.systems)),
		};
	},
};
