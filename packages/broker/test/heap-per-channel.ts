/**
 * Weighs and times the memory broker: what a channel without messages takes, what a kept message takes, and what a
 * publish costs with few channels and with many. Each subject has a process of its own, so that what one leaves behind
 * is not found in another's figures. On a quiet machine:
 *
 *     node --expose-gc --conditions=tidewire-source packages/broker/test/heap-per-channel.ts [subject …]
 */
import { spawnSync } from "node:child_process";
import { createMemoryBroker, type MemoryBroker } from "../src/index.ts";

const CHANNELS = 100_000;
const RETENTION = { messages: 100, bytes: 1024 * 1024, ageMs: 600_000 };
const NOTHING = { messages: 0, bytes: 0, ageMs: 0 };
const MESSAGE = new TextEncoder().encode(`{"p":"${"x".repeat(122)}"}`);

interface Used {
	readonly heap: number;
	readonly resident: number;
}

function used(): Used {
	globalThis.gc?.();
	globalThis.gc?.();
	const { heapUsed, external, rss } = process.memoryUsage();
	return { heap: heapUsed + external, resident: rss };
}

function printEach(what: string, count: number, before: Used): void {
	const { heap, resident } = used();
	const each = (bytes: number): string => `${(bytes / count).toFixed(0)}`.padStart(5);
	console.log(
		`${what.padEnd(64)} heap and external ${each(heap - before.heap)} B, resident ${each(resident - before.resident)} B`,
	);
}

/** So that the garbage of the measured work finds a young generation that has grown already. */
async function warmUp(): Promise<void> {
	const broker = createMemoryBroker();
	const names = nameChannels(1_000);
	await subscribeTo(broker, names);
	for (let turn = 0; turn < 300_000; turn++) {
		await publishOne(broker, names[turn % names.length]!, NOTHING);
	}
	await broker.close();
}

/** The names exist before anything is weighed: they belong to whoever subscribes. */
function nameChannels(count: number): string[] {
	return Array.from({ length: count }, (_, index) => JSON.parse(`"order_${index}"`) as string);
}

async function subscribeTo(broker: MemoryBroker, names: readonly string[]): Promise<{ told: number }> {
	const heard = { told: 0 };
	broker.listen({
		entries: (_channel, _epoch, entries) => {
			heard.told += entries.length;
		},
		reset: () => {},
	});
	for (const name of names) {
		await broker.subscribe(name);
	}
	return heard;
}

async function publishOne(broker: MemoryBroker, name: string, retention = RETENTION): Promise<void> {
	await broker.publish(name, { data: new Uint8Array(MESSAGE), encoding: "json" }, { retention });
}

/** Numbers that look random, the same in every run. */
function createDice(): (sides: number) => number {
	let state = 1;
	return (sides) => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return Math.floor((state / 2 ** 32) * sides);
	};
}

async function timePublish(channels: number, retention: typeof RETENTION): Promise<string> {
	const names = nameChannels(channels);
	const broker = createMemoryBroker();
	const heard = await subscribeTo(broker, names);
	const dice = createDice();
	const runs = 6;
	const publications = 200_000;
	const run = async (count: number): Promise<number> => {
		const before = process.cpuUsage();
		for (let turn = 0; turn < count; turn++) {
			void publishOne(broker, names[dice(channels)]!, retention);
			if (turn % 1_000 === 999) {
				await undefined;
			}
		}
		const { user, system } = process.cpuUsage(before);
		return (user + system) / count;
	};
	// The first runs fill the logs. The best of the others has the least of other processes in it.
	const costs: number[] = [];
	for (let turn = 0; turn < runs; turn++) {
		costs.push(await run(publications));
	}
	if (heard.told !== publications * runs) {
		throw new Error(`${heard.told} entries were told`);
	}
	await broker.close();
	return Math.min(...costs.slice(2)).toFixed(2);
}

