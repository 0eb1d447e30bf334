/** What a delivery costs the server when one message goes to 1,000 subscribers, alone and in bursts, beside `ws`. */
import { measure, SERVERS } from "./delivery/measure.ts";
import type { FanoutFigures } from "./delivery/task.ts";
import type { Options } from "./latency.ts";
import { median, spread } from "./process.ts";
import { type Result, type Row, round } from "./result.ts";

export const defaults: Options = { seconds: 4, warmUp: 1, rounds: 5, clients: 1_000 };

export async function run(options: Options): Promise<Result> {
	const { seconds, warmUp, rounds, clients } = options;
	const rows: Row[] = [];
	for (const burst of [1, 20]) {
		const taken = new Map(SERVERS.map((server) => [server, [] as FanoutFigures[]]));
		for (let index = 0; index < rounds; index++) {
			for (const server of SERVERS) {
				const figures = await measure(server, {
					kind: "fanout",
					subscribers: clients,
					burst,
					warmUpMs: warmUp * 1_000,
					measureMs: seconds * 1_000,
				});
				taken.get(server)!.push(figures);
			}
		}
		const cpu = (figures: FanoutFigures): number => figures.cpu.user + figures.cpu.system;
		const user = (figures: FanoutFigures): number => figures.cpu.user;
		for (const server of SERVERS) {
			const all = taken.get(server)!;
			const peers = taken.get("ws")!;
			const total = spread(all.map(cpu));
			rows.push({
				case: burst === 1 ? "1 message a turn" : `bursts of ${burst}`,
				server,
				deliveries: all.reduce((sum, { deliveries }) => sum + deliveries, 0),
				"cpu µs": round(total.median),
				least: round(total.least),
				most: round(total.most),
				"cpu user µs": round(median(all.map(user))),
				// Within a round, so that what else the machine does hits both.
				"cpu / ws": round(median(all.map((figures, at) => cpu(figures) / cpu(peers[at]!)))),
				"user / ws": round(median(all.map((figures, at) => user(figures) / user(peers[at]!)))),
				"deliveries/s": Math.round(median(all.map(({ deliveries, elapsedMs }) => (deliveries / elapsedMs) * 1_000))),
			});
		}
	}
	return {
		subject: "fanout",
		method:
			"A burst is published in one write; the next follows when every subscriber has all of it. CPU is the server's, " +
			"user and system, per delivered message of 130 bytes as a frame: the median of the rounds, and the least and " +
			"the most. Servers take turns; ratios are within a round.",
		options: { ...options },
		rows,
	};
}
