/**
 * One connection's subscription to one channel: a cursor into the channel's log. There is no queue: what has still to
 * be delivered is what lies between `cursor` and the channel's head.
 */
import type { SlowPolicy } from "@tidewire/protocol";
import type { Channel } from "./channel.ts";
import type { DeflateContext } from "./deflate-context.ts";
import type { Encoding } from "./encoding.ts";
import type { OwedValue } from "./values.ts";

/** What the hub needs of a connection. */
export interface Subscriber {
	readonly encoding: Encoding;
	/** The session that publications may exclude. */
	readonly session: string;
	/** Whether it takes no more for now: cursors stand still until it says `hub.unblocked`. */
	readonly blocked: boolean;
	/** What it has lately received compressed, where its encoding makes use of that. Owned by the hub. */
	context: DeflateContext | undefined;
	/** Which of the flush's queues it stands in. Owned by the flush. */
	queue: Queue;
	/** The last of its subscriptions whose channels have moved, in a ring by `Subscription.next`. Owned by the flush. */
	moved: Subscription | undefined;
	/** Its subscriptions. Owned by the hub. */
	subscriptions: readonly Subscription[];
	/** How many bytes it was sent that are still to be written. */
	readonly unwritten: number;
	/** Takes a frame to be written before any message that the flush has still to gather. */
	send(frame: Uint8Array): void;
	/** Writes what was sent, and then these frames, as one. */
	write(frames?: Uint8Array): void;
	/** The subscription went on without these messages, or began anew, and this connection's protocol cannot say so. */
	lost(subscription: Subscription, why: "gap" | "reset"): void;
}

/** `crowd`: of channels that take long to write. Whoever stands in none has nothing to be written. */
export type Queue = "none" | "crowd" | "first";

/**
 * - `joining`: its beginning has not been announced yet (`Hub.begin`); nothing is delivered.
 * - `restarted`: as well, and the channel has moved to another epoch meanwhile.
 * - `live`: at the head, or the flush has still to come by.
 * - `queued`: the flush has come by, and its connection is to be written to.
 * - `lagging`: left behind, because its connection was blocked or it fell off the log.
 * - `recovering`: as well, and a read of the broker's history on its behalf is under way.
 */
export type Phase = "joining" | "restarted" | "live" | "queued" | "lagging" | "recovering" | "ended";

export class Subscription {
	// In the order in which the flush needs them.
	/** Changed by `Channel.enter` only. */
	phase: Phase = "joining";
	/** Every entry up to this offset has been handed to the connection, or announced as not coming. */
	cursor: number;
	readonly subscriber: Subscriber;
	next: Subscription | undefined;
	readonly channel: Channel;
	readonly policy: SlowPolicy;
	/** Up to here everything is owed as it is, however slow the subscriber: what it missed while it was away. */
	owed: number;
	/** Its place in the channel's list. */
	index = -1;
	/** Only in a state channel: the value that it is owed before any entry. */
	value: OwedValue | undefined;

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
		return this.phase === "ended";
	}

	get begun(): boolean {
		return this.phase !== "joining" && this.phase !== "restarted";
	}
}
