/** A broker and subscribers without sockets, and the words that the hub's specification is written in. */
import {
	type Broker,
	BrokerError,
	type BrokerListener,
	type ChannelsOptions,
	type Entry,
	type Page,
	type Position,
	type ReadOptions,
	type Snapshot,
} from "@tidewire/broker";
import { jsonServer, plainServer } from "@tidewire/protocol/server";
import type { DeflateContext } from "../../src/hub/deflate-context.ts";
import type { Encoding } from "../../src/hub/encoding.ts";
import type { Queue, Subscriber, Subscription } from "../../src/hub/subscription.ts";

/** Lets everything run that is due in this turn of the event loop, a flush included. */
export function turn(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve));
}

/** Turns until nothing can be under way any more: fake brokers answer within a turn. */
export async function quiet(turns = 12): Promise<void> {
	for (let count = 0; count < turns; count++) {
		await turn();
	}
}

/** Frames are lines, so that what was written can be read. Counts what it encodes. */
export class LineEncoding implements Encoding {
	readonly index: number;
	readonly codec: Encoding["codec"];
	encoded = 0;

	constructor(index = 0, enveloped = true) {
		this.index = index;
		const codec = enveloped ? jsonServer : plainServer;
		this.codec = {
			...codec,
			encodeEntry: (channel, entry) => {
				this.encoded++;
				return codec.encodeEntry(channel, entry);
			},
		};
	}

	frame({ head, data, tail }: Parameters<Encoding["frame"]>[0]): Uint8Array {
		return Buffer.concat([Buffer.from(head), data, Buffer.from(`${tail}\n`)]);
	}

	frames(outbounds: Parameters<Encoding["frames"]>[0]): Uint8Array {
		return Buffer.concat(outbounds.map((outbound) => this.frame(outbound)));
	}
}

/** What was received, in short: `1=a` is offset 1 with data "a". */
export type Received = string;

export class FakeSubscriber implements Subscriber {
	readonly encoding: Encoding;
	readonly session: string;
	subscriptions: readonly Subscription[] = [];
	queue: Queue = "none";
	moved: Subscription | undefined;
	context: DeflateContext | undefined;
	blocked = false;
	/** Each element is one write to the socket. */
	readonly writes: Uint8Array[] = [];
	readonly losses: ("gap" | "reset")[] = [];
	/** Called with each write, as a socket that is full then blocks. */
	onWrite: () => void = () => {};
	onLost: () => void = () => {};
	closed = false;
	#outbox: Uint8Array[] = [];
	readonly #flush: (subscriber: Subscriber) => void;

	constructor(flush: (subscriber: Subscriber) => void, encoding: Encoding, session = "me") {
		this.#flush = flush;
		this.encoding = encoding;
		this.session = session;
	}

	get unwritten(): number {
		return this.#outbox.reduce((bytes, { length }) => bytes + length, 0);
	}

	send(frame: Uint8Array): void {
		this.#outbox.push(frame);
		this.#flush(this);
	}

	write(gathered?: Uint8Array): void {
		const frames = gathered === undefined ? this.#outbox : [...this.#outbox, gathered];
		this.#outbox = [];
		if (frames.length > 0 && !this.closed) {
			this.writes.push(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
			this.onWrite();
		}
	}

	lost(_subscription: Subscription, why: "gap" | "reset"): void {
		this.losses.push(why);
		this.onLost();
	}

	/** Everything written so far, as messages. */
	get messages(): readonly Record<string, unknown>[] {
		const text = Buffer.concat(this.writes).toString();
		return text === ""
			? []
			: text
					.trimEnd()
					.split("\n")
					.map((line) => JSON.parse(line));
	}

	/** The same in short. */
	get received(): readonly Received[] {
		return this.messages.map((message) => {
			if (message.event === "gap") {
				return `gap ${message.from}-${message.to} ${message.reason}`;
			}
			if (message.event === "conflated") {
				return `conflated ${message.from}-${message.to}`;
			}
			if (message.event === "reset") {
				return `reset ${message.position}`;
			}
			return message.offset === undefined ? JSON.stringify(message) : `${message.offset}=${message.data}`;
		});
	}
}

interface Kept {
	epoch: string;
	head: number;
	entries: Entry[];
	subscribed: boolean;
}

/** Tells at once, answers within the turn; keeps the newest `keep` entries of each channel. */
export class FakeBroker implements Broker {
	readonly durability = "memory";
	readonly logs = new Map<string, Kept>();
	readonly reads: ReadOptions[] = [];
	keep = Number.POSITIVE_INFINITY;
	nowMs = 1_000;
	/** Set, `subscribe` and `read` wait for it. */
	gate: Promise<void> | undefined;
	refuse: "subscribe" | "read" | undefined;
	/** How many entries a page has at most, whatever is asked for. */
	pageEntries = Number.POSITIVE_INFINITY;
	#listener: BrokerListener | undefined;

