/** When the last of 10,000 subscribers has a message. */
import type { Figures } from "../load.ts";
import { position } from "../message.ts";
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
import { evenly } from "./latency.ts";

const CHANNEL = "bench_0";
const CASE = "1 message a second";
/** Two p99 that are so near are a tie. */
const NOISE = 1.1;

export const crowd: Subject = {
	name: "crowd",
	title: "10,000 subscribers, one message a second: percentiles",
	systems: [tidewire, ws, socketIo, uWebSockets, bun, centrifugo, nats, nchan],
	defaults: { rounds: 3, seconds: 20, warmUp: 3, clients: 10_000 },
	quick: { rounds: 1, seconds: 2, warmUp: 1, clients: 1_000 },
	run: async (options, bench) => {
		const { rounds = 1, seconds = 1, warmUp = 1, clients = 1 } = options;
		const taken = await inTurn<Figures>(bench, rounds, [CASE], (_name, system) =>
			session(system, {}, async ({ port }, load) => {
				const { speech } = system;
				await load.open(port, clients, "subscriber", speech.subscriber([CHANNEL]));
				await load.open(port, 1, "publisher", speech.publisher(CHANNEL));
				const pace = { channels: 1, rate: 1, seconds: warmUp + seconds, subscribers: clients, data: position() };
				await load.script(evenly(speech, pace), speech.publisher(CHANNEL).dialect);
				return load.paced({ warmMs: warmUp * 1_000 });
			}),
		);
		const p99 = ({ p99Ms }: Figures): number => p99Ms;
		const nodePeers = ["ws", "socket.io"]
			.map((peer) => taken.ratio([CASE, "tidewire"], [CASE, peer], p99))
			.filter((ratio) => ratio !== null);
		const best = nodePeers.toSorted((a, b) => b.median - a.median)[0] ?? null;
		return {
			subject: "crowd",
			method:
				"One channel gets a message of 130 bytes as a frame each second; latency counts from when it was due until each " +
				"subscriber has it, so the p99 is when all but the last hundredth have been served. Systems take turns.",
			options,
			goals: [
				goal("p99 of the best Node peer", NOISE, best),
				goal("p99 of uWebSockets.js", 1.3, taken.ratio([CASE, "tidewire"], [CASE, "uWebSockets.js"], p99)),
			],
			rows: bench.systems.map(({ name: system }) => ({
				system,
				case: CASE,
				...latencyColumns(taken.all(CASE, system)),
				...cpuColumns(taken, CASE, system),
			})),
			absent: bench.absent,
			...disturbance(everything(taken, [CASE], bench.systems)),
		};
	},
};
