/**
 * The channels of this node. It joins connections to channels and channels to the broker, and lets the flush carry what
 * the broker tells. It knows no sockets, no permissions and no wire protocol but by their seams.
 */
import type { Broker, BrokerListener, Entry, Position } from "@tidewire/broker";
import type { SlowPolicy } from "@tidewire/protocol";
import { announceReset, CatchUp } from "./catch-up.ts";
import { Channel } from "./channel.ts";
import { Flush } from "./flush.ts";
import { type Subscriber, Subscription } from "./subscription.ts";

export interface HubOptions {
	/** How many bytes of a channel's recent entries this node keeps for laggards before they must read the history. */
	readonly maxLogBytes: number;
	readonly nowMs: () => number;
	/** Told of a subscription that the broker could not serve; it must be ended by the receiver. */
	readonly unserved: (subscription: Subscription, cause: unknown) => void;
}

/** Where a new subscriber wants to begin. */
export type Start =
	| { readonly from: "now" }
	/** After a position; where that cannot be recovered, as `otherwise` says, or from now. */
	| { readonly from: "since"; readonly position: Position; readonly otherwise?: Start }
	| { readonly from: "rewind"; readonly messages: number }
	| { readonly from: "time"; readonly sinceMs: number };

export interface Joined {
	readonly subscription: Subscription;
	/** Where delivery starts: the next message is the one after. */
	readonly position: Position;
	/** Only with `since`: whether all that was missed is there. */
	readonly recovered: boolean | undefined;
}

const NOW: Start = { from: "now" };
const REWIND_PAGE = 1000;

export class Hub implements BrokerListener {
	readonly flush: Flush;
	readonly #broker: Broker;
	readonly #options: HubOptions;
	readonly #catchUp: CatchUp;
	readonly #channels = new Map<string, Channel>();

	constructor(broker: Broker, options: HubOptions) {
		this.#broker = broker;
		this.#options = options;
		this.#catchUp = new CatchUp(broker, options.nowMs, options.unserved);
		this.flush = new Flush(this.#catchUp, options.nowMs);
		broker.listen(this);
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
		if (channel.append(entries, this.#options.maxLogBytes)) {
			this.flush.channel(channel);
		}
	}

	reset(name: string, position: Position): void {
		const channel = this.#channels.get(name);
		if (channel !== undefined && channel.epoch !== position.epoch) {
			this.#moveTo(channel, position);
		}
	}

	/** The channel goes on in another epoch: every subscriber is told, and begins anew there. */
	#moveTo(channel: Channel, position: Position): void {
		channel.moveTo(position);
		for (const subscription of [...channel.subscriptions]) {
			subscription.cursor = position.offset;
			subscription.owed = position.offset;
			channel.caughtUp(subscription);
			if (subscription.begun) {
				announceReset(subscription);
			} else {
				subscription.moved = true;
			}
		}
	}

	// What connections ask for.

	find(subscriber: Subscriber, name: string): Subscription | undefined {
		return subscriber.subscriptions.find((subscription) => subscription.channel.name === name);
	}

	/**
	 * Subscribes. Rejects with the broker's error where it is not available. Nothing is delivered before `begin`, so that
	 * the reply comes first, however long the other channels of the same request take.
	 */
	async join(subscriber: Subscriber, name: string, start: Start, policy: SlowPolicy): Promise<Joined> {
		const channel = this.#open(name);
		try {
			// `opening` settles in order, so that a subscriber joins only once the channel knows where it stands.
			await channel.opening;
			let epoch: string;
			let found: { readonly offset: number; readonly recovered: boolean | undefined };
			do {
				epoch = channel.epoch;
				found = await this.#startOffset(channel, start);
				// An offset means nothing in another epoch, and the channel may have moved while it was looked for.
			} while (channel.epoch !== epoch);
			const { offset, recovered } = found;
			const subscription = new Subscription(channel, subscriber, policy, offset);
			channel.add(subscription);
			subscriber.subscriptions.push(subscription);
			if (offset < channel.head) {
				subscription.owed = channel.head;
				channel.fellBehind(subscription);
			}
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
		subscription.begun = true;
		if (subscription.moved) {
			announceReset(subscription);
		}
		if (subscription.cursor < subscription.channel.head) {
			this.flush.channel(subscription.channel);
		}
	}

	leave(subscription: Subscription): void {
		if (subscription.ended) {
			return;
		}
		const { channel, subscriber } = subscription;
		channel.remove(subscription);
		const at = subscriber.subscriptions.indexOf(subscription);
		if (at >= 0) {
			subscriber.subscriptions.splice(at, 1);
		}
		this.#closeIfUnused(channel);
	}

	/** The connection has ended: all of its subscriptions do. */
	leaveAll(subscriber: Subscriber): void {
		for (const subscription of subscriber.subscriptions) {
			subscription.channel.remove(subscription);
			this.#closeIfUnused(subscription.channel);
		}
		subscriber.subscriptions.length = 0;
	}

	/** The connection takes more again: what it missed meanwhile follows. */
	unblocked(subscriber: Subscriber): void {
		for (const subscription of [...subscriber.subscriptions]) {
			if (subscriber.blocked) {
				return;
			}
			if (subscription.lagging) {
				this.#catchUp.resume(subscription);
			}
		}
	}

	/** How many channels have subscribers here. */
	get size(): number {
		return this.#channels.size;
	}

	subscribers(name: string): number {
		return this.#channels.get(name)?.subscriptions.length ?? 0;
	}

	#open(name: string): Channel {
		const present = this.#channels.get(name);
		if (present !== undefined) {
			present.joining++;
			return present;
		}
		const channel = new Channel(name);
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
			this.#broker.unsubscribe(channel.name);
		}
	}

