/** What permessage-deflate saves on the wire, and what it costs, when a feed goes to 1,000 subscribers. */
import type { Figures } from "../load.ts";
import { recordedTicks } from "../message.ts";
import type { Spread } from "../process.ts";
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
} from "../subject.ts";
import { tidewire, uWebSockets, ws } from "../systems/own.ts";

const CHANNEL = "bench_0";
const PLAIN = "uncompressed";
/** What the client offers decides which of the two it gets. */
const OFFERS = {
	alone: "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
	"shared context": "permessage-deflate",
} as const;
const CASES = [PLAIN, ...Object.keys(OFFERS)];

export const compression: Subject = {
	name: "compression",
	title: "1,000 subscribers of recorded ticks, compressed: bytes on the wire, CPU of the same uncompressed",
	systems: [tidewire, ws, uWebSockets],
	defaults: { rounds: 3, seconds: 2, warmUp: 1, clients: 1_000 },
	quick: { rounds: 1, seconds: 0.3, warmUp: 0.2, clients: 100 },
	run: async (options, bench) => {
		const { rounds = 1, seconds = 1, warmUp = 1, clients = 1 } = options;
		const ticks = recordedTicks();
		const taken = await inTurn<Figures>(bench, rounds, CASES, (name, system) => {
			const offer = name in OFFERS ? OFFERS[name as keyof typeof OFFERS] : undefined;
			return session(system, { compression: offer !== undefined }, async ({ port }, load) => {
				const { speech } = system;
				await load.open(port, clients, "subscriber", speech.subscriber([CHANNEL], offer));
				await load.open(port, 1, "publisher", speech.publisher(CHANNEL));
				// As they were recorded: a stamp would not compress.
				const messages = ticks.map(({ text }) => ({ payload: speech.publish(CHANNEL, text) }));
				await load.script(messages, speech.publisher(CHANNEL).dialect);
				const figures = complete(await load.closed(1, { warmMs: warmUp * 1_000, measureMs: seconds * 1_000 }));
				if (offer !== undefined && figures.decoded === 0) {
					throw new Error(`${system.name} did not compress, or no connection of the load decodes`);
				}
				return figures;
			});
		});
		const wireBytes = ({ wireBytes: bytes, deliveries }: Figures): number => bytes / deliveries;
		const saved = (name: string, system: string): Spread | null => {
			const left = taken.ratio([name, system], [PLAIN, system], wireBytes);
			const part = (ratio: number): number => 100 * (1 - ratio);
			return left === null ? null : { median: part(left.median), least: part(left.most), most: part(left.least) };
		};
		const cpu = (name: string, system: string): Spread | null =>
			taken.ratio([name, system], [PLAIN, system], totalMicros);
		return {
			subject: "compression",
			method:
				"One channel carries the recorded feed of 16 streams (215 bytes a message), one message a turn as in fanout. " +
				"Bytes are all that subscribers receive, headers of frames included. 1 connection in 97 is decoded by zlib as any " +
				"client decodes, and compared with what was published. The client's offer decides: with server_no_context_takeover " +
				"each message is compressed alone, without it in the context of what went before. Ratios are to the same system " +
				"uncompressed, within a round. ws compresses from 64 bytes on, at level 1, as Tidewire does by default.",
			options,
			goals: [
				goal("each message alone: bytes saved", 35, saved("alone", "tidewire"), { unit: "%", atLeast: true }),
				goal("shared context: bytes saved", 60, saved("shared context", "tidewire"), { unit: "%", atLeast: true }),
				goal("each message alone: CPU of uncompressed", 1.2, cpu("alone", "tidewire")),
				goal("shared context: CPU of uncompressed", 1.2, cpu("shared context", "tidewire")),
			],
			rows: CASES.flatMap((name) =>
				bench.systems.map(({ name: system }) => ({
					system,
					case: name,
					"bytes a delivery": round(taken.spread(name, system, wireBytes)!.median),
					"saved %": round(saved(name, system)!.median),
					"cpu / uncompressed": round(cpu(name, system)!.median),
					decoded: taken.all(name, system).reduce((sum, { decoded }) => sum + decoded, 0),
					...cpuColumns(taken, name, system),
				})),
			),
			absent: bench.absent,
			...disturbance(everything(taken, CASES, bench.systems)),
		};
	},
};
