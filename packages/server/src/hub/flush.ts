/**
 * Once per event-loop turn: walks the subscribers of every channel that moved, gives each the slice between its cursor
 * and the head, and hands each socket one write. What takes too long, walking or writing, stops and goes on next turn
 * where it was, so that heartbeats, reads and new connections are not starved.
 */
import type { Channel } from "./channel.ts";
import { Pending } from "./pending.ts";
import type { Subscriber, Subscription } from "./subscription.ts";

/** How long a flush may keep the event loop. */
const MAX_TURN_MS = 5;
/** How many subscriptions are walked, or sockets written to, between two looks at the clock. */
const CLOCK_EVERY = 64;

/** What the flush leaves to others. */
export interface LaggardCare {
	/** Brings on a subscription that was left behind and whose connection is writable again. */
	resume(subscription: Subscription): void;
}

export class Flush {
	readonly #care: LaggardCare;
	readonly #monotonicMs: () => number;
	readonly #nowMs: () => number;
	#channels: Channel[] = [];
	/** Those with something to write. A subscriber may stand here twice: the second write finds nothing. */
	#subscribers: Subscriber[] = [];
	/** How many of them have been written to. */
	#written = 0;
	#scheduled = false;
	/** By the index of an encoding: subscribers of different encodings never share a list, and take turns in a channel. */
	#roots: (Pending | undefined)[] = [];

	constructor(care: LaggardCare, nowMs: () => number, monotonicMs: () => number = () => performance.now()) {
		this.#care = care;
		this.#nowMs = nowMs;
		this.#monotonicMs = monotonicMs;
	}

	/** The channel has moved. */
	channel(channel: Channel): void {
		if (!channel.dirty) {
			channel.dirty = true;
			channel.walked = 0;
			this.#channels.push(channel);
			this.#schedule();
		} else if (channel.walked > 0) {
			// Those that the walk has passed already have to be passed again.
			channel.walked = 0;
		}
	}

	/** The subscriber has frames to be written, or has become writable. */
	subscriber(subscriber: Subscriber): void {
		this.#subscribers.push(subscriber);
		this.#schedule();
	}

	#schedule(): void {
		if (!this.#scheduled) {
			this.#scheduled = true;
			setImmediate(this.#run);
		}
	}

	readonly #run = (): void => {
		this.#scheduled = false;
		const deadlineMs = this.#monotonicMs() + MAX_TURN_MS;
		// What was gathered last turn goes out before more is gathered: what comes meanwhile then goes as one.
		let complete = this.#written === 0 || this.#write(deadlineMs);
		if (complete) {
			complete = this.#walk(deadlineMs, this.#nowMs());
			complete = this.#write(deadlineMs) && complete;
		}
		if (!complete) {
			this.#schedule();
		}
	};

	/** Writes until all have been written to or the time is over. */
	#write(deadlineMs: number): boolean {
		while (this.#written < this.#subscribers.length) {
			this.#subscribers[this.#written++]!.write();
			if (this.#written % CLOCK_EVERY === 0 && this.#monotonicMs() > deadlineMs) {
				return false;
			}
		}
		this.#subscribers = [];
		this.#written = 0;
		this.#roots = [];
		return true;
	}

	/** Walks until all channels are clean or the time is over. */
	#walk(deadlineMs: number, nowMs: number): boolean {
		let steps = 0;
		let done = 0;
		for (const channel of this.#channels) {
			const { subscriptions } = channel;
			while (channel.walked < subscriptions.length) {
				this.#advance(subscriptions[channel.walked++]!, nowMs);
				if (++steps % CLOCK_EVERY === 0 && this.#monotonicMs() > deadlineMs) {
					this.#channels.splice(0, done);
					return false;
				}
			}
			channel.dirty = false;
			channel.walked = 0;
			channel.trim();
			done++;
		}
		this.#channels = [];
		return true;
	}

	#advance(subscription: Subscription, nowMs: number): void {
		const { channel, subscriber } = subscription;
		if (subscription.cursor >= channel.head) {
			return;
		}
		if (subscription.recovering || subscriber.blocked || !subscription.begun) {
			channel.fellBehind(subscription);
			return;
		}
		if (subscription.lagging || subscription.cursor < channel.log.tail) {
			channel.fellBehind(subscription);
			this.#care.resume(subscription);
			return;
		}
		const slice = channel.slice(subscriber, subscription.cursor, nowMs);
		subscription.cursor = channel.head;
		if (subscriber.pending === undefined) {
			this.#subscribers.push(subscriber);
			const { index } = subscriber.encoding;
			this.#roots[index] ??= Pending.root();
			subscriber.pending = this.#roots[index];
		}
		subscriber.pending = subscriber.pending.with(slice);
	}
}
