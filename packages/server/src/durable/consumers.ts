/**
 * The durable consumers of this node's connections: who they are, where each goes on, and what keeps their cursors from
 * expiring while they are here. What lies between a cursor and the head waits in the channel's history and nowhere
 * else. It knows no permissions, and delivers nothing: a durable subscription is one like any other.
 */
import type { Position } from "@tidewire/broker";
import type { Subscription } from "../hub/subscription.ts";
import { decodeCursor, encodeCursor, keyOf, keyPrefixOf } from "./cursor.ts";
import { type Consumer, Received, type ReceivedOptions } from "./received.ts";

export interface ConsumersOptions extends ReceivedOptions {
	/** Consumers that one user may have, on all channels together. */
	readonly maxPerUser: number;
}

/** A consumer that is about to subscribe. */
export interface Found {
	readonly consumer: Consumer;
	/** Where it goes on: the one that is furthest in the epoch that the channel is in. None for a consumer that is new. */
	readonly positions: readonly Position[];
}

/** A cursor is written anew when this part of its time has passed: not at each use. */
const RENEWAL = 1 / 10;

export class DurableConsumers {
	readonly #options: ConsumersOptions;
	readonly #received: Received;
	readonly #ofSubscription = new WeakMap<Subscription, Consumer>();
	/** One after the other for each user, so that what is made at once is counted. */
	readonly #making = new Map<string, Promise<unknown>>();
	#renewing = false;

	constructor(options: ConsumersOptions) {
		this.#options = options;
		this.#received = new Received(options);
	}

	get maxPerUser(): number {
		return this.#options.maxPerUser;
	}

	/** Rejects with the broker's error. `channel`: the broker's name of it. */
	async find(user: string, channel: string, name: string): Promise<Found> {
		const key = keyOf(user, channel, name);
		const consumer: Consumer = { key, channel, record: await this.#options.broker.records.get(key) };
		await this.#renew(consumer);
		const stored = decodeCursor(consumer.record)?.position;
		// What this node has heard of may not be written yet.
		const heard = this.#received.find(key);
		return { consumer, positions: [stored, heard].filter((position) => position !== undefined) };
	}

	/**
	 * Makes a new consumer's record: from here on it is one. `present`: it is by another connection already. `full`: its user
	 * has as many as one may have. Rejects with the broker's error.
	 */
	make(user: string, consumer: Consumer, position: Position): Promise<"made" | "present" | "full"> {
		const prefix = keyPrefixOf(user);
		const make = async (): Promise<"made" | "present" | "full"> => {
			const { broker, expiryMs, maxPerUser, nowMs } = this.#options;
			if ((await broker.records.list(prefix, { limit: maxPerUser })).length >= maxPerUser) {
				return "full";
			}
			const record = encodeCursor({ position, writtenMs: nowMs() });
			if ((await broker.records.setIfAbsent(consumer.key, record, expiryMs)) !== undefined) {
				return "present";
			}
			consumer.record = record;
			return "made";
		};
		const made = (this.#making.get(prefix) ?? Promise.resolve()).then(make, make);
		this.#making.set(prefix, made);
		return made.finally(() => {
			if (this.#making.get(prefix) === made) {
				this.#making.delete(prefix);
			}
		});
	}

	/** What this subscription delivers is the consumer's. */
	bind(subscription: Subscription, consumer: Consumer): void {
		this.#ofSubscription.set(subscription, consumer);
	}

	/** Undefined for a subscription that is not durable. */
	of(subscription: Subscription): Consumer | undefined {
		return this.#ofSubscription.get(subscription);
	}

	/** What a subscription's consumer says that it has. What was never handed to it, or is of another epoch, is ignored. */
	received(subscription: Subscription, consumer: Consumer, position: Position): void {
		if (position.epoch === subscription.channel.epoch && position.offset <= subscription.cursor) {
			this.#received.note(consumer, position);
		}
	}

	/** Keeps the consumers of these subscriptions from expiring. One pass at a time. Never rejects. */
	async renew(subscriptions: Iterable<Subscription>): Promise<void> {
		if (this.#renewing) {
			return;
		}
		this.#renewing = true;
		try {
			for (const subscription of subscriptions) {
				const consumer = this.#ofSubscription.get(subscription);
				if (consumer !== undefined && this.#isStale(consumer)) {
					// Another connection of the consumer may have renewed it.
					consumer.record = await this.#options.broker.records.get(consumer.key);
					await this.#renew(consumer);
				}
			}
		} catch (cause) {
			this.#options.failed(cause);
		} finally {
			this.#renewing = false;
		}
	}

	/** Writes what has been received and is not written yet. */
	close(): Promise<void> {
		return this.#received.close();
	}

	#isStale({ record }: Consumer): boolean {
		const { nowMs, expiryMs } = this.#options;
		const cursor = decodeCursor(record);
		return cursor !== undefined && nowMs() - cursor.writtenMs > expiryMs * RENEWAL;
	}

	async #renew(consumer: Consumer): Promise<void> {
		const cursor = decodeCursor(consumer.record);
		if (cursor === undefined || !this.#isStale(consumer)) {
			return;
		}
		const { broker, expiryMs, nowMs } = this.#options;
		const record = encodeCursor({ position: cursor.position, writtenMs: nowMs() });
		// Where it did not hold, somebody else has just written it.
		if (await broker.records.replace(consumer.key, consumer.record, record, expiryMs)) {
			consumer.record = record;
		}
	}
}
