/**
 * The load: subscribers and publishers of one server, in one process with one clock. It polls without sleeping, so that
 * neither its timers nor its being woken become part of the figures. Told what to do by one argument, it prints one line.
 */
import { argv, pid as self, stdin, stdout } from "node:process";
import { publishFrame, sequenceOf } from "../message.ts";
import { Peer } from "../peer.ts";
import { perDelivery, readCpu, readWaitMs } from "../server-cpu.ts";
import type { FanoutFigures, LatencyFigures, Task } from "../task.ts";

/** So long after the last publish a delivery that is still missing counts as lost. */
const PATIENCE_MS = 10_000;

const task = JSON.parse(argv[2] ?? "") as Task;
// The bench is gone, however it went.
stdin.on("end", () => process.exit(1)).resume();
const figures = task.kind === "latency" ? await measureLatency(task) : await measureFanout(task);
stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit());

/** Calls until it returns true, once per turn of the event loop. */
function poll(turn: () => boolean): Promise<void> {
	return new Promise((resolve, reject) => {
		const next = (): void => {
			try {
				if (turn()) {
					resolve();
				} else {
					setImmediate(next);
				}
			} catch (error) {
				reject(error);
			}
		};
		next();
	});
}

/** Opens a subscriber that insists on getting every message in its order. */
async function subscribe(port: number, channel: number, received: (sequence: number) => void): Promise<void> {
	let expected = 0;
	const peer = new Peer(port, `/subscribe?channel=${channel}`, (bytes, end) => {
		const sequence = sequenceOf(bytes, end);
		if (sequence !== expected) {
			throw new Error(`message ${sequence} came where ${expected} was due`);
		}
		expected++;
		received(sequence);
	});
	await peer.opened;
}

async function publisher(port: number, channel: number): Promise<Peer> {
	const peer = new Peer(port, `/publish?channel=${channel}`, (bytes) => {
		throw new Error(`the server answered a publish: ${bytes.toString("latin1")}`);
	});
	await peer.opened;
	return peer;
}

/**
 * Open loop: messages are due at fixed times, whatever became of those before, and latency counts from when a message
 * was due. So a server that stalls is charged for everything that waited meanwhile.
 */
async function measureLatency(task: Extract<Task, { kind: "latency" }>): Promise<LatencyFigures> {
	const { port, pid, channels, subscribers, rate, warmUpMs, measureMs } = task;
	const perChannel = Math.ceil(((warmUpMs + measureMs) / 1_000) * rate);
	const warm = Math.floor((warmUpMs / 1_000) * rate);
	const total = perChannel * channels;
	const due = new Float64Array(total);
	const samples = new Float64Array((perChannel - warm) * channels * subscribers);
	let deliveries = 0;
	let measured = 0;
	const publishers: Peer[] = [];
	for (let channel = 0; channel < channels; channel++) {
		await Promise.all(
			Array.from({ length: subscribers }, () =>
				subscribe(port, channel, (sequence) => {
					deliveries++;
					if (sequence >= warm) {
						samples[measured++] = performance.now() - due[sequence * channels + channel]!;
					}
				}),
			),
		);
		publishers.push(await publisher(port, channel));
	}

	const startMs = performance.now();
	const stepMs = 1_000 / (rate * channels);
	let sent = 0;
	let latest = 0;
	let cpuBefore = readCpu(pid);
	let before = { ms: startMs, server: 0, load: 0 };
	await poll(() => {
		const now = performance.now();
		while (sent < total && startMs + sent * stepMs <= now) {
			if (sent === warm * channels) {
				cpuBefore = readCpu(pid);
				before = { ms: now, server: readWaitMs(pid), load: readWaitMs(self) };
			}
			due[sent] = startMs + sent * stepMs;
			latest = Math.max(latest, sent < warm * channels ? 0 : now - due[sent]!);
			publishers[sent % channels]!.socket.write(publishFrame(Math.floor(sent / channels)));
			sent++;
		}
		return deliveries === total * subscribers || now > startMs + total * stepMs + PATIENCE_MS;
	});
	const cpu = perDelivery(cpuBefore, readCpu(pid), measured);
	const elapsedMs = performance.now() - before.ms;
	const sorted = samples.subarray(0, measured).sort();
	const at = (part: number): number => sorted[Math.max(0, Math.ceil(part * measured) - 1)] ?? Number.NaN;
	return {
		deliveries: measured,
		lost: samples.length - measured,
		p50Ms: at(0.5),
		p90Ms: at(0.9),
		p99Ms: at(0.99),
		maxMs: at(1),
		publisherLateMs: latest,
		serverWaited: (readWaitMs(pid) - before.server) / elapsedMs,
		loadWaited: (readWaitMs(self) - before.load) / elapsedMs,
		cpu,
	};
}

/** Closed loop, for CPU only: a burst in one write, and the next when every subscriber has all of it. */
async function measureFanout(task: Extract<Task, { kind: "fanout" }>): Promise<FanoutFigures> {
	const { port, pid, subscribers, burst, warmUpMs, measureMs } = task;
	let missing = 0;
	for (let opened = 0; opened < subscribers; opened += 100) {
		await Promise.all(
			Array.from({ length: Math.min(100, subscribers - opened) }, () => subscribe(port, 0, () => missing--)),
		);
	}
	const { socket } = await publisher(port, 0);
	let sequence = 0;
	const run = async (forMs: number): Promise<{ deliveries: number; elapsedMs: number }> => {
		const startMs = performance.now();
		let deliveries = 0;
		await poll(() => {
			if (missing > 0) {
				return false;
			}
			if (performance.now() - startMs >= forMs) {
				return true;
			}
			missing = burst * subscribers;
			deliveries += missing;
			socket.write(Buffer.concat(Array.from({ length: burst }, () => publishFrame(sequence++))));
			return false;
		});
		return { deliveries, elapsedMs: performance.now() - startMs };
	};
	await run(warmUpMs);
	const cpuBefore = readCpu(pid);
	const { deliveries, elapsedMs } = await run(measureMs);
	return { deliveries, elapsedMs, cpu: perDelivery(cpuBefore, readCpu(pid), deliveries) };
}
