/**
 * A node's way to the broker: what it asks arrives later, in order; answers and tellings take their time as well, each
 * in their own order, as over one connection to a store elsewhere. The broker may be away for a while: then calls are
 * refused, and of what is refused some was done. Tellings may be lost. The broker itself is whole throughout.
 */
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
} from "@tidewire/broker";
import type { World } from "./world.ts";

const LOST_WHEN_DEAF = 0.7;

/** Tasks in order, each a while after it was given. */
class Lane {
	readonly #world: World;
	readonly #owner: string;
	readonly #latencyMs: () => number;
	#lastMs = 0;

	constructor(world: World, owner: string, latencyMs: () => number) {
		this.#world = world;
		this.#owner = owner;
		this.#latencyMs = latencyMs;
	}

	send(run: () => void): void {
		this.#lastMs = Math.max(this.#lastMs, this.#world.nowMs + this.#latencyMs());
		this.#world.after(this.#lastMs - this.#world.nowMs, run, this.#owner);
	}
}

export class NodeBroker implements Broker {
	readonly records: Records;
	/** Calls are refused while this is set. */
	away = false;
	/** Some of what the broker tells is lost while this is set. */
	deaf = false;
	/** Everything takes this much longer. */
	delayMs = 0;
	readonly #world: World;
	readonly #inner: Broker;
	readonly #asking: Lane;
	readonly #answering: Lane;
	readonly #telling: Lane;
	/** By channel: which subscription the node has, and which one the broker knows of. */
	readonly #wanted = new Map<string, number>();
	readonly #known = new Map<string, number>();
	#subscriptions = 0;
	#alive = true;

	/** `longestMs`: the longest way there, and back. */
	constructor(world: World, owner: string, inner: Broker, longestMs: number) {
		this.#world = world;
		this.#inner = inner;
		const latencyMs = (): number => this.delayMs + world.random() * longestMs;
		this.#asking = new Lane(world, owner, latencyMs);
		this.#answering = new Lane(world, owner, latencyMs);
		this.#telling = new Lane(world, owner, latencyMs);
		this.records = {
			get: (key) => this.#ask(() => this.#inner.records.get(key)),
			set: (key, value, ttlMs) => this.#ask(() => this.#inner.records.set(key, value, ttlMs), true),
			setIfAbsent: (key, value, ttlMs) => this.#ask(() => this.#inner.records.setIfAbsent(key, value, ttlMs), true),
			delete: (key) => this.#ask(() => this.#inner.records.delete(key), true),
			replace: (key, expected, value, ttlMs) =>
				this.#ask(() => this.#inner.records.replace(key, expected, value, ttlMs), true),
			list: (prefix, options) => this.#ask(() => this.#inner.records.list(prefix, options)),
		};
	}

	get durability(): Durability {
		return this.#inner.durability;
	}

	/** The node is gone: the broker hears nothing more of it. */
	kill(): void {
		this.#alive = false;
		void this.#inner.close();
	}

	listen(listener: BrokerListener): void {
		this.#inner.listen({
			entries: (channel, epoch, entries) => this.#tell(channel, () => listener.entries(channel, epoch, entries)),
			reset: (channel, position) => this.#tell(channel, () => listener.reset(channel, position)),
		});
	}

	publish(channel: string, publication: Publication, options: PublishOptions): Promise<PublishResult> {
		return this.#ask(() => this.#inner.publish(channel, publication, options), true);
	}

	subscribe(channel: string): Promise<Position> {
		if (!this.#wanted.has(channel)) {
			this.#wanted.set(channel, ++this.#subscriptions);
		}
		const number = this.#wanted.get(channel) ?? 0;
		return this.#ask(() => {
			this.#known.set(channel, number);
			return this.#inner.subscribe(channel);
		}).catch((error: unknown) => {
			if (this.#wanted.get(channel) === number) {
				this.#wanted.delete(channel);
			}
			throw error;
		});
	}

	unsubscribe(channel: string): void {
		const number = this.#wanted.get(channel);
		this.#wanted.delete(channel);
		this.#asking.send(() => {
			if (this.#alive && this.#known.get(channel) === number) {
				this.#known.delete(channel);
				this.#inner.unsubscribe(channel);
			}
		});
	}

	read(channel: string, options: ReadOptions): Promise<Page> {
		return this.#ask(() => this.#inner.read(channel, options));
	}

	snapshot(channel: string): Promise<Snapshot> {
		return this.#ask(() => this.#inner.snapshot(channel));
	}

	channels(options: ChannelsOptions): Promise<readonly string[]> {
		return this.#ask(() => this.#inner.channels(options));
	}

	close(): Promise<void> {
		this.#alive = false;
		return this.#inner.close();
	}

	/** `changes`: where it is refused, it may have been done. */
	#ask<T>(call: () => Promise<T>, changes = false): Promise<T> {
		return new Promise((resolve, reject) => {
			this.#asking.send(() => {
				if (!this.#alive) {
					reject(new BrokerError("closed", "the broker is closed"));
					return;
				}
				const { away } = this;
				if (away && !(changes && this.#world.random() < 0.5)) {
					this.#answering.send(() => reject(new BrokerError("unavailable", "the broker is away")));
					return;
				}
				call().then(
					(result) =>
						this.#answering.send(() => {
							if (away) {
								reject(new BrokerError("unavailable", "the broker has not answered"));
							} else {
								resolve(result);
							}
						}),
					(error: unknown) => this.#answering.send(() => reject(error)),
				);
			});
		});
	}

	#tell(channel: string, say: () => void): void {
		const number = this.#known.get(channel);
		if (this.deaf && this.#world.random() < LOST_WHEN_DEAF) {
			return;
		}
		this.#telling.send(() => {
			if (this.#alive && this.#wanted.get(channel) === number) {
				say();
			}
		});
	}
}
