/** Nodes with presence on one memory broker, under one clock that the test sets on; connections without sockets. */
import { type Broker, createMemoryCluster, type MemoryBrokerOptions } from "@tidewire/broker";
import { jsonServer, plainServer } from "@tidewire/protocol/server";
import { BrokerEar } from "../../src/broker-ear.ts";
import type { DeflateContext } from "../../src/hub/deflate-context.ts";
import type { Encoding } from "../../src/hub/encoding.ts";
import type { Queue, Subscriber, Subscription } from "../../src/hub/subscription.ts";
import type { Member } from "../../src/presence/member.ts";
import { type Listing, type Part, Presence } from "../../src/presence/presence.ts";
import type { PresenceChannel } from "../../src/presence/room.ts";

export const GRACE_MS = 15_000;
export const LOBBY: PresenceChannel = { name: "chat:lobby", wireName: "chat:lobby", maxMembers: 100_000 };

/** Frames are lines. */
const lines = (index: number, codec: Encoding["codec"]): Encoding => {
	const frame: Encoding["frame"] = ({ head, data, tail }) =>
		Buffer.concat([Buffer.from(head), data, Buffer.from(`${tail}\n`)]);
	return { index, codec, frame, frames: (outbounds) => Buffer.concat(outbounds.map(frame)) };
};
export const ENVELOPED = lines(0, jsonServer);
export const PLAIN = lines(1, plainServer);

export type Said = Readonly<Record<string, unknown>>;

export class FakeConnection implements Subscriber {
	readonly session: string;
	readonly encoding: Encoding;
	subscriptions: readonly Subscription[] = [];
	queue: Queue = "none";
	moved: Subscription | undefined;
	context: DeflateContext | undefined;
	blocked = false;
	closed = false;
	readonly unwritten = 0;
	bytes = 0;
	#frames: Uint8Array[] = [];

	constructor(session: string, encoding: Encoding = ENVELOPED) {
		this.session = session;
		this.encoding = encoding;
	}

	send(frame: Uint8Array): void {
		if (this.blocked) {
			throw new Error("told something while blocked");
		}
		this.bytes += frame.length;
		this.#frames.push(frame);
	}

	write(): void {}

	lost(): void {}

	/** What it was told since it was last asked. */
	told(): Said[] {
		const text = Buffer.concat(this.#frames).toString();
		this.#frames = [];
		return text === ""
			? []
			: text
					.trimEnd()
					.split("\n")
					.map((line) => JSON.parse(line) as Said);
	}

	/** The same in short: "join bob", "leave bob", "update bob {…}", "count 3". */
	heard(): string[] {
		return this.told().map(shortly);
	}
}

function shortly({ event, member, count, anew, type, user }: Said): string {
	if (type !== undefined) {
		return `${String(type)} ${String(user ?? count)}`;
	}
	if (event === "presence") {
		return `count ${String(count)}${anew === true ? " anew" : ""}`;
	}
	const { id, data } = member as { readonly id: string; readonly data?: unknown };
	return `${String(event)} ${id}${event === "update" ? ` ${JSON.stringify(data)}` : ""}`;
}

/** What a broker was asked for. */
export interface Counts {
	writes: number;
	reads: number;
	lists: number;
	publishes: number;
}

export interface FakeNode {
	readonly presence: Presence;
	readonly counts: Counts;
	readonly warnings: unknown[];
	dead: boolean;
	/** While set, the broker refuses everything. */
	cut: boolean;
	/** Drops what the broker tells this node, as a broker does that loses a message. */
	deaf: boolean;
	join(connection: FakeConnection, part?: Partial<Part>, channel?: PresenceChannel): Promise<void>;
	/** The ids of all members, as this node knows them. */
	members(channel?: PresenceChannel): Promise<readonly string[]>;
	listing(channel?: PresenceChannel, after?: string, limit?: number): Promise<Listing>;
	/** The process dies: nothing of it happens any more. */
	kill(): void;
}

export class World {
	nowMs = Date.UTC(2030, 0, 1);
	readonly cluster;
	readonly #graceMs: number;
	#timers: { readonly atMs: number; readonly task: () => void }[] = [];