	get records(): never {
		throw new Error("not part of this test");
	}

	listen(listener: BrokerListener): void {
		this.#listener = listener;
	}

	log(name: string): Kept {
		let kept = this.logs.get(name);
		if (kept === undefined) {
			kept = { epoch: "e1", head: 0, entries: [], subscribed: false };
			this.logs.set(name, kept);
		}
		return kept;
	}

	/** Appends and tells; each of `data` is one entry. */
	append(name: string, data: readonly (string | (Partial<Entry> & { readonly text: string }))[]): void {
		const kept = this.log(name);
		const entries = data.map((each): Entry => {
			kept.head++;
			const { text, ...more } = typeof each === "string" ? { text: each } : each;
			const bytes = Buffer.from(JSON.stringify(text));
			return { offset: kept.head, timeMs: this.nowMs, data: bytes, encoding: "json", ...more };
		});
		kept.entries.push(...entries);
		kept.entries.splice(0, Math.max(0, kept.entries.length - this.keep));
		if (kept.subscribed) {
			this.#listener?.entries(name, kept.epoch, entries);
		}
	}

	/** The log goes on in another epoch. */
	restart(name: string, epoch: string, tell = true): void {
		const kept = this.log(name);
		Object.assign(kept, { epoch, head: 0, entries: [] });
		if (tell && kept.subscribed) {
			this.#listener?.reset(name, { epoch, offset: 0 });
		}
	}

	async publish(): Promise<never> {
		throw new Error("tests append");
	}

	async subscribe(name: string): Promise<Position> {
		await this.gate;
		if (this.refuse === "subscribe") {
			throw new BrokerError("unavailable", "refused by the test");
		}
		const kept = this.log(name);
		kept.subscribed = true;
		return { epoch: kept.epoch, offset: kept.head };
	}

	unsubscribe(name: string): void {
		this.log(name).subscribed = false;
	}

	async read(name: string, options: ReadOptions): Promise<Page> {
		this.reads.push(options);
		await this.gate;
		if (this.refuse === "read") {
			throw new BrokerError("unavailable", "refused by the test");
		}
		const { epoch, head, entries } = this.log(name);
		const tail = head - entries.length;
		const live = entries.filter(({ ttlMs, timeMs }) => ttlMs === undefined || this.nowMs - timeMs < ttlMs);
		const found = options.reverse
			? live.filter(({ offset }) => offset < options.after).reverse()
			: live.filter(({ offset }) => offset > options.after);
		return { epoch, head, tail, entries: found.slice(0, Math.min(options.limit, this.pageEntries)) };
	}

	async snapshot(name: string): Promise<Snapshot> {
		const { epoch, head } = this.log(name);
		return { epoch, head };
	}

	async channels({ prefix = "", after = "", limit }: ChannelsOptions): Promise<readonly string[]> {
		const names = [...this.logs.keys()].sort();
		return names.filter((name) => name > after && name.startsWith(prefix)).slice(0, limit);
	}

	async close(): Promise<void> {}
}

/** A promise and what settles it. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
	const { promise, resolve } = Promise.withResolvers<void>();
	return { opened: promise, open: resolve };
}
