/**
 * A channel on this node: where its log stands, what of it is still to be written, and to whom. It exists while it has
 * subscribers here; there may be a hundred thousand of them, so it holds little until it moves.
 */
import type { Entry, Position } from "@tidewire/broker";
import type { GapReason } from "@tidewire/protocol";
import type { Encoding } from "./encoding.ts";
import { Log, type LogBudget } from "./log.ts";
import type { Segment } from "./segment.ts";
import type { Phase, Subscriber, Subscription } from "./subscription.ts";
import type { ValueSource } from "./values.ts";

/** The flush's way through a channel's subscribers: round and round, so that those who came last are not passed over. */
export interface Walk {
	/** Whose turn it is. */
	at: number;
	/** How many are still to be passed. */
	left: number;
	/** How many have been since all began to be offered what there was up to `head`. */
	passed: number;
	head: number;
}

/** What the publisher of an entry wants to know of it: that, and whom it is not for. */
export interface ReportWish extends Addressed {
	readonly offset: number;
	/** Where to tell it, in the broker's words. */
	readonly report: string;
}

const NOBODY: readonly Subscription[] = Object.freeze([]);

export class Channel {
	/** What the broker knows it by. */
	readonly name: string;
	/** What its subscribers know it by. */
	readonly wireName: string;
	/** Only in a state channel. */
	readonly source: ValueSource | undefined;
	epoch = "";
	/** The newest offset that this node has been told of. */
	head = 0;
	/** Undefined while there is nothing in it. */
	log: Log | undefined;
	/** While the flush has it on its list. */
	walk: Walk | undefined;
	/** How many subscriptions are not `live`: while there are any, the log is kept. */
	behind = 0;
	/** How many conflate: for them the last of each key stays when the log is cut. */
	conflating = 0;
	/** How many are about to subscribe: the channel stays open for them. */
	joining = 0;
	/** Settles when the broker has said where the channel stands; undefined once it has. */
	opening: Promise<void> | undefined;
	/** Entries of which a report is to be given once they are flushed. */
	wishes: ReportWish[] | undefined;
	#subscriptions = NOBODY as Subscription[];

	constructor(name: string, wireName: string, source?: ValueSource) {
		this.name = name;
		this.wireName = wireName;
		this.source = source;
	}

	get position(): Position {
		return { epoch: this.epoch, offset: this.head };
	}

	/** Everything after this offset is in the log. */
	get tail(): number {
		return this.log === undefined ? this.head : this.log.tail;
	}

	get subscriptions(): readonly Subscription[] {
		return this.#subscriptions;
	}

	/** Takes entries from the broker, skipping those already seen. Whether there was anything new. */
	append(entries: readonly Entry[], maxLogBytes: number, budget: LogBudget): boolean {
		const before = this.head;
		for (const entry of entries) {
			if (entry.offset <= this.head) {
				continue;
			}
			const previous = entry.previous ?? entry.offset - 1;
			this.log ??= new Log(this.head, budget);
			if (previous !== this.head) {
				// The broker told us of a later entry first: what lies between is read from its history, and nobody was slow.
				this.log.clear(previous);
				this.#owe(previous);
			}
			this.log.append(entry, maxLogBytes, this.conflating > 0);
			this.head = entry.offset;
			if (entry.report !== undefined) {
				this.wishes ??= [];
				this.wishes.push(wishOf(entry, entry.report));
			}
		}
		return this.head !== before;
	}

	/** The broker's log reaches to `head`, and this node was not told: what is missing is read from the history. */
	missed(head: number): void {
		this.log?.clear(head);
		this.log = undefined;
		this.head = head;
		this.#owe(head);
	}

