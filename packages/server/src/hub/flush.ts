/**
 * Once per event-loop turn: sockets are walked, not messages. Every channel that moved puts its subscribers on a queue,
 * once each; every connection on the queue is then written to, once, with what all of its channels have for it at that
 * moment. A cursor moves only when its socket is written to, so whoever has to wait loses nothing and costs nothing.
 *
 * A turn ends after a few milliseconds and goes on in the next, so that heartbeats, reads and new connections are not
 * starved. Replies and channels with few subscribers go before the crowds, which are never held up wholly.
 */
import { type Channel, framesFor } from "./channel.ts";
import type { DeflateContext } from "./deflate-context.ts";
import { Pending } from "./pending.ts";
import type { Subscriber, Subscription } from "./subscription.ts";
import { WriteQueue } from "./write-queue.ts";

/** How long a flush may keep the event loop. */
const MAX_TURN_MS = 5;
/** How many subscriptions are passed, or sockets written to, between two looks at the clock. */
const CLOCK_EVERY = 64;
/** A channel with more subscribers than this takes long: they go behind those of the others. */
const CROWD = 512;

/** What the flush leaves to others. */
export interface LaggardCare {
	/** Brings on a subscription that is `lagging` and whose connection takes more. */
	resume(subscription: Subscription): void;
	/** All who could be written to have been, up to this offset. */
	flushed(channel: Channel, offset: number): void;
}

/** A channel whose subscribers have been passed, and what has to be written until they have what was there then. */
interface Passed {
	readonly channel: Channel;
	readonly epoch: string;
	readonly head: number;
	readonly first: number;
	readonly crowd: number;
}

export class Flush {
	readonly #care: LaggardCare;
	readonly #monotonicMs: () => number;
	readonly #nowMs: () => number;
	/** Moved, and still to be walked; the first is the one under way. */
	#moved: Channel[] = [];
	/** In the order in which they will have been written to. */
	#passed: Passed[] = [];
	readonly #first = new WriteQueue();
	readonly #crowd = new WriteQueue();
	#scheduled = false;
	/** Subscriptions of the connection that is being written to, whose place the log has left. */
	#fallen: Subscription[] = [];
	/** By the index of an encoding: subscribers of different encodings never share a list, and take turns in a channel. */
	#roots: (Pending | undefined)[] = [];
	/** The same by the contexts in which subscribers' lists begin: each has frames of its own. */
	#contextRoots = new Map<DeflateContext, Pending>();

	constructor(care: LaggardCare, nowMs: () => number, monotonicMs: () => number = () => performance.now()) {
		this.#care = care;
		this.#nowMs = nowMs;
		this.#monotonicMs = monotonicMs;
	}

	/** The channel has moved. */
	channel(channel: Channel): void {
		const { length } = channel.subscriptions;
		if (channel.walk === undefined) {
			channel.walk = { at: 0, left: length, passed: 0, head: channel.head };
			this.#moved.push(channel);
			this.#schedule();
		} else {
			// Those that the walk has passed already have to be passed again, after those it has still to come by.
			channel.walk.left = length;
		}
	}

	/** The subscriber has frames to be written. */
	subscriber(subscriber: Subscriber): void {
		if (subscriber.queue !== "first") {
			subscriber.queue = "first";
			this.#first.push(subscriber);
			this.#schedule();
		}
	}

	/** Writes what there is for a subscriber, now: what was sent, then what its channels have for it. */
	write(subscriber: Subscriber): void {
		this.#writeNow(subscriber, this.#nowMs());
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
		const walked = this.#walk(deadlineMs);
		const written = this.#writeAll(deadlineMs, this.#nowMs());
		this.#roots = [];
		this.#contextRoots.clear();
		this.#settle();
		if (!walked || !written) {
			this.#schedule();
		}
	};

