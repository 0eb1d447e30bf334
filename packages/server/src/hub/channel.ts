/**
 * A channel on this node: where its log stands, what of it is still to be written, and to whom. It exists while it has
 * subscribers here.
 */
import type { Entry, Position } from "@tidewire/broker";
import type { GapReason } from "@tidewire/protocol";
import type { Encoding } from "./encoding.ts";
import { Log, type LoggedEntry } from "./log.ts";
import type { Subscriber, Subscription } from "./subscription.ts";

interface Slice {
	readonly from: number;
	readonly to: number;
	readonly bytes: Uint8Array;
}

export class Channel {
	readonly name: string;
	epoch = "";
	/** The newest offset that this node has been told of. */
	head = 0;
	readonly log = new Log();
	readonly subscriptions: Subscription[] = [];
	/** Whether the flush has it on its list. */
	dirty = false;
	/** How many of `subscriptions` the walk under way has passed. */
	walked = 0;
	/** How many subscriptions are lagging: while there are any, the log is kept. */
	lagging = 0;
	/** How many are about to subscribe: the channel stays open for them. */
	joining = 0;
	/** Settles when the broker has said where the channel stands; undefined once it has. */
	opening: Promise<void> | undefined;
	readonly #slices: (Slice | undefined)[] = [];

	constructor(name: string) {
		this.name = name;
	}

	get position(): Position {
		return { epoch: this.epoch, offset: this.head };
	}

	/** Takes entries from the broker, skipping those already seen. Whether there was anything new. */
	append(entries: readonly Entry[], maxLogBytes: number): boolean {
		const before = this.head;
		for (const entry of entries) {
			if (entry.offset <= this.head) {
				continue;
			}
			if ((entry.previous ?? entry.offset - 1) !== this.head) {
				// The broker told us of a later entry first: what lies between is read from its history by whoever needs it.
				this.log.clear(entry.previous ?? entry.offset - 1);
			}
			this.log.append(entry, maxLogBytes);
			this.head = entry.offset;
		}
		return this.head !== before;
	}

	/** Goes on at a position of another epoch: nothing made of the old one is used any more. */
	moveTo(position: Position): void {
		this.epoch = position.epoch;
		this.head = position.offset;
		this.log.clear(position.offset);
		this.#slices.length = 0;
	}

	/** Drops what nobody has still to be written. */
	trim(): void {
		if (this.lagging === 0) {
			this.log.clear(this.head);
			this.#slices.length = 0;
		}
	}

	add(subscription: Subscription): void {
		subscription.index = this.subscriptions.push(subscription) - 1;
	}

	remove(subscription: Subscription): void {
		const { index } = subscription;
		const last = this.subscriptions.pop();
		if (last !== undefined && last !== subscription) {
			this.subscriptions[index] = last;
			last.index = index;
			if (index < this.walked) {
				// `last` may have been moved to where the walk has been already: walk again, those at the head cost nothing.
				this.walked = 0;
			}
		}
		subscription.index = -1;
		this.caughtUp(subscription);
	}

	fellBehind(subscription: Subscription): void {
		if (!subscription.lagging) {
			subscription.lagging = true;
			this.lagging++;
		}
	}

	caughtUp(subscription: Subscription): void {
		if (subscription.lagging) {
			subscription.lagging = false;
			this.lagging--;
			if (this.lagging === 0 && !this.dirty) {
				this.trim();
			}
		}
	}

	/** The frames of everything between a cursor and the head, shared by all who ask for the same. */
	slice(subscriber: Subscriber, from: number, nowMs: number): Uint8Array {
		const { encoding } = subscriber;
		if (this.log.special > 0) {
			const entries = this.log.after(from);
			if (entries.some(({ entry }) => withheld(entry, subscriber, nowMs) !== undefined)) {
				return concatenate(entries.map((logged) => this.#frameOrGap(logged, subscriber, nowMs)));
			}
		}
		const cached = this.#slices[encoding.index];
		if (cached !== undefined && cached.from === from && cached.to === this.head) {
			return cached.bytes;
		}
		const bytes = concatenate(this.log.after(from).map((logged) => logged.frame(this.name, encoding)));
		this.#slices[encoding.index] = { from, to: this.head, bytes };
		return bytes;
	}

	#frameOrGap(logged: LoggedEntry, subscriber: Subscriber, nowMs: number): Uint8Array {
		const { entry } = logged;
		const why = withheld(entry, subscriber, nowMs);
		return why === undefined
			? logged.frame(this.name, subscriber.encoding)
			: gapFrame(subscriber.encoding, this.name, entry.offset, entry.offset, why);
	}
}

/** Why an entry is not for this subscriber, if it is not. Neither reason is a loss. */
export function withheld(entry: Entry, subscriber: Subscriber, nowMs: number): "own" | "expired" | undefined {
	if (entry.exclude !== undefined && entry.exclude === subscriber.session) {
		return "own";
	}
	return entry.ttlMs !== undefined && nowMs > entry.timeMs + entry.ttlMs ? "expired" : undefined;
}

const NOTHING = new Uint8Array(0);

/** What tells a subscriber that these offsets will not come. Empty where its protocol has no words for it. */
export function gapFrame(encoding: Encoding, channel: string, from: number, to: number, reason: GapReason): Uint8Array {
	return encoding.codec.enveloped
		? encoding.frame(encoding.codec.encode({ channel, event: "gap", from, to, reason }))
		: NOTHING;
}

function concatenate(frames: readonly Uint8Array[]): Uint8Array {
	return frames.length === 1 ? frames[0]! : Buffer.concat(frames);
}
