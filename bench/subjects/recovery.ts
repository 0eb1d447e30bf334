/** What it costs to give 1,000 clients that come back the 1,000 messages that each missed, beside live delivery. */
import type { Load, Opening } from "../load.ts";
import { position } from "../message.ts";
import { round } from "../result.ts";
import { complete, goal, inTurn, type Subject, session, totalMicros } from "../subject.ts";
import { tidewireEnveloped } from "../systems/own.ts";
import type { Running } from "../systems/system.ts";
import { upgradeRequest } from "../systems/system.ts";
import { cpuMicros } from "../watch.ts";

const CHANNEL = "bench_0";
const CASE = "come back at once";
const BURST = 20;
const MESSAGE_BYTES = 130;

interface Measured {
	/** Of a recovered message, beyond what it costs to come back to a channel where nothing was missed. */
	readonly micros: number;
	/** Of a live one. */
	readonly liveMicros: number;
	/** Until the last client has its last message. */
	readonly seconds: number;
	readonly idleSeconds: number;
}

/** A client that subscribes so far back, and is open when this has come. */
function comer(rewind: number, token: string): Opening {
	const subscribe = { id: 0, action: "subscribe", channel: CHANNEL, ...(rewind > 0 && { rewind }) };
	return {
		dialect: "tidewire",
		request: upgradeRequest("/connect", "Sec-WebSocket-Protocol: tidewire.v1.json"),
		says: [JSON.stringify(subscribe)],
		token,
		replies: 1,
	};
}

async function comeBack(
	{ port, process }: Running,
	load: Load,
	clients: number,
	opening: Opening,
): Promise<{ readonly micros: number; readonly seconds: number }> {
	const before = cpuMicros(process.pid);
	const startMs = performance.now();
	await load.open(port, clients, "subscriber", opening);
	const after = cpuMicros(process.pid);
	return {
		micros: after.user + after.system - before.user - before.system,
		seconds: (performance.now() - startMs) / 1_000,
	};
}

export const recovery: Subject = {
	name: "recovery",
	title: "1,000 clients come back at once, and each has missed 1,000 messages: time, CPU per recovered message",
	systems: [tidewireEnveloped],
	defaults: { rounds: 3, clients: 1_000, missed: 1_000, seconds: 1, warmUp: 0.5 },
	quick: { rounds: 1, clients: 100, missed: 200, seconds: 0.3, warmUp: 0.2 },
	run: async (options, bench) => {
		const { rounds = 1, clients = 1, missed = 1, seconds = 1, warmUp = 1 } = options;
		const taken = await inTurn<Measured>(bench, rounds, [CASE], (_name, system) =>
			session(system, {}, async (running, load) => {
				const { speech } = system;
				// One client is there all the time, and what is loaded once is loaded before.
				await load.open(running.port, 1, "subscriber", comer(0, '"ack":0'));
				await load.expect(missed, { patienceMs: 60_000 }, () => {
					const scatter = { channels: 1, messages: missed, perTurn: missed, bytes: MESSAGE_BYTES };
					running.process.child.stdin!.write(`scatter ${JSON.stringify(scatter)}\n`);
				});
				await comeBack(running, load, clients, comer(0, '"ack":0'));
				await comeBack(running, load, Math.ceil(clients / 10), comer(missed, `"offset":${missed},`));
				const idle = await comeBack(running, load, clients, comer(0, '"ack":0'));
				const back = await comeBack(running, load, clients, comer(missed, `"offset":${missed},`));
				await load.open(running.port, 1, "publisher", speech.publisher(CHANNEL));
				const live = { payload: speech.publish(CHANNEL, position(MESSAGE_BYTES)) };
				await load.script([live], speech.publisher(CHANNEL).dialect);
				const figures = complete(await load.closed(BURST, { warmMs: warmUp * 1_000, measureMs: seconds * 1_000 }));
				bench.say(
					`CPU ms: ${Math.round(idle.micros / 1_000)} nothing missed, ${Math.round(back.micros / 1_000)} all missed`,
				);
				return {
					micros: (back.micros - idle.micros) / (clients * missed),
					liveMicros: totalMicros(figures),
					seconds: back.seconds,
					idleSeconds: idle.seconds,
				};
			}),
		);
		const of = (read: (measured: Measured) => number): Parameters<typeof goal>[2] =>
			taken.spread(CASE, tidewireEnveloped.name, read);
		const micros = of((measured) => measured.micros);
		const ratio = of((measured) => measured.micros / measured.liveMicros);
		return {
			subject: "recovery",
			method:
				`${clients.toLocaleString("en")} clients connect and subscribe ${missed.toLocaleString("en")} messages of ` +
				`${MESSAGE_BYTES} bytes back, as fast as the load can open them; it is over when each has its last. CPU is the ` +
				"server's, less that of as many clients that have missed nothing, per recovered message. Live delivery, to " +
				`compare: bursts of ${BURST} to all of these clients on the same server.`,
			options,
			goals: [goal("CPU of a recovered message, of one delivered live", 1, ratio)],
			rows: bench.systems.map(({ name: system }) => ({
				system,
				case: CASE,
				clients,
				"missed each": missed,
				seconds: round(of((measured) => measured.seconds)!.median),
				"seconds, nothing missed": round(of((measured) => measured.idleSeconds)!.median),
				"cpu µs": round(micros!.median),
				least: round(micros!.least),
				most: round(micros!.most),
				"live cpu µs": round(of((measured) => measured.liveMicros)!.median),
			})),
			absent: bench.absent,
		};
	},
};