	/** What everybody has been offered is no more the flush's. A saturated node comes to this, too. */
	#settle(): void {
		let done = 0;
		for (const { channel, epoch, head, first, crowd } of this.#passed) {
			if (this.#first.gone < first || this.#crowd.gone < crowd) {
				break;
			}
			done++;
			if (channel.epoch === epoch) {
				channel.flushed(head);
				this.#care.flushed(channel, head);
			}
		}
		this.#passed.splice(0, done);
	}

	/**
	 * Walks until all channels have been or the time is over. Where one channel alone has moved there is nothing to
	 * gather, and its subscribers are written to on the way.
	 */
	#walk(deadlineMs: number): boolean {
		const alone = this.#moved.length === 1 && this.#first.empty && this.#crowd.empty;
		const nowMs = alone ? this.#nowMs() : 0;
		let steps = 0;
		let done = 0;
		for (const channel of this.#moved) {
			const { subscriptions } = channel;
			const walk = channel.walk!;
			const queue = subscriptions.length > CROWD ? this.#crowd : this.#first;
			while (walk.left > 0 && subscriptions.length > 0) {
				walk.left--;
				walk.at = walk.at < subscriptions.length ? walk.at : 0;
				const subscription = subscriptions[walk.at++]!;
				if (!alone || !this.#writeAlone(subscription, channel, nowMs)) {
					this.#pass(subscription, channel, queue);
				}
				if (++walk.passed >= subscriptions.length && walk.left > 0) {
					// Once round, though more has come meanwhile.
					this.#passed.push(this.#passedOf(channel, walk.head));
					walk.passed = 0;
					walk.head = channel.head;
				}
				if (++steps % CLOCK_EVERY === 0 && this.#monotonicMs() > deadlineMs) {
					this.#moved.splice(0, done);
					return false;
				}
			}
			channel.walk = undefined;
			this.#passed.push(this.#passedOf(channel, channel.head));
			done++;
		}
		this.#moved = [];
		return true;
	}

	#passedOf(channel: Channel, head: number): Passed {
		return { channel, epoch: channel.epoch, head, first: this.#first.come, crowd: this.#crowd.come };
	}

	/** Writes to a subscriber that has one segment to come and nothing else; false: it is another case. */
	#writeAlone(subscription: Subscription, channel: Channel, nowMs: number): boolean {
		const { subscriber, cursor } = subscription;
		const segment = channel.log?.last;
		if (
			segment === undefined ||
			segment.after !== cursor ||
			subscription.phase !== "live" ||
			subscriber.queue !== "none" ||
			subscriber.blocked ||
			(channel.source !== undefined && !subscriber.encoding.codec.enveloped)
		) {
			return false;
		}
		const frames = framesFor(subscriber, channel, segment, cursor, nowMs);
		subscription.cursor = segment.to;
		if (frames.length > 0) {
			subscriber.write(frames);
		}
		return true;
	}

	#pass(subscription: Subscription, channel: Channel, queue: WriteQueue): void {
		if (subscription.phase !== "live") {
			if (subscription.phase === "lagging" && !subscription.subscriber.blocked) {
				this.#care.resume(subscription);
			}
			return;
		}
		if (subscription.cursor >= channel.head) {
			return;
		}
		const { subscriber } = subscription;
		if (channel.source !== undefined && !subscriber.encoding.codec.enveloped) {
			// Patches are nothing to it: it gets the whole value.
			channel.enter(subscription, "lagging");
			this.#care.resume(subscription);
			return;
		}
		channel.enter(subscription, "queued");
		// A ring whose last is known, so that channels stay in the order in which they moved.
		const last = subscriber.moved;
		subscription.next = last === undefined ? subscription : last.next;
		if (last !== undefined) {
			last.next = subscription;
		}
		subscriber.moved = subscription;
		if (subscriber.queue === "none" || (subscriber.queue === "crowd" && queue === this.#first)) {
			subscriber.queue = queue === this.#first ? "first" : "crowd";
			queue.push(subscriber);
		}
	}

	/** Writes until all have been written to or the time is over. */
	#writeAll(deadlineMs: number, nowMs: number): boolean {
		this.#writeSome(this.#first, deadlineMs, nowMs);
		// However much there was to be done first, some of the crowd get theirs in every turn.
		this.#writeSome(this.#crowd, deadlineMs, nowMs);
		return this.#first.empty && this.#crowd.empty;
	}

	#writeSome(queue: WriteQueue, deadlineMs: number, nowMs: number): void {
		for (let count = 1; !queue.empty; count++) {
			this.#writeOne(queue.take(), nowMs);
			if (count % CLOCK_EVERY === 0 && this.#monotonicMs() > deadlineMs) {
				break;
			}
		}
	}

	#writeOne(subscriber: Subscriber, nowMs: number): void {
		// Whoever was raised from the crowd stands in both queues, and has been written to when the second comes.
		if (subscriber.queue !== "none") {
			this.#writeNow(subscriber, nowMs);
		}
	}

	#writeNow(subscriber: Subscriber, nowMs: number): void {
		subscriber.queue = "none";
		if (subscriber.moved === undefined) {
			subscriber.write();
			return;
		}
		subscriber.write(this.#gather(subscriber, nowMs));
		if (this.#fallen.length > 0) {
			this.#raise();
		}
	}

	/** Only now: what they are sent goes behind what was gathered, in whose compression it may be rooted. */
	#raise(): void {
		const fallen = this.#fallen;
		this.#fallen = [];
		for (const subscription of fallen) {
			if (subscription.phase === "lagging" && !subscription.subscriber.blocked) {
				this.#care.resume(subscription);
			}
		}
	}

	/** The frames of all that its channels have for it; moves the cursors. */
	#gather(subscriber: Subscriber, nowMs: number): Uint8Array | undefined {
		const last = subscriber.moved!;
		subscriber.moved = undefined;
		const root = this.#rootOf(subscriber);
		let pending = root;
		let subscription: Subscription;
		let next = last.next!;
		do {
			subscription = next;
			next = subscription.next!;
			subscription.next = undefined;
			const { channel } = subscription;
			if (subscription.phase !== "queued") {
				continue;
			}
			if (subscriber.blocked) {
				channel.enter(subscription, "lagging");
				continue;
			}
			if (subscription.cursor < channel.tail || subscription.value !== undefined) {
				channel.enter(subscription, "lagging");
				this.#fallen.push(subscription);
				continue;
			}
			let segment = channel.log?.after(subscription.cursor);
			while (segment !== undefined) {
				const frames = framesFor(subscriber, channel, segment, subscription.cursor, nowMs);
				if (frames.length > 0) {
					pending = pending.with(frames);
				}
				segment = segment.next;
			}
			subscription.cursor = channel.head;
			channel.enter(subscription, "live");
		} while (subscription !== last);
		return pending === root ? undefined : pending.bytes();
	}

	#rootOf({ encoding, context }: Subscriber): Pending {
		if (context === undefined) {
			this.#roots[encoding.index] ??= Pending.root();
			return this.#roots[encoding.index]!;
		}
		let root = this.#contextRoots.get(context);
		if (root === undefined) {
			root = Pending.root();
			this.#contextRoots.set(context, root);
		}
		return root;
	}
}
