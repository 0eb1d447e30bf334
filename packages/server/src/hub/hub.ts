/**
 * The channels of this node. It joins connections to channels and channels to the broker, and lets the flush carry what
 * the broker tells. It knows no sockets, no permissions and no wire protocol but by their seams.
 */
import type { Broker, BrokerListener, Entry, Position } from "@tidewire/broker";
import type { SlowPolicy } from "@tidewire/protocol";
import { announceReset, CatchUp } from "./catch-up.ts";
import { Channel, type ReportWish, withheld } from "./channel.ts";
import { Flush, type LaggardCare } from "./flush.ts";
import { LogBudget } from "./log.ts";
import { PositionCheck } from "./position-check.ts";
import { type Start, type StartOffset, startOffset } from "./start.ts";
import { type Subscriber, Subscription } from "./subscription.ts";
import type { ValueSource } from "./values.ts";

export interface HubOptions {
	/** How many bytes of a channel's recent entries this node keeps for laggards before they must read the history. */
	readonly maxLogBytes: number;
	/** The same of all channels together. */
	readonly maxLogsBytes: number;
	readonly nowMs: () => number;
	/** Told of a subscription that the broker could not serve; it must be ended by the receiver. */
	readonly unserved: (subscription: Subscription, cause: unknown) => void;
	/** Told of an entry whose publisher wants to know, once it is flushed here. `report`: whom to tell. */
	readonly reported: (report: string, counts: FanOut) => void;
}

/** What became of an entry on this node, by subscribers. */
export interface FanOut {
	readonly subscribers: number;
	/** Handed to their sockets. */
	readonly written: number;
	/** They get it when they can be written to again. */
	readonly lagging: number;
	/** They get it then unless a later one of its key has come. */
	readonly conflated: number;
	/** They do not get it: too slow, by the policy, or excluded, or it has expired. */
	readonly skipped: number;
}

export interface Joined {
	readonly subscription: Subscription;
	/** Where delivery starts: the next message is the one after. */
	readonly position: Position;
	/** Only with `since`: whether all that was missed is there. */
	readonly recovered: boolean | undefined;
}

/** A subscriber's list while it has none. */
export const NO_SUBSCRIPTIONS: readonly Subscription[] = Object.freeze([]);

export class Hub implements BrokerListener, LaggardCare {
	readonly flush: Flush;
	readonly #broker: Broker;
	readonly #options: HubOptions;
	readonly #catchUp: CatchUp;
	readonly #budget: LogBudget;
	readonly #channels = new Map<string, Channel>();
	readonly #positionCheck: PositionCheck;

