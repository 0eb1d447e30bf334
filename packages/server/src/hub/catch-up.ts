/**
 * Brings a subscription that is behind back to the head, at its connection's own pace: from the node's log where that
 * still reaches back, else from the broker's history, by the channel's policy. What cannot be delivered any more is
 * announced. The same way serves a client that comes back (`since`) and one that was too slow.
 */
import type { Broker, Entry, Page } from "@tidewire/broker";
import { formatPosition, type GapReason } from "@tidewire/protocol";
import { type Channel, gapFrame, withheld } from "./channel.ts";
import type { LaggardCare } from "./flush.ts";
import type { Subscription } from "./subscription.ts";

/** What is handed to a connection before asking again whether it takes more. */
const PIECE_BYTES = 64 * 1024;
const PIECE_ENTRIES = 256;

export class CatchUp implements LaggardCare {
	readonly #broker: Broker;
	readonly #nowMs: () => number;
	readonly #failed: (subscription: Subscription, cause: unknown) => void;

	/** `failed` is told of a subscription that could not be served because the broker's history could not be read. */
	constructor(broker: Broker, nowMs: () => number, failed: (subscription: Subscription, cause: unknown) => void) {
		this.#broker = broker;
		this.#nowMs = nowMs;
		this.#failed = failed;
	}

	resume(subscription: Subscription): void {
		if (subscription.recovering || subscription.ended) {
			return;
		}
		const { channel } = subscription;
		const policy = subscription.presentPolicy;
		if (policy === "skip") {
			this.#gap(subscription, channel.head, "slow");
		} else if (policy === "disconnect" && subscription.cursor < channel.log.tail) {
			subscription.subscriber.lost(subscription, "gap");
			return;
		} else {
			this.#fromLog(subscription);
		}
		this.#settle(subscription);
	}

