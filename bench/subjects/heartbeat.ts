/** What idle connections cost in CPU time: pings from the server, answers from the clients, and the wheel by itself. */
import { Heartbeat } from "../../packages/server/src/connection/heartbeat.ts";
import { median } from "../process.ts";
import { type Row, round } from "../result.ts";
import { inTurn, type Subject, session } from "../subject.ts";
import { centrifugo, nats } from "../systems/foreign.ts";
import { socketIo, tidewire, uWebSockets } from "../systems/own.ts";
import { cpuMicros, sleep } from "../watch.ts";

const CHANNEL = "bench_0";
const PER = 100_000;

interface Idle {
	/** Milliseconds of CPU time a minute. */
	readonly userMs: number;
	readonly systemMs: number;
}

/** CPU time that the wheel takes for a minute of so many peers who answer their pings, in milliseconds. */
function wheelAlone(peers: number, minutes: number): number {
	let nowMs = 0;
	// What a tick leaves to later turns is done at once.
	const heartbeat = new Heartbeat(
		{ intervalMs: 30_000, timeoutMs: 5_000 },
		() => nowMs,
		(task) => task(),
	);
	for (let index = 0; index < peers; index++) {
		const peer = {
			wheelNext: undefined,
			wheelPrevious: undefined,
			dueMs: 0,
			heardMs: 0,
			pingedMs: 0,
			askedMs: 0,
			closeByMs: 0,
			unconfirmedBytes: 0,
			// Heard of with the next tick.
			ping: () => {
				peer.heardMs = nowMs + 1;
			},
			dead: () => {
				throw new Error("a peer that answers is not dead");
			},
		};
		// They came over one interval, as connections do.
		nowMs = (30_000 * index) / peers;
		heartbeat.nowMs = nowMs;
		heartbeat.watch(peer);
	}
	const before = process.cpuUsage();
	for (let second = 0; second < 60 * minutes; second++) {
		nowMs += 1_000;
		heartbeat.tick();
	}
	const { user, system } = process.cpuUsage(before);
	return (user + system) / 1_000 / minutes;
}

export const heartbeat: Subject = {
	name: "heartbeat",
	title: "18,000 idle connections: CPU time of their heartbeat, scaled to 100,000, and the wheel alone",
	systems: [tidewire, socketIo, uWebSockets, centrifugo, nats],
	defaults: { rounds: 1, seconds: 120, clients: 18_000 },
	quick: { rounds: 1, seconds: 5, clients: 1_000 },
	run: async (options, bench) => {
		const { rounds = 1, seconds = 1, clients = 1 } = options;
		const cases = ["no connection", `${clients.toLocaleString("en")} connections`] as const;
		const taken = await inTurn<Idle>(bench, rounds, cases, (name, system) =>
			session(system, {}, async ({ port, process: { pid } }, load) => {
				if (name !== cases[0]) {
					await load.open(port, clients, "subscriber", system.speech.subscriber([CHANNEL]));
				}
				// What opening them left to be done, such as collecting garbage.
				await sleep(Math.min(seconds, 10) * 1_000);
				const before = cpuMicros(pid);
				await sleep(seconds * 1_000);
				const after = cpuMicros(pid);
				const perMinute = (micros: number): number => (micros / 1_000) * (60 / seconds);
				return { userMs: perMinute(after.user - before.user), systemMs: perMinute(after.system - before.system) };
			}),
		);
		const rows: Row[] = bench.systems.map(({ name: system }) => {
			const idle = taken.all(cases[1], system);
			const alone = taken.all(cases[0], system);
			/** Less what the process does by itself. */
			const scaled = (read: (idle: Idle) => number): number =>
				round(median(idle.map((one, index) => ((read(one) - read(alone[index]!)) / clients) * PER)));
			return {
				system,
				case: `${cases[1]}, scaled to ${PER.toLocaleString("en")}`,
				"cpu ms a minute": scaled(({ userMs, systemMs }) => userMs + systemMs),
				"user ms a minute": scaled(({ userMs }) => userMs),
				"% of a core": round(scaled(({ userMs, systemMs }) => userMs + systemMs) / 600),
			};
		});
		const wheelMs = round(wheelAlone(PER, 10));
		rows.push({
			system: "tidewire",
			case: `the wheel alone, ${PER.toLocaleString("en")} peers that answer`,
			"cpu ms a minute": wheelMs,
			"user ms a minute": null,
			"% of a core": round(wheelMs / 600),
		});
		return {
			subject: "heartbeat",
			method:
				`CPU time of the server in ${seconds} s, less that of one without connections, as a minute of ` +
				`${PER.toLocaleString("en")} connections. Each system pings by its own defaults (Tidewire and uWebSockets.js after ` +
				"30 s or more of silence, Socket.IO and Centrifugo every 25 s, NATS every 2 minutes), and the load answers.",
			options,
			goals: [],
			rows,
			absent: bench.absent,
		};
	},
};