	/** Whoever makes it tells it what the broker tells: it is a `BrokerListener`. */
	constructor(broker: Broker, options: HubOptions) {
		this.#broker = broker;
		this.#options = options;
		this.#budget = new LogBudget(options.maxLogsBytes);
		this.flush = new Flush(this, options.nowMs);
		this.#catchUp = new CatchUp(broker, options.nowMs, options.unserved);
		this.#positionCheck = new PositionCheck(broker, this.#channels, (channel, position) =>
			this.#goOnAt(channel, position),
		);
	}

	/** Looks whether the broker told this node everything, a few channels at a time. To be called about once a second. */
	checkPositions(): Promise<void> {
		return this.#positionCheck.round();
	}

	// What the broker tells us.

	entries(name: string, epoch: string, entries: readonly Entry[]): void {
		const channel = this.#channels.get(name);
		const first = entries[0];
		if (channel === undefined || first === undefined) {
			return;
		}
		if (channel.epoch !== epoch) {
			this.#moveTo(channel, { epoch, offset: first.previous ?? first.offset - 1 });
		}
		if (channel.append(entries, this.#options.maxLogBytes, this.#budget)) {
			this.flush.channel(channel);
			channel.source?.noticed(entries);
		}
	}

	reset(name: string, position: Position): void {
		const channel = this.#channels.get(name);
		if (channel !== undefined && channel.epoch !== position.epoch) {
			this.#moveTo(channel, position);
		}
	}

	/** The broker's log is at a position that this node was not told of. */
	#goOnAt(channel: Channel, position: Position): void {
		if (channel.epoch !== position.epoch) {
			this.#moveTo(channel, position);
		} else if (channel.head < position.offset) {
			channel.missed(position.offset);
			this.flush.channel(channel);
		}
	}

	/** Who comes from another node may know more than this one was told yet: then the broker is asked. */
	async #hearOf(channel: Channel, { epoch, offset }: Position): Promise<void> {
		const before = channel.epoch;
		if (epoch === before && offset <= channel.head) {
			return;
		}
		const page = await this.#broker.read(channel.name, { after: offset, limit: 0 });
		if (channel.epoch === before) {
			this.#goOnAt(channel, { epoch: page.epoch, offset: page.head });
		}
	}

	/** The channel goes on in another epoch: every subscriber is told, and begins anew there. */
	#moveTo(channel: Channel, position: Position): void {
		channel.moveTo(position);
		for (const subscription of [...channel.subscriptions]) {
			subscription.cursor = position.offset;
			subscription.owed = position.offset;
			if (!subscription.begun) {
				channel.enter(subscription, "restarted");
				subscription.value = channel.source && "state";
				continue;
			}
			if (subscription.phase === "lagging") {
				channel.enter(subscription, "live");
			}
			announceReset(subscription);
			if (channel.source !== undefined) {
				this.#oweState(subscription);
			}
		}
	}

	/** In a state channel: the value is to be sent, whatever was sent before. */
	#oweState(subscription: Subscription): void {
		const { channel, subscriber } = subscription;
		subscription.value = "state";
		if (subscription.phase === "recovering" || subscription.phase === "queued") {
			// Whoever is reading for it, or about to write to it, goes on from here.
			return;
		}
		channel.enter(subscription, "lagging");
		if (!subscriber.blocked) {
			this.#catchUp.resume(subscription);
		}
	}

	// What the flush leaves to us.

	resume(subscription: Subscription): void {
		this.#catchUp.resume(subscription);
	}

	flushed(channel: Channel, offset: number): void {
		const { wishes } = channel;
		if (wishes === undefined) {
			return;
		}
		const due = wishes.filter((wish) => wish.offset <= offset);
		channel.wishes = due.length === wishes.length ? undefined : wishes.slice(due.length);
		for (const wish of due) {
			this.#options.reported(wish.report, fanOut(channel, wish, this.#options.nowMs()));
		}
	}

	// What connections ask for.

	/** `wireName`: as the connection knows the channel. */
	find(subscriber: Subscriber, wireName: string): Subscription | undefined {
		return subscriber.subscriptions.find((subscription) => subscription.channel.wireName === wireName);
	}

	/**
	 * Subscribes. Rejects with the broker's error where it is not available. Nothing is delivered before `begin`, so that
	 * the reply comes first, however long the other channels of the same request take. `wireName`: what subscribers call
	 * the channel, the same for all of them. `source`: given for a state channel, whose value a subscriber gets that did not
	 * recover.
	 */
	async join(
		subscriber: Subscriber,
		name: string,
		start: Start,
		policy: SlowPolicy,
		wireName: string = name,
		source?: ValueSource,
	): Promise<Joined> {
		const channel = this.#open(name, wireName, source);
		try {
			// `opening` settles in order, so that a subscriber joins only once the channel knows where it stands.
			await channel.opening;
			if (start.from === "since") {
				await this.#hearOf(channel, start.position);
			}
			let epoch: string;
			let found: StartOffset;
			do {
				epoch = channel.epoch;
				found = await startOffset(this.#broker, channel, start);
				// An offset means nothing in another epoch, and the channel may have moved while it was looked for.
			} while (channel.epoch !== epoch);
			const { offset, recovered } = found;
			const subscription = new Subscription(channel, subscriber, policy, offset);
			subscription.owed = channel.head;
			subscription.value = found.value;
			channel.add(subscription);
			subscriber.subscriptions =
				subscriber.subscriptions.length === 0 ? [subscription] : [...subscriber.subscriptions, subscription];
			return { subscription, position: { epoch, offset }, recovered };
		} finally {
			channel.joining--;
			this.#closeIfUnused(channel);
		}
	}

	/** The subscription has been announced to its subscriber: delivery begins. */
	begin(subscription: Subscription): void {
		if (subscription.ended || subscription.begun) {
			return;
		}
		const { channel } = subscription;
		if (subscription.phase === "restarted") {
			announceReset(subscription);
			if (subscription.ended) {
				return;
			}
		}
		if (subscription.value !== undefined) {
			channel.enter(subscription, "lagging");
			if (subscription.subscriber.blocked) {
				// Read anew when it is wanted, so that nobody makes this node keep values.
				subscription.value = "state";
			} else {
				this.#catchUp.resume(subscription);
			}
			return;
		}
		if (subscription.cursor >= channel.head) {
			channel.enter(subscription, "live");
			return;
		}
		// What came while others of the same request were asked for is not missed by being slow.
		subscription.owed = channel.head;
		channel.enter(subscription, "lagging");
		if (!subscription.subscriber.blocked) {
			this.#catchUp.resume(subscription);
		}
	}

	leave(subscription: Subscription): void {
		if (subscription.ended) {
			return;
		}
		const { channel, subscriber } = subscription;
		channel.remove(subscription);
		subscriber.subscriptions = subscriber.subscriptions.filter((other) => other !== subscription);
		this.#closeIfUnused(channel);
	}

	/** The connection has ended: all of its subscriptions do. */
	leaveAll(subscriber: Subscriber): void {
		for (const subscription of subscriber.subscriptions) {
			subscription.channel.remove(subscription);
			this.#closeIfUnused(subscription.channel);
		}
		subscriber.subscriptions = NO_SUBSCRIPTIONS;
	}

	/** The connection takes more again: what it missed meanwhile follows. */
	unblocked(subscriber: Subscriber): void {
		for (const subscription of subscriber.subscriptions) {
			if (subscriber.blocked) {
				return;
			}
			if (subscription.phase === "lagging") {
				this.#catchUp.resume(subscription);
			}
		}
	}

	/** How many channels have subscribers here. */
	get size(): number {
		return this.#channels.size;
	}

	/** What all logs hold for laggards, in bytes. */
	get logBytes(): number {
		return this.#budget.bytes;
	}

	subscribers(name: string): number {
		return this.#channels.get(name)?.subscriptions.length ?? 0;
	}

	#open(name: string, wireName: string, source: ValueSource | undefined): Channel {
		const present = this.#channels.get(name);
		if (present !== undefined) {
			present.joining++;
			return present;
		}
		const channel = new Channel(name, wireName, source);
		channel.joining = 1;
		this.#channels.set(name, channel);
		channel.opening = this.#broker.subscribe(name).then((position) => {
			channel.opening = undefined;
			// Entries may have been told before this resolved: then the log already reaches further.
			if (channel.epoch !== position.epoch || channel.head < position.offset) {
				channel.moveTo(position);
			}
		});
		return channel;
	}

	#closeIfUnused(channel: Channel): void {
		if (channel.subscriptions.length === 0 && channel.joining === 0 && this.#channels.get(channel.name) === channel) {
			this.#channels.delete(channel.name);
			channel.log?.clear(channel.head);
			this.#broker.unsubscribe(channel.name);
		}
	}
}

function fanOut(channel: Channel, wish: ReportWish, nowMs: number): FanOut {
	const counts = { subscribers: 0, written: 0, lagging: 0, conflated: 0, skipped: 0 };
	for (const { cursor, presentPolicy, begun, subscriber } of channel.subscriptions) {
		if (!begun) {
			continue;
		}
		counts.subscribers++;
		if (withheld(wish, subscriber, nowMs) !== undefined) {
			// Whether its cursor has passed it or not.
			counts.skipped++;
		} else if (cursor >= wish.offset) {
			counts.written++;
		} else if (presentPolicy === "conflate") {
			counts.conflated++;
		} else if (presentPolicy === "skip") {
			counts.skipped++;
		} else {
			counts.lagging++;
		}
	}
	return counts;
}