const subjects: Readonly<Record<string, () => Promise<void>>> = {
	empty: async () => {
		const names = nameChannels(CHANNELS);
		const broker = createMemoryBroker();
		await warmUp();
		const before = used();
		await subscribeTo(broker, names);
		printEach(`a channel with a subscriber, nothing kept (of ${CHANNELS})`, names.length, before);
	},
	counted: async () => {
		const names = nameChannels(CHANNELS);
		const broker = createMemoryBroker();
		await warmUp();
		const before = used();
		for (const name of names) {
			await publishOne(broker, name, NOTHING);
		}
		printEach(`a channel that counts, nobody subscribed (of ${CHANNELS})`, names.length, before);
	},
	one: async () => {
		const names = nameChannels(CHANNELS);
		const broker = createMemoryBroker();
		await subscribeTo(broker, names);
		await warmUp();
		const before = used();
		for (const name of names) {
			await publishOne(broker, name);
		}
		printEach(`a kept message of ${MESSAGE.length} bytes, one a channel`, names.length, before);
	},
	many: async () => {
		const names = nameChannels(CHANNELS / 100);
		const broker = createMemoryBroker({ maxLogBytes: 2 ** 30 });
		await subscribeTo(broker, names);
		await warmUp();
		const before = used();
		for (let turn = 0; turn < RETENTION.messages; turn++) {
			for (const name of names) {
				await publishOne(broker, name);
			}
		}
		printEach(`the same, ${RETENTION.messages} a channel`, names.length * RETENTION.messages, before);
	},
	holes: async () => {
		// Half of the channels keep 100 messages, half keep one, and all are as busy: two thirds of the slabs are holes.
		const names = nameChannels(2_000);
		const broker = createMemoryBroker({ maxLogBytes: 2 ** 30 });
		await subscribeTo(broker, names);
		await warmUp();
		const before = used();
		const dice = createDice();
		for (let turn = 0; turn < 1_000_000; turn++) {
			const channel = dice(names.length);
			await publishOne(broker, names[channel]!, channel % 2 === 0 ? RETENTION : { ...RETENTION, messages: 1 });
		}
		printEach("the same where others come and go", (names.length / 2) * (RETENTION.messages + 1), before);
	},
	longest: async () => {
		// Slabs that must be cleaned all the time, and the one publish that takes longest: each one's best of five equal
		// runs, so that neither the collector nor other processes are in it.
		const names = nameChannels(2_000);
		const best = new Float64Array(300_000).fill(Infinity);
		for (let run = 0; run < 5; run++) {
			const broker = createMemoryBroker();
			const dice = createDice();
			for (let turn = 0; turn < best.length; turn++) {
				const name = names[dice(names.length)]!;
				const startMs = performance.now();
				void publishOne(broker, name, { ...RETENTION, messages: 1 + dice(100) });
				best[turn] = Math.min(best[turn]!, performance.now() - startMs);
				if (turn % 1_000 === 999) {
					await undefined;
				}
			}
			await broker.close();
		}
		best.sort();
		const at = (part: number): string => `${(best[Math.ceil(part * best.length) - 1]! * 1_000).toFixed(1)} µs`;
		console.log(`a publish while slabs are cleaned: median ${at(0.5)}, 99.9 % ${at(0.999)}, longest ${at(1)}`);
	},
	publish: async () => {
		for (const channels of [100, 1_000, 10_000, 100_000]) {
			const kept = await timePublish(channels, { ...RETENTION, messages: 10 });
			const counted = await timePublish(channels, NOTHING);
			console.log(
				`${channels} channels with a subscriber each: ${kept} µs of CPU a publish, ${counted} µs where nothing is kept`,
			);
		}
	},
};

const [, script, ...asked] = process.argv;
const only = asked.length === 1 ? subjects[asked[0]!] : undefined;
if (only !== undefined) {
	await only();
	process.exit();
}
for (const subject of asked.length === 0 ? Object.keys(subjects) : asked) {
	spawnSync(process.execPath, [...process.execArgv, script!, subject], { stdio: "inherit" });
}
