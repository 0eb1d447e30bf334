/**
 * Brings a subscription that is behind back to the head, at its connection's own pace: from the node's log where that
 * still reaches back, else from the broker's history, by the channel's policy. What cannot be delivered any more is
 * announced. The same way serves a client that comes back (`since`) and one that was too slow.
 */
import type { Broker, Entry } from "@tidewire/broker";
import { formatPosition, type GapReason } from "@tidewire/protocol";
import { framesFor, gapFrame, withheld } from "./channel.ts";
import { type HistoryPage, HistoryPages } from "./history-pages.ts";
import type { Segment } from "./segment.ts";
import type { Subscription } from "./subscription.ts";
import { Values } from "./values.ts";

/** What is sent on behalf of several subscriptions before it is written, and the connection asked again. */
const MAX_UNWRITTEN_BYTES = 64 * 1024;

export class CatchUp {
	readonly #history: HistoryPages;
	readonly #nowMs: () => number;
	readonly #failed: (subscription: Subscription, cause: unknown) => void;
	readonly #values: Values;

	/** `failed` is told of a subscription that could not be served because the broker's history could not be read. */
	constructor(broker: Broker, nowMs: () => number, failed: (subscription: Subscription, cause: unknown) => void) {
		this.#history = new HistoryPages(broker);
		this.#nowMs = nowMs;
		this.#failed = failed;
		this.#values = new Values((subscription) => this.resume(subscription), failed);
	}

	/** For a subscription that is `lagging`, and whose connection takes more. */
	resume(subscription: Subscription): void {
		if (subscription.phase !== "lagging") {
			return;
		}
		const { channel, subscriber } = subscription;
		if (subscriber.unwritten >= MAX_UNWRITTEN_BYTES) {
			// Its other subscriptions have caught up before: whether it takes more shows when it is given what they had.
			subscriber.write();
			if (subscriber.blocked || subscription.ended) {
				return;
			}
		}
		if (channel.source !== undefined && this.#values.take(subscription, channel.source)) {
			return;
		}
		switch (subscription.presentPolicy) {
			case "skip":
				this.#gap(subscription, channel.head, "slow");
				break;
			case "conflate":
				this.#conflate(subscription);
				break;
			case "disconnect":
				if (subscription.cursor < channel.tail) {
					subscription.subscriber.lost(subscription, "gap");
					return;
				}
				this.#fromLog(subscription);
				break;
			default:
				if (subscription.cursor < channel.tail) {
					channel.enter(subscription, "recovering");
					void this.#fromHistory(subscription);
					return;
				}
				this.#fromLog(subscription);
		}
		if (subscription.phase === "lagging" && subscription.cursor >= channel.head) {
			channel.enter(subscription, "live");
		}
	}

	#fromLog(subscription: Subscription): void {
		const { channel, subscriber } = subscription;
		let segment = channel.log?.after(subscription.cursor);
		while (segment !== undefined && !subscriber.blocked && !subscription.ended) {
			const frames = framesFor(subscriber, channel, segment, subscription.cursor, this.#nowMs());
			subscription.cursor = segment.to;
			if (frames.length > 0) {
				subscriber.send(frames);
			}
			segment = segment.next;
			if (segment !== undefined) {
				// Whether it takes more shows when it is given this.
				subscriber.write();
			}
		}
	}

