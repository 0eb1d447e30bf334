/** All channels of a client: who joins and leaves, and asking the server for those that are due, many at a time. */
import type { WireError } from "@tidewire/protocol";
import { TidewireError } from "./error.ts";
import type { Answered, Question } from "./link.ts";
import {
	type ChannelServerMessage,
	createSubscription,
	type Listener,
	type Start,
	type Subscription,
	type SubscriptionOwner,
	type Terms,
} from "./subscription.ts";

export interface SubscriptionsOwner extends Omit<SubscriptionOwner, "unsubscribe"> {
	/** Asks on the present connection; where there is none, nothing happens. */
	ask(question: Question, answered?: Answered): void;
	isOpen(): boolean;
	/** Something may be due earlier than before. */
	arm(): void;
}

export interface Subscriptions {
	get(channel: string): Subscription | undefined;
	/** Returns how to leave. Throws `bad_request` where `start` comes too late or makes no sense. */
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
	const unsubscribe = (channel: string): void => owner.ask({ type: "unsubscribe", channel });

	const isHeld = (subscription: Subscription): boolean => channels.get(subscription.channel) === subscription;

	/** After something that may have ended a subscription, or put it off. */
	function settle(subscription: Subscription): void {
		if (subscription.state === "ended" && isHeld(subscription)) {
			channels.delete(subscription.channel);
		}
		if (subscription.dueAt < earliest) {
			earliest = subscription.dueAt;
			owner.arm();
		}
	}

	function askDue(): void {
		const now = owner.now();
		if (!owner.isOpen() || earliest > now) {
			return;
		}
		const together: Subscription[] = [];
		earliest = Number.POSITIVE_INFINITY;
		for (const subscription of channels.values()) {
			if (subscription.dueAt <= now) {
				if (subscription.state === "subscribing") {
					owner.fault(new TidewireError("protocol", `${subscription.channel}: no answer in time`));
					return;
				}
				const terms = subscription.asked();
				if (terms) {
					ask([subscription], terms);
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

	function ask(due: readonly Subscription[], terms?: Terms): void {
		// A listener may have left when it was told that it is being subscribed.
		const asked = due.filter(isHeld);
		const targets = asked.map(({ channel, position }) => ({ channel, since: position ?? null }));
		const many = targets.length > 1;
		if (targets.length === 0) {
			return;
		}
		owner.ask({ type: "subscribe", targets, many, ...terms }, (ack, refusal) => {
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
				earliest = 0;
				// What joins in one turn is asked for together.
				queueMicrotask(askDue);
			} else if ((start.since ?? start.rewind ?? start.durable) !== undefined) {
				throw new TidewireError("bad_request", `${channel}: since, rewind, durable are the first subscriber's`);
			}
			const joined = subscription;
			const leave = joined.add(listener);
			return () => {
				if (leave() && isHeld(joined)) {
					channels.delete(channel);
					owner.positions?.delete(channel);
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
			earliest = 0;
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
