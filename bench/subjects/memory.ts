/** What a connection with one subscription costs in resident memory when it is idle. */
import { median } from "../process.ts";
import { round } from "../result.ts";
import { goal, inTurn, type Subject, session } from "../subject.ts";
import { centrifugo, nats, nchan } from "../systems/foreign.ts";
import { bareSocket, bun, socketIo, tidewire, tidewireAttached, uWebSockets, ws } from "../systems/own.ts";
import { settled, tcpBytes } from "../watch.ts";

const CHANNEL = "bench_0";
/** They pay for what is loaded once, and stay. */
const FIRST = 100;

interface Bytes {
	readonly resident: number;
	readonly kernel: number;
}

export const memory: Subject = {
	name: "memory",
	title: "18,000 idle connections with one subscription each: resident memory",
	systems: [tidewire, tidewireAttached, ws, bareSocket, socketIo, uWebSockets, bun, centrifugo, nats, nchan],
	defaults: { rounds: 3, clients: 18_000 },
	quick: { rounds: 1, clients: 2_000 },
	run: async (options, bench) => {
		const { rounds = 1, clients = 1 } = options;
		const name = `${clients.toLocaleString("en")} connections`;
		const taken = await inTurn<Bytes>(bench, rounds, [name], (_name, system) =>
			session(system, {}, async (running, load) => {
				const opening = system.speech.subscriber([CHANNEL]);
				await load.open(running.port, FIRST, "subscriber", opening);
				const before = await settled(running.process, system.collects);
				const kernelBefore = tcpBytes();
				await load.open(running.port, clients, "subscriber", opening);
				const after = await settled(running.process, system.collects);
				return { resident: (after - before) / clients, kernel: (tcpBytes() - kernelBefore) / clients };
			}),
		);
		const resident = ({ resident: bytes }: Bytes): number => bytes;
		const best = [ws, socketIo, centrifugo, nats, nchan]
			.map(({ name: peer }) => taken.ratio([name, "tidewire"], [name, peer], resident))
			.filter((ratio) => ratio !== null)
			.toSorted((a, b) => b.median - a.median)[0];
		return {
			subject: "memory",
			method:
				`${FIRST} connections are opened first, and pay for what is loaded once. Resident memory of the server, after two ` +
				"full collections where it has a collector, less that before, for each further connection. V8 with its default " +
				"flags (and --expose-gc): its young generation grows while connections are opened and is in the figure. Bun's " +
				"WebSockets are those of uWebSockets, and so not among the peers of the goal.",
			options,
			goals: [
				goal(`${name}: resident memory`, 4_500, taken.spread(name, "tidewire", resident), { unit: "bytes" }),
				goal("of the least peer but uWebSockets.js", 1, best ?? null),
			],
			rows: bench.systems.map(({ name: system }) => {
				const spread = taken.spread(name, system, resident)!;
				const ratio = taken.ratio([name, system], [name, "ws"], resident);
				return {
					system,
					case: name,
					bytes: Math.round(spread.median),
					least: Math.round(spread.least),
					most: Math.round(spread.most),
					"/ ws": ratio === null ? null : round(ratio.median),
					// Buffers that hold something; the sockets themselves are the same for all.
					"kernel buffers": Math.round(median(taken.all(name, system).map(({ kernel }) => kernel))),
				};
			}),
			absent: bench.absent,
		};
	},
};
