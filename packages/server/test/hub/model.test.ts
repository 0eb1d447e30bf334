/**
 * The hub against a model: whatever is published, joined, left, blocked and lost, each enveloped subscriber sees every
 * offset from where its subscription started once and ascending, or is told that it will not; plain ones are closed
 * instead (reliability invariants I2, I3, I4).
 */
import type { SlowPolicy } from "@tidewire/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Hub } from "../../src/hub/hub.ts";
import type { Start } from "../../src/hub/start.ts";
import { FakeBroker, FakeSubscriber, LineEncoding, quiet, turn } from "./fakes.ts";

const CHANNELS = ["a", "b"] as const;
type Name = (typeof CHANNELS)[number];

/** What one subscriber has been told of one channel, checked message by message. */
class Ledger {
	epoch: string;
	at: number;
	readonly policy: SlowPolicy;
	/** Within an announced conflation, up to here offsets may be skipped. */
	#conflatedTo = 0;

	constructor(epoch: string, at: number, policy: SlowPolicy) {
		this.epoch = epoch;
		this.at = at;
		this.policy = policy;
	}

	take(message: Readonly<Record<string, unknown>>): void {
		if (message.event === "reset") {
			const [epoch, offset] = String(message.position).split(":");
			expect(epoch).not.toBe(this.epoch);
			this.epoch = epoch!;
			this.at = Number(offset);
			this.#conflatedTo = 0;
			return;
		}
		if (message.event === "gap") {
			expect(message.from).toBe(this.#next);
			expect(message.to).toBeGreaterThanOrEqual(Number(message.from));
			this.at = Number(message.to);
			return;
		}
		if (message.event === "conflated") {
			expect(this.policy).toBe("conflate");
			expect(message.from).toBe(this.#next);
			this.#conflatedTo = Number(message.to);
			return;
		}
		const offset = Number(message.offset);
		// The value of an (epoch, offset) is one for all.
		expect(message.data).toBe(`${this.epoch}/${offset}`);
		if (offset <= this.#conflatedTo) {
			expect(offset).toBeGreaterThan(this.at);
		} else {
			expect(offset).toBe(this.#next);
		}
		this.at = offset;
	}

	get #next(): number {
		return Math.max(this.at, this.#conflatedTo) + 1;
	}

	get reached(): number {
		return Math.max(this.at, this.#conflatedTo);
	}
}

class Client {
	readonly subscriber: FakeSubscriber;
	readonly ledgers = new Map<Name, Ledger>();
	/** Plain only: what was received on each channel is told apart by the data itself. */
	readonly enveloped: boolean;
	open = true;
	/** A connection performs one subscribe after the other. */
	readonly joining = new Set<Name>();
	#read = 0;

	constructor(world: World, enveloped: boolean) {
		this.enveloped = enveloped;
		const encoding = new LineEncoding(enveloped ? 0 : 2, enveloped);
		this.subscriber = new FakeSubscriber((each) => world.hub.flush.subscriber(each), encoding);
		this.subscriber.onLost = () => this.close(world);
	}

	close(world: World): void {
		this.open = false;
		this.subscriber.closed = true;
		world.hub.leaveAll(this.subscriber);
		this.ledgers.clear();
	}

	/** Checks what came since the last time. */
	read(): void {
		const { messages } = this.subscriber;
		for (const message of messages.slice(this.#read)) {
			if (this.enveloped) {
				this.ledgers.get(message.channel as Name)?.take(message);
			}
		}
		this.#read = messages.length;
	}
}

class World {
	readonly broker = new FakeBroker();
	readonly clients: Client[] = [];
	readonly hub: Hub;
	#epochs = 1;

	constructor(logEntries: number, keep: number, page: number) {
		this.broker.keep = keep;
		this.broker.pageEntries = page;
		this.hub = new Hub(this.broker, {
			maxLogsBytes: 100_000_000,
			reported: () => {},
			maxLogBytes: logEntries * 140,
			nowMs: () => this.broker.nowMs,
			unserved: () => expect.unreachable("every read is answered"),
		});
		this.broker.listen(this.hub);
	}

	publish(name: Name, count: number, ttlMs: number | undefined): void {
		const { epoch, head } = this.broker.log(name);
		const entries = Array.from({ length: count }, (_, index) => ({
			text: `${epoch}/${head + 1 + index}`,
			key: `${index % 3}`,
			...(ttlMs === undefined ? {} : { ttlMs }),
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

	leave(client: Client, name: Name): void {
		const subscription = this.hub.find(client.subscriber, name);
		if (subscription !== undefined && !client.joining.has(name)) {
			// As an unsubscribe's reply does: what was gathered goes out first.
			client.subscriber.write();
			client.read();
			this.hub.leave(subscription);
			client.ledgers.delete(name);
		}
	}
}

const who = fc.nat({ max: 5 });
const channel = fc.constantFrom(...CHANNELS);
const policy = fc.constantFrom<SlowPolicy>("catch-up", "catch-up", "conflate", "skip", "disconnect");
const step = fc.oneof(
	{ weight: 6, arbitrary: fc.record({ do: fc.constant("publish"), channel, count: fc.integer({ min: 1, max: 12 }) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("publishBriefly"), channel, count: fc.constant(2) }) },
	{ weight: 4, arbitrary: fc.record({ do: fc.constant("join"), who, channel, policy, back: fc.nat({ max: 15 }) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("leave"), who, channel }) },
	{ weight: 4, arbitrary: fc.record({ do: fc.constant("block"), who }) },
	{ weight: 4, arbitrary: fc.record({ do: fc.constant("unblock"), who }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("blockAtNextWrite"), who }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("close"), who }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("restart"), channel, tell: fc.boolean() }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("age") }) },
	{ weight: 5, arbitrary: fc.record({ do: fc.constant("turn"), turns: fc.integer({ min: 0, max: 3 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function perform(world: World, joins: Promise<void>[], each: Step): Promise<void> {
	const client = "who" in each ? world.clients[each.who]! : undefined;
	if ("count" in each) {
		world.publish(each.channel, each.count, each.do === "publish" ? undefined : 50);
	} else if ("policy" in each) {
		joins.push(world.join(client!, each.channel, each.policy, each.back));
	} else if ("tell" in each) {
		world.restart(each.channel, each.tell);
	} else if ("turns" in each) {
		for (let count = 0; count < each.turns; count++) {
			await turn();
		}
	} else if (each.do === "age") {
		world.broker.nowMs += 100;
	} else if ("channel" in each) {
		world.leave(client!, each.channel);
	} else if (each.do === "block" || each.do === "blockAtNextWrite") {
		const { subscriber } = client!;
		if (each.do === "block") {
			subscriber.blocked = true;
		} else {
			subscriber.onWrite = () => {
				subscriber.blocked = true;
				subscriber.onWrite = () => {};
			};
		}
	} else if (each.do === "unblock") {
		client!.subscriber.blocked = false;
		world.hub.unblocked(client!.subscriber);
	} else {
		client!.close(world);
	}
}

describe("the hub, under whatever happens", () => {
	it("I2–I4: each offset once, ascending, or announced; plain subscribers are closed instead", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(step, { minLength: 5, maxLength: 80 }),
				fc.integer({ min: 1, max: 8 }),
				fc.integer({ min: 0, max: 12 }),
				fc.integer({ min: 1, max: 5 }),
				async (steps, logEntries, keep, page) => {
					const world = new World(logEntries, keep, page);
					world.clients.push(...Array.from({ length: 6 }, (_, index) => new Client(world, index < 4)));
					const joins: Promise<void>[] = [];
					for (const each of steps) {
						await perform(world, joins, each);
						for (const client of world.clients) {
							client.read();
						}
					}
					await Promise.all(joins);
					for (const client of world.clients) {
						client.subscriber.onWrite = () => {};
						client.subscriber.blocked = false;
						world.hub.unblocked(client.subscriber);
					}
					// The last word in each channel: whoever is still there hears it (I10).
					await quiet(40);
					for (const name of CHANNELS) {
						world.publish(name, 1, undefined);
					}
					await quiet(40);
					for (const client of world.clients) {
						client.read();
						for (const [name, ledger] of client.ledgers) {
							const { epoch, head } = world.broker.log(name);
							if (client.enveloped) {
								expect([ledger.epoch, ledger.reached]).toEqual([epoch, head]);
							} else {
								expect(client.subscriber.messages.at(-1)).toMatch(/^e\d+\/\d+$/);
							}
						}
						client.close(world);
					}
					expect(world.hub.size).toBe(0);
				},
			),
			{ numRuns: 500 },
		);
	});

	it("plain subscribers of a channel that keeps everything see every message once, or are closed", async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
				const world = new World(3, Number.POSITIVE_INFINITY, 4);
				world.clients.push(...Array.from({ length: 6 }, () => new Client(world, false)));
				const joins: Promise<void>[] = [];
				await world.join(world.clients[0]!, "a", "catch-up", 0);
				for (const each of steps) {
					if (["publish", "block", "unblock", "blockAtNextWrite", "turn", "close"].includes(each.do)) {
						await perform(world, joins, each);
					}
				}
				const [first] = world.clients;
				first!.subscriber.onWrite = () => {};
				first!.subscriber.blocked = false;
				world.hub.unblocked(first!.subscriber);
				await quiet(60);
				const { head } = world.broker.log("a");
				if (first!.open) {
					expect(first!.subscriber.messages).toEqual(Array.from({ length: head }, (_, at) => `e1/${at + 1}`));
				}
			}),
			{ numRuns: 150 },
		);
	});
});
