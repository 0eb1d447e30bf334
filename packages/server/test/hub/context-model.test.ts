/**
 * The hub against a model, as its clients see it: bytes of WebSocket frames, inflated with a window that goes on from
 * message to message (RFC 7692 §7.2.2), while connections join and leave, block and close in the middle of a write, the
 * budget of the logs is tiny and channels move to other epochs. A frame that was compressed but not written, or written
 * out of order, does not inflate to what was sent.
 */
import { inflateRawSync } from "node:zlib";
import type { SlowPolicy } from "@tidewire/protocol";
import { jsonServer } from "@tidewire/protocol/server";
import { zlibEngine } from "@tidewire/websocket/node";
import fc from "fast-check";
import { expect, it } from "vitest";
import { DeflateContexts } from "../../src/hub/deflate-context.ts";
import { webSocketEncoding } from "../../src/hub/encoding.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { Start } from "../../src/hub/start.ts";
import { FakeBroker, FakeSubscriber, gate, quiet, turn } from "./fakes.ts";

const CHANNELS = ["a", "b", "c"] as const;
type Name = (typeof CHANNELS)[number];
/** More than may share one segment's compressions, in some runs. */
const MOST_CLIENTS = 20;
const WINDOW_BYTES = 32_768;

type Message = Readonly<Record<string, unknown>>;

/** Inflates what it is sent, as a browser does. */
class Inflater {
	#window = Buffer.alloc(0);

	messages(frames: Uint8Array): readonly Message[] {
		const bytes = Buffer.from(frames);
		const found: Message[] = [];
		let at = 0;
		while (at < bytes.length) {
			const short = bytes[at + 1]! & 0x7f;
			const head = short < 126 ? 2 : 4;
			const end = at + head + (short < 126 ? short : bytes.readUInt16BE(at + 2));
			const payload = bytes.subarray(at + head, end);
			found.push(JSON.parse((bytes[at]! & 0x40) === 0 ? payload.toString() : this.#inflate(payload)) as Message);
			at = end;
		}
		expect(at).toBe(bytes.length);
		return found;
	}

	#inflate(payload: Uint8Array): string {
		const whole = Buffer.concat([payload, Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0x03, 0x00)]);
		const dictionary = this.#window.length === 0 ? {} : { dictionary: this.#window };
		const inflated = inflateRawSync(whole, dictionary);
		this.#window = Buffer.concat([this.#window, inflated]).subarray(-WINDOW_BYTES);
		return inflated.toString();
	}
}

/** What one subscriber has been told of one channel, checked message by message. */
class Ledger {
	epoch: string;
	at: number;
	readonly policy: SlowPolicy;
	#conflatedTo = 0;

	constructor(epoch: string, at: number, policy: SlowPolicy) {
		this.epoch = epoch;
		this.at = at;
		this.policy = policy;
	}

	get reached(): number {
		return Math.max(this.at, this.#conflatedTo);
	}

	take(message: Message): void {
		const { event, from, to } = message;
		if (event === "reset") {
			const [epoch = "", offset] = String(message.position).split(":");
			expect(epoch).not.toBe(this.epoch);
			this.epoch = epoch;
			this.at = Number(offset);
			this.#conflatedTo = 0;
		} else if (event === "gap" || event === "conflated") {
			expect(from).toBe(this.reached + 1);
			expect(to).toBeGreaterThanOrEqual(Number(from));
			if (event === "gap") {
				this.at = Number(to);
			} else {
				expect(this.policy).toBe("conflate");
				this.#conflatedTo = Number(to);
			}
		} else {
			const offset = Number(message.offset);
			expect(message.data).toMatch(new RegExp(`^${this.epoch}/${offset}/`));
			if (offset <= this.#conflatedTo) {
				expect(offset).toBeGreaterThan(this.at);
			} else {
				expect(offset).toBe(this.reached + 1);
			}
			this.at = offset;
		}
	}
}

class Client {
	readonly subscriber: FakeSubscriber;
	readonly ledgers = new Map<Name, Ledger>();
	readonly joining = new Set<Name>();
	open = true;
	atNextWrite: "block" | "close" | undefined;
	readonly #inflater = new Inflater();

	constructor(world: World, session: string) {
		this.subscriber = new FakeSubscriber((each) => world.hub.flush.subscriber(each), world.encoding, session);
		this.subscriber.context = world.contexts.first;
		this.subscriber.onLost = () => this.close(world);
		this.subscriber.onWrite = () => {
			for (const message of this.#inflater.messages(this.subscriber.writes.pop()!)) {
				this.ledgers.get(message.channel as Name)?.take(message);
			}
			const { atNextWrite } = this;
			this.atNextWrite = undefined;
			if (atNextWrite === "block") {
				this.subscriber.blocked = true;
			} else if (atNextWrite === "close") {
				this.close(world);
			}
		};
	}

