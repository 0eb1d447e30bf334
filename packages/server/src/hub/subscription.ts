/**
 * One connection's subscription to one channel: a cursor into the channel's log. There is no queue: what has still to
 * be delivered is what lies between `cursor` and the channel's head.
 */
import type { SlowPolicy } from "@tidewire/protocol";
import type { Channel } from "./channel.ts";
import type { Encoding } from "./encoding.ts";
import type { Pending } from "./pending.ts";

/** What the hub needs of a connection. */
export interface Subscriber {
	readonly encoding: Encoding;
	/** The session that publications may exclude. */
	readonly session: string;
	/** Whether it takes no more for now: cursors stand still until it says `hub.unblocked`. */
	readonly blocked: boolean;
	/** What the flush will write to it. Set by the flush, taken by `send` and `write`. */
	pending: Pending | undefined;
	/** Its subscriptions, in the order made. Owned by the hub. */
	readonly subscriptions: Subscription[];
	/** Takes a frame to be written with the next flush, after what is pending and before any slice that is still to come. */
	send(frame: Uint8Array): void;
	/** Writes what was sent and what is pending, in this order. */
	write(): void;
	/** The subscription went on without these messages, or began anew, and this connection's protocol cannot say so. */
	lost(subscription: Subscription, why: "gap" | "reset"): void;
}

export class Subscription {
	readonly channel: Channel;
	readonly subscriber: Subscriber;
	readonly policy: SlowPolicy;
	/** Every entry up to this offset has been handed to the connection, or announced as not coming. */
	cursor: number;
	/** Up to here everything is owed as it is, however slow the subscriber: what it missed while it was away. */
	owed: number;
	/** Its place in the channel's list; −1 once it has ended. */
	index = -1;
	/** Behind the head because its connection was blocked, or fell off the log. */
	lagging = false;
	/** A read of the broker's history on its behalf is under way. */
	recovering = false;
	/** Whether its beginning has been announced (`Hub.begin`): before, nothing is delivered. */
	begun = false;
	/** The channel moved to another epoch before the subscription began. */
	moved = false;

	constructor(channel: Channel, subscriber: Subscriber, policy: SlowPolicy, cursor: number) {
		this.channel = channel;
		this.subscriber = subscriber;
		this.policy = policy;
		this.cursor = cursor;
		this.owed = cursor;
	}

	/** The policy for what comes next: that for slow consumers begins where recovery ends. */
	get presentPolicy(): SlowPolicy {
		return this.cursor < this.owed ? "catch-up" : this.policy;
	}

	get ended(): boolean {
		return this.index < 0;
	}
}
