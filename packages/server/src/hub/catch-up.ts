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
		if (subscription.recovering || subscription.ended || !subscription.begun) {
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
		if (subscription.presentPolicy === "conflate") {
			this.#conflate(subscription, entriesOf(channel, subscription.cursor), channel.head);
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
		const { epoch } = channel;
		const collected: Entry[] | undefined = subscription.presentPolicy === "conflate" ? [] : undefined;
		const recovers = subscription.cursor < subscription.owed;
		try {
			let after = subscription.cursor;
			while (!subscription.ended && !subscriber.blocked && after < channel.log.tail) {
				const page = await this.#broker.read(channel.name, { after, limit: PIECE_ENTRIES, maxBytes: PIECE_BYTES });
				if (subscription.ended) {
					return;
				}
				if (channel.epoch !== epoch) {
					// The subscription has begun anew meanwhile: what was read, and where it was read from, mean nothing there.
					break;
				}
				if (page.epoch !== epoch) {
					// The broker is ahead of what it has told us: `Hub.reset` will follow and begins this subscription anew.
					return;
				}
				after = this.#takePage(subscription, page, after, collected);
				subscriber.write();
			}
			if (collected !== undefined && channel.epoch === epoch && !subscription.ended) {
				const reached = after >= channel.log.tail;
				const rest = reached ? entriesOf(channel, after) : [];
				this.#conflate(subscription, [...collected, ...rest], reached ? Math.max(after, channel.head) : after);
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
			if (recovers && channel.epoch === epoch) {
				// What came while history was read is not missed by being slow.
				subscription.owed = channel.head;
			}
			this.resume(subscription);
		}
	}

	/** Delivers the page that was read after an offset, or keeps it for conflation. How far it reached. */
	#takePage(subscription: Subscription, page: Page, asked: number, collected: Entry[] | undefined): number {
		const { channel, subscriber } = subscription;
		const { encoding } = subscriber;
		let after = asked;
		if (page.tail > after) {
			if (collected !== undefined) {
				this.#conflate(subscription, collected.splice(0), after);
			}
			// Where the history is shorter than the node's log, the log goes on.
			after = Math.min(page.tail, channel.log.tail);
			this.#gap(subscription, after, subscription.lagging ? "slow" : "lost");
			if (after < page.tail) {
				return after;
			}
		}
		for (const entry of page.entries) {
			if (subscription.ended) {
				return after;
			}
			if (collected === undefined) {
				// Only expired entries are missing inside of what is kept.
				this.#gap(subscription, entry.previous ?? entry.offset - 1, "expired");
				this.#deliver(subscription, entry, encoding.frame(encoding.codec.encodeEntry(channel.name, entry)));
			} else {
				collected.push(entry);
			}
			after = entry.offset;
		}
		if (page.entries.length > 0) {
			return after;
		}
		// Nothing more is kept of what lies before the log: it has expired, or a broker is behind what it told us.
		const to = channel.log.tail;
		if (collected === undefined) {
			this.#gap(subscription, to, page.head > after ? "expired" : "lost");
		}
		return to;
	}

	/** Announces everything up to `to`, of which these entries are left, and gives only the last of each key. */
	#conflate(subscription: Subscription, entries: readonly Entry[], to: number): void {
		const { channel, subscriber } = subscription;
		const { encoding } = subscriber;
		const from = subscription.cursor + 1;
		if (from > to) {
			return;
		}
		const latest = new Map<string | undefined, Entry>();
		for (const entry of entries) {
			latest.delete(entry.key);
			latest.set(entry.key, entry);
		}
		const nowMs = this.#nowMs();
		const left = [...latest.values()].filter((entry) => withheld(entry, subscriber, nowMs) === undefined);
		const first = left[0];
		if (first === undefined) {
			const last = entries.at(-1);
			this.#gap(subscription, to, (last && withheld(last, subscriber, nowMs)) ?? "expired");
			return;
		}
		if (encoding.codec.enveloped && from < to) {
			subscriber.send(encoding.frame(encoding.codec.encode({ channel: channel.name, event: "conflated", from, to })));
		}
		for (const entry of left) {
			subscriber.send(encoding.frame(encoding.codec.encodeEntry(channel.name, entry)));
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
		if (from > to || subscription.ended) {
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

function entriesOf(channel: Channel, after: number): readonly Entry[] {
	return channel.log.after(after).map((logged) => logged.entry);
}

/** Tells a subscriber that the channel's continuity is lost. */
export function announceReset(subscription: Subscription): void {
	const { channel, subscriber } = subscription;
	const { encoding } = subscriber;
	if (!encoding.codec.enveloped) {
		subscriber.lost(subscription, "reset");
		return;
	}
	const position = formatPosition({ epoch: channel.epoch, offset: subscription.cursor });
	subscriber.send(encoding.frame(encoding.codec.encode({ channel: channel.name, event: "reset", position })));
}