	/** As a connection does: what was gathered goes out before the goodbye. */
	close(world: World): void {
		if (!this.open) {
			return;
		}
		this.open = false;
		world.hub.flush.write(this.subscriber);
		this.subscriber.closed = true;
		world.hub.leaveAll(this.subscriber);
		this.ledgers.clear();
	}
}

interface Bounds {
	readonly logEntries: number;
	readonly logsEntries: number;
	readonly keep: number;
	readonly page: number;
	/** Those that are there from the start, and how they take being slow. */
	readonly policies: readonly SlowPolicy[];
}

class World {
	readonly broker = new FakeBroker();
	readonly encoding = webSocketEncoding(0, jsonServer);
	readonly contexts = new DeflateContexts(this.encoding, {
		engine: zlibEngine({ level: 1, memLevel: 8 }),
		windowBits: 15,
		threshold: 24,
		maxBytes: 1 << 20,
	});
	readonly hub: Hub;
	readonly clients: readonly Client[];
	readonly reports: string[] = [];
	#epochs = 1;

	constructor({ logEntries, logsEntries, keep, page, policies }: Bounds) {
		this.broker.keep = keep;
		this.broker.pageEntries = page;
		this.hub = new Hub(this.broker, {
			maxLogBytes: logEntries * 250,
			maxLogsBytes: logsEntries * 250,
			nowMs: () => this.broker.nowMs,
			unserved: () => expect.unreachable("every read is answered"),
			reported: (report) => this.reports.push(report),
		});
		this.broker.listen(this.hub);
		this.clients = policies.map((_, index) => new Client(this, `s${index}`));
	}

	publish(name: Name, count: number, special: { readonly ttlMs?: number; readonly exclude?: string }): void {
		const { epoch, head } = this.broker.log(name);
		const entries = Array.from({ length: count }, (_, at) => ({
			text: `${epoch}/${head + 1 + at}/${"some words that come again and again ".repeat(1 + (at % 2))}`,
			key: `${at % 3}`,
			...special,
		}));
		this.broker.append(name, entries);
	}

	restart(name: Name, tell: boolean): void {
		this.#epochs++;
		this.broker.restart(name, `e${this.#epochs}`, tell);
	}

	async join(client: Client, name: Name, policy: SlowPolicy, back: number): Promise<void> {
		if (!client.open || client.ledgers.has(name) || client.joining.has(name)) {
			return;
		}
		client.joining.add(name);
		const { epoch, head } = this.broker.log(name);
		const start: Start =
			back === 0 ? { from: "now" } : { from: "since", position: { epoch, offset: Math.max(0, head - back) } };
		const { subscription, position } = await this.hub.join(client.subscriber, name, start, policy);
		client.joining.delete(name);
		if (!client.open) {
			this.hub.leave(subscription);
			return;
		}
		client.ledgers.set(name, new Ledger(position.epoch, position.offset, policy));
		this.hub.begin(subscription);
	}

	/** As `unsubscribe` does: what was sent may go out behind it, and is of no subscription any more. */
	leave(client: Client, name: Name): void {
		const subscription = this.hub.find(client.subscriber, name);
		if (subscription !== undefined && !client.joining.has(name)) {
			client.subscriber.write();
			client.ledgers.delete(name);
			this.hub.leave(subscription);
		}
	}

	unblock({ subscriber }: Client): void {
		subscriber.blocked = false;
		this.hub.unblocked(subscriber);
	}

