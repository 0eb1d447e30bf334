/**
 * One node's view of a memory cluster: its listener, its subscriptions, and the refusal of everything after `close`.
 * What is stored, it shares with the cluster's other nodes.
 */
import { checkChannel, checkRecord, checkRecordKey, checkRecordList, checkRecordReplace } from "./admission.ts";
import {
	type Broker,
	BrokerError,
	type BrokerListener,
	type ChannelsOptions,
	type Durability,
	type Page,
	type Position,
	type Publication,
	type PublishOptions,
	type PublishResult,
	type ReadOptions,
	type Records,
	type Snapshot,
} from "./broker.ts";
import type { MemoryRecords } from "./memory-records.ts";

/** One node's subscription to one channel. A later one to the same channel is another object. */
export interface Subscription {
	readonly listener: BrokerListener;
	/** False from `unsubscribe` on: a telling under way passes it over. */
	active: boolean;
}

/** What a node needs of its cluster. All of it happens at once. */
export interface MemoryStore {
	publish(channel: string, publication: Publication, options: PublishOptions): PublishResult;
	read(channel: string, options: ReadOptions): Page;
	/** Adds a subscription (or none) and gives the head. */
	attach(channel: string, subscription: Subscription | undefined): Position;
	detach(channel: string, subscription: Subscription): void;
	snapshot(channel: string): Snapshot;
	channels(options: ChannelsOptions): readonly string[];
	readonly records: MemoryRecords;
}

export class MemoryNode implements Broker {
	readonly durability: Durability = "memory";
	readonly records: Records;
	readonly #store: MemoryStore;
	readonly #closed: () => void;
	readonly #subscriptions = new Map<string, Subscription>();
	#listener: BrokerListener | undefined;
	#open = true;

	constructor(store: MemoryStore, closed: () => void) {
		this.#store = store;
		this.#closed = closed;
		const { records } = store;
		this.records = {
			get: async (key) => {
				this.#requireOpen();
				checkRecordKey(key);
				return records.get(key);
			},
			set: async (key, value, ttlMs) => {
				this.#requireOpen();
				checkRecord(key, value, ttlMs);
				records.set(key, value, ttlMs);
			},
			setIfAbsent: async (key, value, ttlMs) => {
				this.#requireOpen();
				checkRecord(key, value, ttlMs);
				return records.setIfAbsent(key, value, ttlMs);
			},
			delete: async (key) => {
				this.#requireOpen();
				checkRecordKey(key);
				records.delete(key);
			},
			replace: async (key, expected, value, ttlMs) => {
				this.#requireOpen();
				checkRecordReplace(key, expected, value, ttlMs);
				return records.replace(key, expected, value, ttlMs);
			},
			list: async (prefix, { after, limit }) => {
				this.#requireOpen();
				checkRecordList(prefix, after, limit);
				return records.list({ prefix, after, limit });
			},
		};
	}

	listen(listener: BrokerListener): void {
		this.#requireOpen();
		if (this.#listener !== undefined) {
			throw new BrokerError("invalid", "listen was called before; a node has one listener");
		}
		this.#listener = listener;
	}

	// The methods are async so that a refusal is a rejection; what they do, they do before they return.

	async publish(channel: string, publication: Publication, options: PublishOptions): Promise<PublishResult> {
		this.#requireOpen();
		return this.#store.publish(channel, publication, options);
	}

	async subscribe(channel: string): Promise<Position> {
		this.#requireOpen();
		checkChannel(channel);
		if (this.#listener === undefined) {
			throw new BrokerError("invalid", "subscribe was called before listen");
		}
		if (this.#subscriptions.has(channel)) {
			return this.#store.attach(channel, undefined);
		}
		const subscription = { listener: this.#listener, active: true };
		const position = this.#store.attach(channel, subscription);
		this.#subscriptions.set(channel, subscription);
		return position;
	}

	unsubscribe(channel: string): void {
		const subscription = this.#subscriptions.get(channel);
		if (subscription !== undefined) {
			subscription.active = false;
			this.#subscriptions.delete(channel);
			this.#store.detach(channel, subscription);
		}
	}

	async read(channel: string, options: ReadOptions): Promise<Page> {
		this.#requireOpen();
		return this.#store.read(channel, options);
	}

	async snapshot(channel: string): Promise<Snapshot> {
		this.#requireOpen();
		return this.#store.snapshot(channel);
	}

	async channels(options: ChannelsOptions): Promise<readonly string[]> {
		this.#requireOpen();
		return this.#store.channels(options);
	}

	async close(): Promise<void> {
		if (this.#open) {
			this.#open = false;
			for (const channel of [...this.#subscriptions.keys()]) {
				this.unsubscribe(channel);
			}
			this.#closed();
		}
	}

	#requireOpen(): void {
		if (!this.#open) {
			throw new BrokerError("closed", "the broker is closed");
		}
	}
}
