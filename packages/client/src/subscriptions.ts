/** All channels of a client: who joins and leaves, and asking the server for those that are due, many at a time. */
import type { ClientMessage, WireError } from "@tidewire/protocol";
import type { SubscribeOptions } from "./channel.ts";
import { TidewireError } from "./error.ts";
import type { Answered } from "./link.ts";
import {
	type ChannelServerMessage,
	createSubscription,
	type Listener,
	type Start,
	type Subscription,
	type SubscriptionOwner,
} from "./subscription.ts";

/** A message that can be answered, before it has its id. */
export type Question = ClientMessage extends infer M
	? M extends { readonly type: "bare" }
		? never
		: Omit<M, "id">
	: never;

export interface SubscriptionsOwner extends Omit<SubscriptionOwner, "unsubscribe"> {
	/** Asks on the present connection; where there is none, nothing happens. */
	ask(question: Question, answered?: Answered): void;
	isOpen(): boolean;
	/** Something may be due earlier than before. */
	arm(): void;
}

export interface Subscriptions {
	get(channel: string): Subscription | undefined;
	/** Returns how to leave. Throws `bad_request` where `since` or `rewind` come too late or make no sense. */
	join(channel: string, listener: Listener, start: Start): () => void;
	/** When `askDue` has something to do. */
	dueAt(): number;
	/** There is a connection: asks for what waits, and finds what was asked for and never answered. */
	askDue(): void;
	received(message: ChannelServerMessage): void;
	disconnected(): void;
	end(error: TidewireError | undefined): void;
}

/** One channel's answer to `subscribe`, as far as the codec has not checked it. */
type Row = { readonly [Field in "channel" | "position" | "recovered"]?: unknown } & { readonly error?: WireError };

/** The protocol's bound on one `subscribe`. */
const SUBSCRIBE_BATCH = 100;

export function createSubscriptions(owner: SubscriptionsOwner): Subscriptions {
	const channels = new Map<string, Subscription>();
	/** No later than the first moment when one is due. */
	let earliest = Number.POSITIVE_INFINITY;
	let scheduled = false;
	const unsubscribe = (channel: string): void => owner.ask({ type: "unsubscribe", channel });

	/** After something that may have ended a subscription, or put it off. */
	function settle(subscription: Subscription): void {
		if (subscription.state === "ended" && channels.get(subscription.channel) === subscription) {
			channels.delete(subscription.channel);
		}
		if (subscription.dueAt < earliest) {
			earliest = subscription.dueAt;
			owner.arm();
		}
	}

	/** What joins in one turn is asked for together. */
	function askSoon(): void {
		if (!scheduled) {
			scheduled = true;
			queueMicrotask(() => {
				scheduled = false;
				askDue();
			});
		}
	}

	function askDue(): void {
		if (!owner.isOpen()) {
			return;
		}
		const now = owner.now();
		const together: Subscription[] = [];
		earliest = Number.POSITIVE_INFINITY;
		for (const subscription of channels.values()) {
			if (subscription.dueAt <= now) {
				if (subscription.state === "subscribing") {
					owner.fault(new TidewireError("protocol", `${subscription.channel}: subscribe was not answered`));
					return;
				}
				const rewind = subscription.asked();
				if (rewind !== undefined) {
					ask([subscription], rewind);
				} else {
					together.push(subscription);
				}
			}
			earliest = Math.min(earliest, subscription.dueAt);
		}
		while (together.length > 0) {
			ask(together.splice(0, SUBSCRIBE_BATCH));
		}
		owner.arm();
	}

	function ask(asked: readonly Subscription[], rewind?: SubscribeOptions["rewind"]): void {
		const targets = asked.map(({ channel, position }) => ({ channel, since: position ?? null }));
		const many = targets.length > 1;
		const from = typeof rewind === "number" ? { messages: rewind } : rewind;
		owner.ask({ type: "subscribe", targets, many, ...(from && { rewind: from }) }, (ack, refusal) => {
			const rows: readonly Row[] = many && Array.isArray(ack?.channels) ? ack.channels : [ack ?? {}];
			for (const subscription of asked) {
				const row = many ? rows.find((one) => one?.channel === subscription.channel) : rows[0];
				const error = refusal ?? row?.error;
				if (error === undefined) {
					subscription.answered(row?.position, row?.recovered);
				} else {
					subscription.refused(error);
				}
				settle(subscription);
			}
		});
	}

	return {
		get: (channel) => channels.get(channel),
		join(channel, listener, start) {
			let subscription = channels.get(channel);
			if (subscription === undefined) {
				subscription = createSubscription(channel, start, { ...owner, unsubscribe });
				channels.set(channel, subscription);
				askSoon();
			} else if (start.since !== undefined || start.rewind !== undefined) {
				throw new TidewireError("bad_request", `${channel} is subscribed already: too late for since and rewind`);
			}
			const joined = subscription;
			const leave = joined.add(listener);
			return () => {
				if (leave() && channels.get(channel) === joined) {
					channels.delete(channel);
					if (joined.state !== "waiting") {
						unsubscribe(channel);
					}
				}
			};
		},
		dueAt: () => earliest,
		askDue,
		received(message) {
			const subscription = channels.get(message.channel);
			if (subscription !== undefined) {
				subscription.received(message);
				settle(subscription);
			}
		},
		disconnected() {
			for (const subscription of channels.values()) {
				subscription.disconnected();
			}
		},
		end(error) {
			for (const subscription of channels.values()) {
				subscription.end(error);
			}
			channels.clear();
		},
	};
}