	/** Where nothing more is to come now, the subscription is live again. */
	#settle(subscription: Subscription): void {
		const { channel } = subscription;
		if (!subscription.ended && subscription.cursor >= channel.head) {
			channel.caughtUp(subscription);
		}
	}

	#fromLog(subscription: Subscription): void {
		const { channel, subscriber } = subscription;
		if (subscription.cursor < channel.log.tail) {
			subscription.recovering = true;
			void this.#fromHistory(subscription);
			return;
		}
		const entries = channel.log.after(subscription.cursor).map((logged) => logged.entry);
		if (subscription.presentPolicy === "conflate") {
			this.#conflate(subscription, entries);
			return;
		}
		let bytes = 0;
		for (const logged of channel.log.after(subscription.cursor)) {
			if (subscriber.blocked || subscription.ended) {
				return;
			}
			bytes += this.#deliver(subscription, logged.entry, logged.frame(channel.name, subscriber.encoding));
			if (bytes >= PIECE_BYTES) {
				bytes = 0;
				subscriber.write();
			}
		}
	}

	/** Reads page after page while the connection takes them. Never rejects. */
	async #fromHistory(subscription: Subscription): Promise<void> {
		const { channel, subscriber } = subscription;
		try {
			const conflate: Entry[] = [];
			let after = subscription.cursor;
			while (!subscription.ended && !subscriber.blocked && after < channel.log.tail) {
				const page = await this.#broker.read(channel.name, { after, limit: PIECE_ENTRIES, maxBytes: PIECE_BYTES });
				if (subscription.ended) {
					return;
				}
				if (page.epoch !== channel.epoch) {
					// The broker is ahead of what it has told us: `Hub.reset` will follow and begins this subscription anew.
					return;
				}
				after = this.#takePage(subscription, page, conflate);
				subscriber.write();
			}
			if (conflate.length > 0 && !subscription.ended) {
				const rest = after >= channel.log.tail ? channel.log.after(after).map((logged) => logged.entry) : [];
				this.#conflate(subscription, [...conflate, ...rest]);
			}
		} catch (cause) {
			if (!subscription.ended) {
				this.#failed(subscription, cause);
			}
			return;
		} finally {
			subscription.recovering = false;
		}
		if (!subscription.ended && !subscriber.blocked) {
			this.resume(subscription);
		}
	}

	/** Delivers a page, or keeps it for conflation. How far it reached. */
	#takePage(subscription: Subscription, page: Page, conflate: Entry[]): number {
		const { channel, subscriber } = subscription;
		const collects = subscription.presentPolicy === "conflate";
		let after = collects ? Math.max(subscription.cursor, conflate.at(-1)?.offset ?? 0) : subscription.cursor;
		if (page.tail > after) {
			this.#gap(subscription, page.tail, subscription.lagging ? "slow" : "lost");
			after = page.tail;
			if (subscription.ended) {
				return after;
			}
		}
		for (const entry of page.entries) {
			const previous = entry.previous ?? entry.offset - 1;
			if (previous > after && !collects) {
				// Only expired entries are missing inside of what is kept.
				this.#gap(subscription, previous, "expired");
			}
			if (collects) {
				conflate.push(entry);
			} else {
				const { codec } = subscriber.encoding;
				this.#deliver(subscription, entry, subscriber.encoding.frame(codec.encodeEntry(channel.name, entry)));
			}
			after = entry.offset;
		}
		if (page.entries.length === 0 && page.head > after) {
			if (!collects) {
				this.#gap(subscription, page.head, "expired");
			}
			after = page.head;
		}
		return after;
	}

	/** Announces a range, then gives only the last entry of each key in it. */
	#conflate(subscription: Subscription, entries: readonly Entry[]): void {
		const { channel, subscriber } = subscription;
		const { encoding } = subscriber;
		const to = entries.at(-1)?.offset;
		if (to === undefined || to <= subscription.cursor) {
			return;
		}
		const latest = new Map<string | undefined, Entry>();
		for (const entry of entries) {
			latest.delete(entry.key);
			latest.set(entry.key, entry);
		}
		const from = subscription.cursor + 1;
		if (encoding.codec.enveloped && from < to) {
			subscriber.send(encoding.frame(encoding.codec.encode({ channel: channel.name, event: "conflated", from, to })));
		}
		for (const entry of latest.values()) {
			if (withheld(entry, subscriber, this.#nowMs()) === undefined) {
				subscriber.send(encoding.frame(encoding.codec.encodeEntry(channel.name, entry)));
			}
		}
		subscription.cursor = to;
	}

	/** Hands over one entry and moves the cursor. How many bytes that was. */
	#deliver(subscription: Subscription, entry: Entry, frame: Uint8Array): number {
		const { channel, subscriber } = subscription;
		const why = withheld(entry, subscriber, this.#nowMs());
		const bytes =
			why === undefined ? frame : gapFrame(subscriber.encoding, channel.name, entry.offset, entry.offset, why);
		if (bytes.length > 0) {
			subscriber.send(bytes);
		}
		subscription.cursor = entry.offset;
		return bytes.length;
	}

	/** Says that everything up to `to` will not be delivered. */
	#gap(subscription: Subscription, to: number, reason: GapReason): void {
		const { channel, subscriber } = subscription;
		const from = subscription.cursor + 1;
		if (from > to) {
			return;
		}
		subscription.cursor = to;
		if (subscriber.encoding.codec.enveloped) {
			subscriber.send(gapFrame(subscriber.encoding, channel.name, from, to, reason));
		} else if (reason === "slow" || reason === "lost") {
			subscriber.lost(subscription, "gap");
		}
	}
}

/** What tells a subscriber that the channel's continuity is lost. */
export function resetFrame(channel: Channel, { subscriber }: Subscription): Uint8Array {
	const { codec } = subscriber.encoding;
	const position = formatPosition(channel.position);
	return subscriber.encoding.frame(codec.encode({ channel: channel.name, event: "reset", position }));
}
