/**
 * What the SQLite broker costs: publishes a second under each durability, how long the event loop stood still for it,
 * what a read of a page and a checkpoint take, and what the disk itself can do. Figures are of this machine and this
 * folder's disk.
 *
 *     node --conditions=tidewire-source packages/broker-sqlite/test/cost.ts [FOLDER] [SECONDS]
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createSqliteBroker, type SqliteBroker, type SqliteBrokerOptions } from "../src/index.ts";

const [root = tmpdir(), seconds = "3"] = process.argv.slice(2);
const folder = mkdtempSync(join(root, "tidewire-cost-"));
const runMs = Number(seconds) * 1_000;
const retention = { messages: 1_000, bytes: 1024 * 1024, ageMs: 600_000 };
const data = new TextEncoder().encode(
	JSON.stringify({ lat: 40.7128, lng: -74.006, eta: "3 minutes", pad: "x".repeat(80) }),
);
let files = 0;

function line(what: string, ...figures: readonly string[]): void {
	console.log(what.padEnd(58) + figures.map((figure) => figure.padStart(15)).join(""));
}

const us = (ms: number): string => `${(ms * 1_000).toFixed(1)} µs`;
const ms = (value: number): string => `${value.toFixed(2)} ms`;

/** What one wait for this disk takes: the floor of `full` with one publisher. */
function disk(): void {
	const descriptor = openSync(join(folder, "raw"), "w");
	const page = new Uint8Array(4096);
	const times: number[] = [];
	for (let count = 0; count < 200; count++) {
		writeSync(descriptor, page, 0, page.byteLength, (count % 50) * 4096);
		const start = performance.now();
		fdatasyncSync(descriptor);
		times.push(performance.now() - start);
	}
	closeSync(descriptor);
	times.sort((left, right) => left - right);
	line("the disk: write 4 KiB and fdatasync, median and p99", ms(times[100]!), ms(times[198]!));
}

interface Load {
	readonly publishers: number;
	readonly channels: number;
	readonly keyed: boolean;
}

async function publishing(name: string, options: Omit<SqliteBrokerOptions, "path">, load: Load): Promise<void> {
	const broker = createSqliteBroker({ ...options, path: join(folder, `${files++}.db`) });
	const delay = monitorEventLoopDelay({ resolution: 1 });
	const waits: number[] = [];
	let published = 0;
	const publisher = async (endMs: number): Promise<void> => {
		while (performance.now() < endMs) {
			const start = performance.now();
			const key = load.keyed ? { idempotencyKey: `k${published}` } : {};
			const channel = `order_${published % load.channels}`;
			await broker.publish(channel, { data, encoding: "json" }, { retention, ...key });
			published++;
			waits.push(performance.now() - start);
		}
	};
	const run = (forMs: number): Promise<unknown> =>
		Promise.all(Array.from({ length: load.publishers }, () => publisher(performance.now() + forMs)));
	await run(runMs / 4);
	published = 0;
	waits.length = 0;
	const before = process.cpuUsage();
	const { commits } = broker.stats();
	delay.enable();
	await run(runMs);
	delay.disable();
	const { user, system } = process.cpuUsage(before);
	waits.sort((left, right) => left - right);
	line(
		name,
		`${Math.round((published * 1_000) / runMs)}/s`,
		us((user + system) / 1_000 / published),
		ms(waits[Math.floor(waits.length / 2)]!),
		ms(waits[Math.floor(waits.length * 0.99)]!),
		(published / (broker.stats().commits - commits)).toFixed(1),
		ms(delay.percentile(99) / 1e6),
		ms(delay.max / 1e6),
	);
	await broker.close();
}

async function timed(
	broker: SqliteBroker,
	what: string,
	times: number,
	work: (index: number) => Promise<unknown>,
): Promise<void> {
	const start = performance.now();
	for (let index = 0; index < times; index++) {
		await work(index);
	}
	line(what, us((performance.now() - start) / times));
	await broker.idle();
}

async function reading(): Promise<void> {
	const broker = createSqliteBroker({ path: join(folder, `${files++}.db`), synchronous: "normal" });
	const CHANNELS = 2_000;
	for (let count = 0; count < CHANNELS; count++) {
		await Promise.all(
			Array.from({ length: 100 }, () => broker.publish(`order_${count}`, { data, encoding: "json" }, { retention })),
		);
	}
	const channel = (index: number): string => `order_${(index * 7) % CHANNELS}`;
	await timed(broker, "read of a page of 100 entries", 5_000, (index) =>
		broker.read(channel(index), { after: 0, limit: 100 }),
	);
	await timed(broker, "read of the newest entry", 5_000, (index) =>
		broker.read(channel(index), { after: Infinity, limit: 1, reverse: true }),
	);
	await timed(broker, "read of a channel that nobody published to", 5_000, (index) =>
		broker.read(`never_${index}`, { after: 0, limit: 1 }),
	);
	const start = performance.now();
	await broker.sweep();
	line(`sweep over ${CHANNELS} channels, in steps`, ms(performance.now() - start));
	await broker.close();
	const opening = performance.now();
	const again = createSqliteBroker({ path: join(folder, `${files - 1}.db`), synchronous: "normal" });
	line(`open of a file with ${CHANNELS * 100} entries`, ms(performance.now() - opening));
	await again.close();
}

console.log(`Node ${process.version}, ${data.byteLength} bytes a message, ${seconds} s each, in ${folder}`);
disk();
line("", "publishes", "CPU each", "wait p50", "wait p99", "in a commit", "loop p99", "loop max");
for (const synchronous of ["full", "normal"] as const) {
	for (const publishers of [1, 100, 1_000]) {
		const name = `${synchronous}, ${publishers} at once, 100 channels`;
		await publishing(name, { synchronous }, { publishers, channels: 100, keyed: false });
	}
	await publishing(
		`${synchronous}, 1000 at once, 100 channels, keyed`,
		{ synchronous },
		{ publishers: 1_000, channels: 100, keyed: true },
	);
	await publishing(
		`${synchronous}, 1000 at once, 10000 channels`,
		{ synchronous },
		{ publishers: 1_000, channels: 10_000, keyed: false },
	);
}
await publishing(
	"full, 100 at once, commitDelayMs 5",
	{ synchronous: "full", commitDelayMs: 5 },
	{ publishers: 100, channels: 100, keyed: false },
);
await reading();
rmSync(folder, { recursive: true });
