/**
 * One node's view of the store: its listener, its subscriptions, what is wrong with a call, and the refusal of
 * everything after `close`.
 */
import {
	type Broker,
	BrokerError,
	type BrokerListener,
	type ChannelsOptions,
	checkChannel,
	checkChannels,
	checkPublish,
	checkRead,
	checkRecord,
	checkRecordKey,
	checkRecordList,
	checkRecordReplace,
	type Durability,
	type Page,
	type Position,
	type Publication,
	type PublishOptions,
	type PublishResult,
	type ReadOptions,
	type Records,
	type Snapshot,
} from "@tidewire/broker";
import type { Subscription } from "./log.ts";
import type { Store } from "./store.ts";

export interface NodeOptions {
	readonly maxDataBytes: number;
	/** Called once, when the node closes. */
	readonly closed: () => Promise<void>;
}

export class SqliteNode implements Broker {
	readonly durability: Durability = "stored";
	readonly records: Records;
	readonly #store: Store;
	readonly #options: NodeOptions;
	readonly #subscriptions = new Map<string, Subscription>();
	#listener: BrokerListener | undefined;
	#isOpen = true;

	constructor(store: Store, options: NodeOptions) {
		this.#store = store;
		this.#options = options;
		this.records = {
			get: async (key) => {
				this.#requireOpen();
				checkRecordKey(key);
				return store.look((records) => records.get(key));
			},
			set: async (key, value, ttlMs) => {
				this.#requireOpen();
				checkRecord(key, value, ttlMs);
				const owned = new Uint8Array(value);
				return store.change((records) => records.set(key, owned, ttlMs), owned.byteLength);
			},
			setIfAbsent: async (key, value, ttlMs) => {
				this.#requireOpen();
				checkRecord(key, value, ttlMs);
				const owned = new Uint8Array(value);
				return store.change((records) => records.setIfAbsent(key, owned, ttlMs), owned.byteLength);
			},
			delete: async (key) => {
				this.#requireOpen();
				checkRecordKey(key);
				return store.change((records) => records.delete(key));
			},
			replace: async (key, expected, value, ttlMs) => {
				this.#requireOpen();
				checkRecordReplace(key, expected, value, ttlMs);
				const before = expected && new Uint8Array(expected);
				const owned = value && new Uint8Array(value);
				return store.change((records) => records.replace(key, before, owned, ttlMs), owned?.byteLength);
			},
			list: async (prefix, { after, limit }) => {
				this.#requireOpen();
				checkRecordList(prefix, after, limit);
				return store.look((records) => records.list(prefix, after, limit));
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

	// The methods are async so that a refusal is a rejection.

	async publish(channel: string, publication: Publication, options: PublishOptions): Promise<PublishResult> {
		this.#requireOpen();
		checkPublish(channel, publication, options, this.#options.maxDataBytes);
		return this.#store.publish(channel, publication, options);
	}

	async subscribe(channel: string): Promise<Position> {
		this.#requireOpen();
		checkChannel(channel);
		if (this.#listener === undefined) {
			throw new BrokerError("invalid", "subscribe was called before listen");
		}
		const present = this.#subscriptions.get(channel);
		if (present !== undefined) {
			return this.#store.attach(channel, present);
		}
		const subscription = { listener: this.#listener, active: true };
		this.#subscriptions.set(channel, subscription);
		try {
			return await this.#store.attach(channel, subscription);
		} catch (error) {
			if (this.#subscriptions.get(channel) === subscription) {
				this.unsubscribe(channel);
			}
			throw error;
		}
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
		checkRead(channel, options);
		return this.#store.read(channel, options);
	}

	async snapshot(channel: string): Promise<Snapshot> {
		this.#requireOpen();
		checkChannel(channel);
		return this.#store.snapshot(channel);
	}

	async channels(options: ChannelsOptions): Promise<readonly string[]> {
		this.#requireOpen();
		checkChannels(options);
		return this.#store.channels(options);
	}

	/** Publishes that were accepted for work are brought to their end first. */
	async close(): Promise<void> {
		if (this.#isOpen) {
			this.#isOpen = false;
			for (const channel of [...this.#subscriptions.keys()]) {
				this.unsubscribe(channel);
			}
			await this.#options.closed();
		}
	}

	#requireOpen(): void {
		if (!this.#isOpen) {
			throw new BrokerError("closed", "the broker is closed");
		}
	}
}
