/** From publish to receipt, with 100 connected clients at a fixed rate, beside `ws` with a send loop. */
import { measure, SERVERS } from "./delivery/measure.ts";
import type { LatencyFigures } from "./delivery/task.ts";
import { median } from "./process.ts";
import { type Result, type Row, round } from "./result.ts";

export interface Options {
	readonly seconds: number;
	readonly warmUp: number;
	readonly rounds: number;
	/** Connected clients. */
	readonly clients: number;
}

/** Messages a second in each channel. */
const RATE = 100;

/** The part of the time that a process may stand in line for its core before its latencies are another's. */
const MAX_WAITED = 0.01;

export const defaults: Options = { seconds: 10, warmUp: 2, rounds: 3, clients: 100 };

export async function run(options: Options): Promise<Result> {
	const { seconds, warmUp, rounds, clients } = options;
	const rows: Row[] = [];
	let waited = 0;
	for (const channels of [1, 10]) {
		const subscribers = Math.ceil(clients / channels);
		const taken = new Map(SERVERS.map((server) => [server, [] as LatencyFigures[]]));
		for (let index = 0; index < rounds; index++) {
			for (const server of SERVERS) {
				const figures = await measure(server, {
					kind: "latency",
					channels,
					subscribers,
					rate: RATE,
					warmUpMs: warmUp * 1_000,
					measureMs: seconds * 1_000,
				});
				taken.get(server)!.push(figures);
				waited = Math.max(waited, figures.serverWaited, figures.loadWaited);
			}
		}
		const middle = (server: (typeof SERVERS)[number], read: (figures: LatencyFigures) => number): number =>
			median(taken.get(server)!.map(read));
		const p99 = (figures: LatencyFigures): number => figures.p99Ms;
		const cpu = (figures: LatencyFigures): number => figures.cpu.user + figures.cpu.system;
		for (const server of SERVERS) {
			const all = taken.get(server)!;
			rows.push({
				case: `${channels} channel${channels > 1 ? "s" : ""} × ${subscribers}`,
				server,
				deliveries: all.reduce((sum, { deliveries }) => sum + deliveries, 0),
				lost: all.reduce((sum, { lost }) => sum + lost, 0),
				"p50 ms": round(middle(server, ({ p50Ms }) => p50Ms)),
				"p90 ms": round(middle(server, ({ p90Ms }) => p90Ms)),
				"p99 ms": round(middle(server, p99)),
				"worst round's p99": round(Math.max(...all.map(p99))),
				"max ms": round(Math.max(...all.map(({ maxMs }) => maxMs))),
				"publisher late ms": round(Math.max(...all.map(({ publisherLateMs }) => publisherLateMs))),
				"server waited %": round(100 * Math.max(...all.map(({ serverWaited }) => serverWaited))),
				"load waited %": round(100 * Math.max(...all.map(({ loadWaited }) => loadWaited))),
				"cpu µs": round(middle(server, cpu)),
				"cpu user µs": round(middle(server, (figures) => figures.cpu.user)),
				"p99 / ws": round(middle(server, p99) / middle("ws", p99)),
				"cpu / ws": round(middle(server, cpu) / middle("ws", cpu)),
			});
		}
	}
	return {
		subject: "latency",
		method:
			`Each channel gets ${RATE} messages a second of 130 bytes as a frame, each due at its time whatever became of ` +
			"those before; latency counts from when a message was due until a client has it. Percentiles are over all " +
			"deliveries of a round, the table has the median of the rounds; servers take turns. CPU is the server's, user " +
			"and system, per delivery.",
		options: { ...options, rate: RATE },
		rows,
		...(waited > MAX_WAITED
			? {
					disturbed:
						`server or load stood in line for a core for up to ${round(100 * waited)} % of a round, behind something ` +
						"else on this machine: these latencies are not the servers'",
				}
			: {}),
	};
}