	/** What channels count of their subscribers is so. */
	check(): void {
		const channels = new Set(
			this.clients.flatMap(({ subscriber }) => subscriber.subscriptions.map((each) => each.channel)),
		);
		for (const { subscriptions, behind, conflating, log } of channels) {
			expect(behind).toBe(subscriptions.filter(({ phase }) => phase !== "live").length);
			expect(conflating).toBe(subscriptions.filter(({ policy }) => policy === "conflate").length);
			expect(subscriptions.map(({ index }) => index)).toEqual(subscriptions.map((_, index) => index));
			expect(subscriptions.some(({ ended }) => ended)).toBe(false);
			let bytes = 0;
			for (let segment = log?.first; segment !== undefined; segment = segment.next) {
				bytes += segment.bytes;
			}
			expect(log?.bytes ?? 0).toBe(bytes);
		}
	}
}

const who = fc.nat({ max: MOST_CLIENTS - 1 });
const channel = fc.constantFrom(...CHANNELS);
const policy = fc.constantFrom<SlowPolicy>("catch-up", "catch-up", "conflate", "skip", "disconnect");
const special = fc.oneof(
	{ weight: 5, arbitrary: fc.constant({}) },
	{ weight: 1, arbitrary: fc.constant({ ttlMs: 50 }) },
	{ weight: 1, arbitrary: who.map((index) => ({ exclude: `s${index}` })) },
);
const count = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 25 }));
const step = fc.oneof(
	{ weight: 12, arbitrary: fc.record({ do: fc.constant("publish" as const), channel, count, special }) },
	{ weight: 6, arbitrary: fc.record({ do: fc.constant("join" as const), who, channel, policy, back: fc.nat(12) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), who, channel }) },
	{ weight: 3, arbitrary: fc.record({ do: fc.constant("block" as const), who }) },
	{ weight: 4, arbitrary: fc.record({ do: fc.constant("unblock" as const), who }) },
	{ weight: 3, arbitrary: fc.record({ do: fc.constant("blockAtNextWrite" as const), who }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("closeAtNextWrite" as const), who }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), channel, tell: fc.boolean() }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("age" as const) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("hold" as const) }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("release" as const) }) },
	{ weight: 8, arbitrary: fc.record({ do: fc.constant("turn" as const), turns: fc.integer({ min: 1, max: 3 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

it("I2–I4 with contexts that are shared: every byte inflates, each offset comes once, ascending, or is announced", async () => {
	const bounds = fc.record({
		logEntries: fc.integer({ min: 1, max: 8 }),
		logsEntries: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(1_000)),
		keep: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(1_000)),
		page: fc.integer({ min: 1, max: 5 }),
		policies: fc.oneof(
			{ weight: 8, arbitrary: fc.array(policy, { minLength: 2, maxLength: 6 }) },
			{ weight: 1, arbitrary: fc.array(policy, { minLength: MOST_CLIENTS, maxLength: MOST_CLIENTS }) },
		),
	});
	await fc.assert(
		fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120, size: "max" }), bounds, async (steps, bound) => {
			const world = new World(bound);
			const joins: Promise<void>[] = [];
			let release = (): void => {};
			const perform = async (each: Step): Promise<void> => {
				const client = "who" in each ? world.clients[each.who % world.clients.length] : undefined;
				switch (each.do) {
					case "publish":
						return world.publish(each.channel, each.count, each.special);
					case "join":
						joins.push(world.join(client!, each.channel, each.policy, each.back));
						return;
					case "leave":
						return world.leave(client!, each.channel);
					case "block":
						client!.subscriber.blocked = true;
						return;
					case "unblock":
						return world.unblock(client!);
					case "blockAtNextWrite":
						client!.atNextWrite = "block";
						return;
					case "closeAtNextWrite":
						client!.atNextWrite = "close";
						return;
					case "restart":
						return world.restart(each.channel, each.tell);
					case "age":
						world.broker.nowMs += 100;
						return;
					case "hold": {
						release();
						const { opened, open } = gate();
						world.broker.gate = opened;
						release = open;
						return;
					}
					case "release":
						world.broker.gate = undefined;
						return release();
					case "turn":
						return quiet(each.turns);
				}
			};
			for (const [index, client] of world.clients.entries()) {
				for (const name of CHANNELS.slice(index % CHANNELS.length)) {
					await world.join(client, name, bound.policies[index]!, 0);
				}
			}
			for (const each of steps) {
				await perform(each);
				world.check();
			}
			world.broker.gate = undefined;
			release();
			await Promise.all(joins);
			for (const client of world.clients) {
				client.atNextWrite = undefined;
				world.unblock(client);
			}
			await quiet(60);
			for (const name of CHANNELS) {
				world.publish(name, 1, {});
			}
			await quiet(60);
			world.check();
			for (const client of world.clients) {
				for (const [name, ledger] of client.ledgers) {
					const { epoch, head } = world.broker.log(name);
					expect([name, ledger.epoch, ledger.reached]).toEqual([name, epoch, head]);
				}
				for (const { channel: held, phase } of client.subscriber.subscriptions) {
					expect([phase, held.log]).toEqual(["live", undefined]);
				}
				client.close(world);
			}
			await turn();
			expect([world.hub.size, world.hub.logBytes]).toEqual([0, 0]);
		}),
		{ numRuns: 60 },
	);
});