	constructor(options: MemoryBrokerOptions = {}, graceMs = GRACE_MS) {
		this.#graceMs = graceMs;
		this.cluster = createMemoryCluster({
			now: () => this.nowMs,
			every: () => () => {},
			after: (delayMs, task) => this.after(delayMs, task),
			...options,
		});
	}

	after(delayMs: number, task: () => void): () => void {
		const timer = { atMs: this.nowMs + Math.max(delayMs, 1), task };
		this.#timers.push(timer);
		return () => {
			this.#timers = this.#timers.filter((other) => other !== timer);
		};
	}

	node(): FakeNode {
		const counts: Counts = { writes: 0, reads: 0, lists: 0, publishes: 0 };
		const warnings: unknown[] = [];
		const broker = this.cluster.node();
		const ask = <T>(kind: keyof Counts, call: () => Promise<T>): Promise<T> => {
			counts[kind]++;
			if (node.dead) {
				return new Promise(() => {});
			}
			return node.cut ? Promise.reject(new Error("the broker is away")) : call();
		};
		const { records } = broker;
		const watched: Broker = {
			...broker,
			durability: broker.durability,
			listen: (listener) =>
				broker.listen({
					entries: (...told) => {
						if (!node.dead && !node.deaf) {
							listener.entries(...told);
						}
					},
					reset: (...told) => {
						if (!node.dead) {
							listener.reset(...told);
						}
					},
				}),
			subscribe: (channel) => ask("reads", () => broker.subscribe(channel)),
			unsubscribe: (channel) => broker.unsubscribe(channel),
			publish: (...given) => ask("publishes", () => broker.publish(...given)),
			records: {
				get: (key) => ask("reads", () => records.get(key)),
				set: (...given) => ask("writes", () => records.set(...given)),
				setIfAbsent: (...given) => ask("writes", () => records.setIfAbsent(...given)),
				delete: (key) => ask("writes", () => records.delete(key)),
				replace: (...given) => ask("writes", () => records.replace(...given)),
				list: (...given) => ask("lists", () => records.list(...given)),
			},
		};
		const log = { info() {}, error() {}, warn: (_text: string, fields?: object) => void warnings.push(fields) };
		let presence: Presence;
		const node: FakeNode = {
			counts,
			warnings,
			dead: false,
			cut: false,
			deaf: false,
			get presence() {
				return presence;
			},
			join: async (connection, part = {}, channel = LOBBY) => {
				const begin = await presence.join(connection, channel, {
					enter: true,
					watch: true,
					user: connection.session,
					data: undefined,
					...part,
				});
				begin();
			},
			members: async (channel = LOBBY) =>
				presence.list(channel, {}, ({ members }) => members.map(({ id }: Member) => id)),
			listing: (channel = LOBBY, after, limit) => presence.list(channel, { after, limit }, (listing) => listing),
			kill: () => {
				node.dead = true;
			},
		};
		presence = new Presence({
			broker: watched,
			ear: new BrokerEar(watched),
			log,
			graceMs: this.#graceMs,
			silenceMs: 35_000,
			nowMs: () => this.nowMs,
			after: (delayMs, task) =>
				this.after(delayMs, () => {
					if (!node.dead) {
						task();
					}
				}),
		});
		return node;
	}

	/** Sets the clock on, timer by timer, and lets everything happen that follows from it. */
	async pass(ms: number): Promise<void> {
		const untilMs = this.nowMs + ms;
		await settle();
		for (;;) {
			const next = this.#timers.reduce<number>((least, { atMs }) => Math.min(least, atMs), Number.POSITIVE_INFINITY);
			if (next > untilMs) {
				break;
			}
			this.nowMs = Math.max(this.nowMs, next);
			const due = this.#timers.filter(({ atMs }) => atMs <= next);
			this.#timers = this.#timers.filter((timer) => !due.includes(timer));
			for (const { task } of due) {
				task();
			}
			await settle();
		}
		this.nowMs = untilMs;
	}
}

/** Everything that is under way is done: fake brokers answer at once. */
async function settle(turns = 3): Promise<void> {
	for (let count = 0; count < turns; count++) {
		await new Promise((resolve) => setImmediate(resolve));
	}
}