	#owe(offset: number): void {
		for (const subscription of this.#subscriptions) {
			const { phase } = subscription;
			if (phase === "live" || phase === "queued" || phase === "joining") {
				subscription.owed = offset;
			}
		}
	}

	/** Goes on at a position of another epoch: nothing made of the old one is used any more. */
	moveTo(position: Position): void {
		this.epoch = position.epoch;
		this.head = position.offset;
		this.log?.clear(position.offset);
		this.log = undefined;
		this.wishes = undefined;
	}

	/** All have been written to who could be, up to this offset. */
	flushed(offset: number): void {
		this.log?.flushed(offset);
		this.#dropLogIfUnused();
	}

	#dropLogIfUnused(): void {
		if (this.behind === 0 && this.walk === undefined) {
			this.log?.clear(this.head);
			this.log = undefined;
		}
	}

	add(subscription: Subscription): void {
		if (this.log?.last !== undefined) {
			// Its cursor stands between two segments then, as those of the others do.
			this.log.last.sealed = true;
		}
		if (this.#subscriptions.length === 0) {
			// A literal: `push` to an empty array makes room for seventeen, and most channels have one subscriber.
			this.#subscriptions = [subscription];
			subscription.index = 0;
		} else {
			subscription.index = this.#subscriptions.push(subscription) - 1;
		}
		this.behind++;
		this.conflating += conflates(subscription);
	}

	remove(subscription: Subscription): void {
		const { index } = subscription;
		const last = this.#subscriptions.pop();
		if (last !== undefined && last !== subscription) {
			this.#subscriptions[index] = last;
			last.index = index;
			if (this.walk !== undefined) {
				// `last` may have been moved to where the walk has been already: all round again, those at the head cost nothing.
				this.walk.left = this.#subscriptions.length;
			}
		}
		this.conflating -= conflates(subscription);
		this.enter(subscription, "ended");
	}

	/** Moves a subscription to another phase. */
	enter(subscription: Subscription, phase: Phase): void {
		const was = subscription.phase;
		subscription.phase = phase;
		this.behind += (isBehind(phase) ? 1 : 0) - (isBehind(was) ? 1 : 0);
		if (this.behind === 0) {
			this.#dropLogIfUnused();
		}
	}
}

function isBehind(phase: Phase): boolean {
	return phase !== "live" && phase !== "ended";
}

/** In a state channel the last of each key is not what a slow subscriber gets. */
function conflates({ policy, channel }: Subscription): 0 | 1 {
	return policy === "conflate" && channel.source === undefined ? 1 : 0;
}

/** Without the entry itself, whose data may be long. */
function wishOf({ offset, timeMs, exclude, ttlMs }: Entry, report: string): ReportWish {
	return {
		offset,
		report,
		timeMs,
		...(exclude === undefined ? {} : { exclude }),
		...(ttlMs === undefined ? {} : { ttlMs }),
	};
}

/** What says whom an entry is for. */
type Addressed = Pick<Entry, "exclude" | "ttlMs" | "timeMs">;

/** Why an entry is not for this subscriber, if it is not. Neither reason is a loss. */
export function withheld(entry: Addressed, subscriber: Subscriber, nowMs: number): "own" | "expired" | undefined {
	if (entry.exclude !== undefined && entry.exclude === subscriber.session) {
		return "own";
	}
	return entry.ttlMs !== undefined && nowMs > entry.timeMs + entry.ttlMs ? "expired" : undefined;
}

/** A segment as this subscriber is to have it: nearly always the bytes that all others have. */
export function framesFor(
	subscriber: Subscriber,
	{ wireName }: Channel,
	segment: Segment,
	cursor: number,
	nowMs: number,
): Uint8Array {
	segment.sealed = true;
	if (
		segment.after < cursor ||
		(segment.special > 0 && segment.entries.some((entry) => withheld(entry, subscriber, nowMs) !== undefined))
	) {
		const { encoding } = subscriber;
		const left = segment.entries.filter(({ offset }) => offset > cursor);
		return Buffer.concat(
			left.map((entry) => {
				const why = withheld(entry, subscriber, nowMs);
				return why === undefined
					? encoding.frame(encoding.codec.encodeEntry(wireName, entry))
					: gapFrame(encoding, wireName, entry.offset, entry.offset, why);
			}),
		);
	}
	if (subscriber.context === undefined) {
		return segment.frames(wireName, subscriber.encoding);
	}
	const step = subscriber.context.step(wireName, segment);
	subscriber.context = step.next;
	return step.frames;
}

const NOTHING = new Uint8Array(0);

/** What tells a subscriber that these offsets will not come. Empty where its protocol has no words for it. */
export function gapFrame(encoding: Encoding, channel: string, from: number, to: number, reason: GapReason): Uint8Array {
	return encoding.codec.enveloped
		? encoding.frame(encoding.codec.encode({ channel, event: "gap", from, to, reason }))
		: NOTHING;
}