	async #startOffset(channel: Channel, start: Start): Promise<{ offset: number; recovered: boolean | undefined }> {
		switch (start.from) {
			case "now":
				return { offset: channel.head, recovered: undefined };
			case "since": {
				const { offset } = start.position;
				return (await this.#recoverable(channel, start.position))
					? { offset, recovered: true }
					: { ...(await this.#startOffset(channel, start.otherwise ?? NOW)), recovered: false };
			}
			case "rewind": {
				const page = await this.#broker.read(channel.name, { after: 0, limit: 1 });
				const offset = Math.max(page.tail, page.head - start.messages, 0);
				return { offset: Math.min(offset, channel.head), recovered: undefined };
			}
			case "time":
				return { offset: await this.#offsetAt(channel, start.sinceMs), recovered: undefined };
			default:
				return start satisfies never;
		}
	}

	/** Whether everything after a position is still there. */
	async #recoverable(channel: Channel, { epoch, offset }: Position): Promise<boolean> {
		if (epoch !== channel.epoch || offset > channel.head) {
			return false;
		}
		if (offset >= channel.log.tail) {
			return true;
		}
		const page = await this.#broker.read(channel.name, { after: offset, limit: 1 });
		// The channel may have moved to another epoch while the page was read.
		return page.epoch === epoch && channel.epoch === epoch && page.tail <= offset;
	}

	/** The offset before the first kept entry that is not older than `sinceMs`. */
	async #offsetAt(channel: Channel, sinceMs: number): Promise<number> {
		let before = channel.head + 1;
		for (;;) {
			const page = await this.#broker.read(channel.name, { after: before, limit: REWIND_PAGE, reverse: true });
			for (const entry of page.entries) {
				if (entry.timeMs < sinceMs) {
					return entry.offset;
				}
				before = entry.offset;
			}
			// A page may end early: only an empty one says that nothing older is kept.
			if (page.entries.length === 0) {
				return Math.min(before - 1, channel.head);
			}
		}
	}
}
