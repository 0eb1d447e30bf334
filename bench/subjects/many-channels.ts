/** What 100,000 channels with one subscriber each cost, in CPU time of a publish and in memory. */
import type { Figures, Load } from "../load.ts";
import { spread } from "../process.ts";
import { round } from "../result.ts";
import { disturbance, everything, goal, inTurn, type Subject, session, totalMicros, userMicros } from "../subject.ts";
import { tidewireEnveloped } from "../systems/own.ts";
import type { Running } from "../systems/system.ts";
import { settled } from "../watch.ts";

const FEW = 100;
/** The same in all cases, so that a connection gets as many messages a turn. */
const CONNECTIONS = 100;
const PER_TURN = 1_000;
const MESSAGE_BYTES = 130;
/** Messages that each channel keeps, for what one costs. */
const RETAINED = 10;
const PATIENCE_MS = 120_000;

interface Measured {
	readonly figures: Figures;
	/** Where they were measured: with many channels. */
	readonly emptyBytes: number;
	readonly retainedBytes: number;
}

const nameOf = (channels: number): string => `${channels.toLocaleString("en")} channels`;

/** Publishes from within, and resolves when all is delivered. */
async function scatter(
	{ process }: Running,
	load: Load,
	messages: number,
	how: { readonly channels: number; readonly inTurn?: boolean },
): Promise<Figures> {
	const figures = await load.expect(messages, { patienceMs: PATIENCE_MS }, () => {
		const command = { ...how, messages, perTurn: PER_TURN, bytes: MESSAGE_BYTES };
		process.child.stdin!.write(`scatter ${JSON.stringify(command)}\n`);
	});
	if (figures.lost > 0) {
		throw new Error(`${figures.lost} of ${messages} messages were not delivered`);
	}
	return figures;
}

/** What an empty channel holds, and a message in it. */
async function weigh(
	running: Running,
	load: Load,
	channels: number,
	emptyBytes: number,
): Promise<Pick<Measured, "emptyBytes" | "retainedBytes">> {
	// The first message makes room for more in each channel, which is not the message's.
	await scatter(running, load, channels, { channels, inTurn: true });
	const before = await settled(running.process, true);
	await scatter(running, load, RETAINED * channels, { channels, inTurn: true });
	const after = await settled(running.process, true);
	return { emptyBytes, retainedBytes: (after - before) / (RETAINED * channels) };
}

export const manyChannels: Subject = {
	name: "many-channels",
	title: "100,000 channels with one subscriber each: a publish beside that with 100 channels, memory of a channel",
	systems: [tidewireEnveloped],
	defaults: { rounds: 3, channels: 100_000, messages: 500_000 },
	quick: { rounds: 1, channels: 10_000, messages: 50_000 },
	run: async (options, bench) => {
		const { rounds = 1, channels: many = FEW, messages = 1 } = options;
		const names = [nameOf(FEW), nameOf(many)];
		const taken = await inTurn<Measured>(bench, rounds, names, (name, system) =>
			session(system, {}, async (running, load) => {
				const channels = name === nameOf(FEW) ? FEW : many;
				const each = Math.ceil(channels / CONNECTIONS);
				const all = Array.from({ length: channels }, (_, index) => `bench_${index}`);
				const open = async (from: number): Promise<void> => {
					const some = all.slice(from * each, (from + 1) * each);
					if (some.length > 0) {
						await load.open(running.port, 1, "subscriber", system.speech.subscriber(some));
					}
				};
				// The first connection pays for what is loaded once.
				await open(0);
				const before = await settled(running.process, true);
				for (let connection = 1; connection < CONNECTIONS; connection++) {
					await open(connection);
				}
				const emptyBytes = ((await settled(running.process, true)) - before) / (channels - each);
				const memory =
					channels === FEW
						? { emptyBytes: Number.NaN, retainedBytes: Number.NaN }
						: await weigh(running, load, channels, emptyBytes);
				await scatter(running, load, Math.ceil(messages / 3), { channels });
				return { figures: await scatter(running, load, messages, { channels }), ...memory };
			}),
		);
		const system = tidewireEnveloped.name;
		const few = taken.all(nameOf(FEW), system).map(({ figures }) => totalMicros(figures));
		const lots = taken.all(nameOf(many), system).map(({ figures }) => totalMicros(figures));
		const dearer = lots.length === 0 ? null : spread(lots.map((micros, index) => micros - few[index]!));
		const bytes = (read: (measured: Measured) => number): Parameters<typeof goal>[2] =>
			taken.spread(nameOf(many), system, read);
		return {
			subject: "many-channels",
			method:
				`${CONNECTIONS} connections share the channels, each of which has one subscriber. The server publishes ` +
				`${PER_TURN.toLocaleString("en")} messages of ${MESSAGE_BYTES} bytes a turn to channels drawn at random; CPU time is ` +
				"that of publishing, delivering and writing one. Memory is resident memory after full collections: of an empty " +
				"channel with its one subscription, less what the connections hold; of a message that is retained, " +
				`${RETAINED} in each channel beyond its first.`,
			options,
			goals: [
				goal(`a publish with ${nameOf(many)}, beyond one with ${FEW}`, 2, dearer, { unit: "µs" }),
				goal(
					"an empty channel",
					800,
					bytes(({ emptyBytes }) => emptyBytes),
					{ unit: "bytes" },
				),
				goal(
					"a retained message of 130 bytes",
					400,
					bytes(({ retainedBytes }) => retainedBytes),
					{ unit: "bytes" },
				),
			],
			rows: names.flatMap((name) =>
				bench.systems.map(({ name: own }) => {
					const total = taken.spread(name, own, ({ figures }) => totalMicros(figures))!;
					const figure = (read: (measured: Measured) => number): number | null => {
						const { median } = taken.spread(name, own, read)!;
						return Number.isNaN(median) ? null : round(median);
					};
					return {
						system: own,
						case: name,
						messages,
						"cpu µs": round(total.median),
						least: round(total.least),
						most: round(total.most),
						"user µs": figure(({ figures }) => userMicros(figures)),
						"bytes a channel": figure(({ emptyBytes }) => emptyBytes),
						"bytes a retained message": figure(({ retainedBytes }) => retainedBytes),
					};
				}),
			),
			absent: bench.absent,
			...disturbance(everything(taken, names, bench.systems).map(({ figures }) => figures)),
		};
	},
};