	/** Reads page after page while the connection takes them. Never rejects. */
	async #fromHistory(subscription: Subscription): Promise<void> {
		const { channel, subscriber } = subscription;
		const { epoch } = channel;
		const recovers = subscription.cursor < subscription.owed;
		try {
			while (!subscription.ended && !subscriber.blocked && subscription.cursor < channel.tail) {
				const after = subscription.cursor;
				const page = await this.#history.read(channel, after);
				if (subscription.ended) {
					return;
				}
				if (channel.epoch !== epoch) {
					// The subscription has begun anew meanwhile: what was read, and where it was read from, mean nothing there.
					break;
				}
				if (page.epoch !== epoch) {
					// The broker is ahead of what it has told us: `Hub.reset` will follow and begins this subscription anew.
					channel.enter(subscription, "lagging");
					return;
				}
				if (channel.source !== undefined && (page.tail > after || page.runs.length === 0)) {
					// A patch is nothing without those before it.
					subscription.value = "late";
					break;
				}
				if (subscriber.blocked) {
					// Another of its subscriptions has filled it meanwhile.
					break;
				}
				this.#takePage(subscription, page);
				subscriber.write();
			}
		} catch (cause) {
			if (!subscription.ended) {
				this.#failed(subscription, cause);
			}
			return;
		}
		if (subscription.ended) {
			return;
		}
		channel.enter(subscription, "lagging");
		if (!subscriber.blocked) {
			if (recovers && channel.epoch === epoch) {
				// What came while history was read is not missed by being slow.
				subscription.owed = channel.head;
			}
			this.resume(subscription);
		}
	}

	/** Delivers a page that was read after the cursor. */
	#takePage(subscription: Subscription, page: HistoryPage): void {
		const { channel } = subscription;
		if (page.tail > subscription.cursor) {
			// Where the history is shorter than the node's log, the log goes on.
			this.#gap(subscription, Math.min(page.tail, channel.tail), "slow");
			if (subscription.cursor < page.tail) {
				return;
			}
		}
		for (const run of page.runs) {
			// Only expired entries are missing inside of what is kept.
			this.#gap(subscription, run.after, "expired");
			this.#hand(subscription, run);
		}
		if (page.runs.length === 0 && !subscription.ended) {
			// Nothing more is kept of what lies before the log: it has expired, or a broker is behind what it told us.
			this.#gap(subscription, channel.tail, page.head > subscription.cursor ? "expired" : "lost");
		}
	}

	#hand(subscription: Subscription, run: Segment): void {
		if (subscription.ended) {
			return;
		}
		const { channel, subscriber } = subscription;
		const frames = framesFor(subscriber, channel, run, subscription.cursor, this.#nowMs());
		subscription.cursor = run.to;
		if (frames.length > 0) {
			subscriber.send(frames);
		}
	}

	/** Announces everything up to the head, and gives only the last of each key. */
	#conflate(subscription: Subscription): void {
		const { channel, subscriber } = subscription;
		const { log, head } = channel;
		if (log === undefined) {
			return;
		}
		const { latest } = log;
		if (subscription.cursor < log.tail) {
			// What the table had to let go of, or never held.
			this.#gap(subscription, latest?.from ?? log.tail, "slow");
			if (subscription.ended) {
				return;
			}
		}
		const entries = [
			...(latest?.after(subscription.cursor) ?? []),
			...log.entries(Math.max(subscription.cursor, log.tail)),
		];
		const left = lastOfEachKey(entries);
		const nowMs = this.#nowMs();
		const due = left.filter((entry) => withheld(entry, subscriber, nowMs) === undefined);
		if (due.length === 0) {
			const last = entries.at(-1);
			this.#gap(subscription, head, (last && withheld(last, subscriber, nowMs)) ?? "expired");
			return;
		}
		const { encoding } = subscriber;
		const from = subscription.cursor + 1;
		if (encoding.codec.enveloped && from < head) {
			const event = { channel: channel.wireName, event: "conflated", from, to: head } as const;
			subscriber.send(encoding.frame(encoding.codec.encode(event)));
		}
		for (const entry of due) {
			subscriber.send(encoding.frame(encoding.codec.encodeEntry(channel.wireName, entry)));
		}
		subscription.cursor = head;
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
			subscriber.send(gapFrame(subscriber.encoding, channel.wireName, from, to, reason));
		} else if (reason === "slow" || reason === "lost") {
			subscriber.lost(subscription, "gap");
		}
	}
}

/** Ascending, as they were. */
function lastOfEachKey(entries: readonly Entry[]): readonly Entry[] {
	const latest = new Map<string | undefined, Entry>();
	for (const entry of entries) {
		latest.delete(entry.key);
		latest.set(entry.key, entry);
	}
	return [...latest.values()];
}

/** Tells a subscriber that the channel's continuity is lost. */
export function announceReset(subscription: Subscription): void {
	const { channel, subscriber } = subscription;
	const { encoding } = subscriber;
	if (!encoding.codec.enveloped) {
		// In a state channel the new value says it all.
		if (channel.source === undefined) {
			subscriber.lost(subscription, "reset");
		}
		return;
	}
	const position = formatPosition({ epoch: channel.epoch, offset: subscription.cursor });
	subscriber.send(encoding.frame(encoding.codec.encode({ channel: channel.wireName, event: "reset", position })));
}
