/** What a delivery costs the server when one channel has 1,000 subscribers, one message a turn and in bursts of 20. */
import type { Figures } from "../load.ts";
import { position } from "../message.ts";
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
import { centrifugo, nats, nchan } from "../systems/foreign.ts";
import { bareSocket, bun, socketIo, tidewire, tidewireEnveloped, uWebSockets, ws } from "../systems/own.ts";

const ONE = "1 message a turn";
const BURST = 20;
const MANY = `bursts of ${BURST}`;
const CHANNEL = "bench_0";

export const fanout: Subject = {
	name: "fanout",
	title: "one channel, 1,000 subscribers: CPU per delivery, one message a turn and in bursts of 20",
	systems: [tidewire, tidewireEnveloped, ws, bareSocket, socketIo, uWebSockets, bun, centrifugo, nats, nchan],
	defaults: { rounds: 5, seconds: 2, warmUp: 1, clients: 1_000, bytes: 126 },
	quick: { rounds: 1, seconds: 0.5, warmUp: 0.3 },
	run: async (options, bench) => {
		const { rounds = 1, seconds = 1, warmUp = 1, clients = 1, bytes } = options;
		const taken = await inTurn<Figures>(bench, rounds, [ONE, MANY], (name, system) =>
			session(system, {}, async ({ port }, load) => {
				const { speech } = system;
				await load.open(port, clients, "subscriber", speech.subscriber([CHANNEL]));
				await load.open(port, 1, "publisher", speech.publisher(CHANNEL));
				await load.script([{ payload: speech.publish(CHANNEL, position(bytes)) }], speech.publisher(CHANNEL).dialect);
				const until = { warmMs: warmUp * 1_000, measureMs: seconds * 1_000 };
				return complete(await load.closed(name === ONE ? 1 : BURST, until));
			}),
		);
		const of = (other: string, name: string, read: (figures: Figures) => number): Parameters<typeof goal>[2] =>
			taken.ratio([name, "tidewire"], [name, other], read);
		return {
			subject: "fanout",
			method:
				"A burst is published in one write, by one more client in the protocol of each system; the next follows when " +
				`every subscriber has all of it. CPU is the server's, user and system, per delivered message of ${bytes} ` +
				"bytes: the median of the rounds, and the least and the most. Systems take turns; ratios are within a round.",
			options,
			goals: [
				goal(`${ONE}: CPU of ws`, 0.9, of("ws", ONE, totalMicros)),
				goal(`${ONE}: user CPU of ws`, 0.6, of("ws", ONE, userMicros)),
				goal(`${ONE}: user CPU of a bare socket`, 1.15, of("bare socket", ONE, userMicros)),
				goal(`${ONE}: CPU of Socket.IO`, 0.65, of("socket.io", ONE, totalMicros)),
				goal(`${ONE}: CPU of Centrifugo`, 1, of("centrifugo", ONE, totalMicros)),
				goal(`${ONE}: CPU of uWebSockets.js`, 1.3, of("uWebSockets.js", ONE, totalMicros)),
				goal(`${MANY}: CPU of ws`, 0.06, of("ws", MANY, totalMicros)),
				goal(`${MANY}: CPU of Socket.IO`, 0.06, of("socket.io", MANY, totalMicros)),
				goal(`${MANY}: CPU of Centrifugo`, 0.5, of("centrifugo", MANY, totalMicros)),
				goal(`${MANY}: CPU of uWebSockets.js`, 1, of("uWebSockets.js", MANY, totalMicros)),
			],
			rows: [ONE, MANY].flatMap((name) =>
				bench.systems.map(({ name: system }) => ({ system, case: name, ...cpuColumns(taken, name, system) })),
			),
			absent: bench.absent,
			...disturbance(everything(taken, [ONE, MANY], bench.systems)),
		};
	},
};
