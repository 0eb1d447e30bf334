/**
 * One channel's subscription, shared by all that listen to the channel in this client: where it is in the log, whether
 * the server serves it, and who is told. It decides when to ask again; `subscriptions.ts` does the asking.
 */
import {
	type ChannelMessage,
	formatPosition,
	type ServerMessage,
	type SubscribeMessage,
	type WireError,
} from "@tidewire/protocol";
import { backoffMs } from "./backoff.ts";
import type { ChannelState, Gap, Message, Reset, SubscribeOptions } from "./channel.ts";
import type { ClientEvents, Positions } from "./client.ts";
import { afterGap, afterMessage, type Place, placeAt } from "./continuity.ts";
import { fromWire, TidewireError } from "./error.ts";

/** From where a subscription begins, and how. */
export type Start = Pick<SubscribeOptions, "since" | "rewind" | "durable">;

/** What is asked for beside the channel and its position. */
export type Terms = Pick<SubscribeMessage, "rewind" | "durable">;

/** Whoever wants a channel's messages. */
export interface Listener extends Omit<SubscribeOptions, keyof Start> {
	onMessage(message: Message<unknown>): void;
	/** Nothing more will come. Without an error: the client was closed by its owner. */
	onEnd?(error: TidewireError | undefined): void;
}

/** What a subscription needs of the client around it. */
export interface SubscriptionOwner {
	/** Where channels were in a client before this one. */
	readonly positions: Positions | undefined;
	now(): number;
	random(): number;
	/** Tells the client's own listeners; false: there is none. */
	emit<E extends "gap" | "reset">(event: E, ...told: Parameters<ClientEvents[E]>): boolean;
	error(error: TidewireError): void;
	/** Runs the application's code; what it throws is its own business. */
	call(callback: () => void): void;
	/** The server is to forget this channel. */
	unsubscribe(channel: string): void;
	/** The server broke the rules in a way that the connection does not survive. */
	fault(error: TidewireError): void;
}

export type ChannelServerMessage = Extract<ServerMessage, { channel: string; ack?: never }>;

export interface Subscription {
	readonly channel: string;
	readonly state: ChannelState;
	readonly position: string | undefined;
	/** While `waiting`, when to ask; while `subscribing`, when the answer is overdue; else never. */
	readonly dueAt: number;
	/** Tells one more; returns how to stop, which says whether that was the last one. */
	add(listener: Listener): () => boolean;
	/** It is being asked for, from `position`; returns what else is asked, if anything: then for no other channel with it. */
	asked(): Terms | undefined;
	/** The server's answer, not yet checked. */
	answered(position: unknown, recovered: unknown): void;
	/** The server does not serve it, now (`retryable`) or ever. */
	refused(error: WireError): void;
	received(message: ChannelServerMessage): void;
	/** The connection is gone, and with it the server's side of the subscription. */
	disconnected(): void;
	/** Nothing more will come. Without an error: because the client's owner wants it so. */
	end(error: TidewireError | undefined): void;
}

/** The longest wait before a channel is asked for again, where the server asks for none. */
const MAX_BACKOFF_MS = 30_000;

/** A server that does not answer `subscribe` in this time is not working. */
const ANSWER_MS = 30_000;

/** A subscription that went well for so long starts its backoff anew. */
const STABLE_MS = 10_000;

/** Throws `bad_request` where `since` is no position. */
export function createSubscription(channel: string, start: Start, owner: SubscriptionOwner): Subscription {
	const { since, rewind, durable } = start;
	const { positions } = owner;
	/** Replaced, never changed: a listener may leave while all are told. */
	let listeners: readonly Listener[] = [];
	let state: ChannelState = "waiting";
	let place = placeAt(since);
	let attempt = 0;
	let answeredAt = 0;
	let dueAt = 0;
	if (since != null && place === undefined) {
		throw new TidewireError("bad_request", `${since}: no position`);
	}

	function tell(say: (listener: Listener) => void): void {
		for (const listener of listeners) {
			// One that left because of what another was told hears nothing more.
			if (listeners.includes(listener)) {
				owner.call(() => say(listener));
			}
		}
	}

	function enter(next: ChannelState): void {
		if (next !== state) {
			state = next;
			tell((listener) => listener.onState?.(next));
		}
	}

	function tellError(error: TidewireError): void {
		if (!listeners.every((listener) => listener.onError ?? (error.retryable ? undefined : listener.onEnd))) {
			owner.error(error);
		}
		tell((listener) => listener.onError?.(error));
	}

	/** Where somebody does not listen for a loss, it becomes the client's error: never silent. */
	function tellLoss(hook: "onGap" | "onReset", isLoss: boolean, text: string): void {
		if (isLoss && !listeners.every((listener) => listener[hook])) {
			owner.error(new TidewireError("continuity_lost", `${channel}: ${text}`));
		}
	}

	function tellGap(gap: Gap): void {
		const { from, to, reason } = gap;
		const heard = owner.emit("gap", channel, gap);
		tellLoss("onGap", !heard && (reason === "slow" || reason === "lost"), `missing ${from} to ${to} (${reason})`);
		tell((listener) => listener.onGap?.(gap));
	}

	function tellReset(reset: Reset): void {
		tellLoss("onReset", !owner.emit("reset", channel, reset), `missing before ${reset.position}`);
		tell((listener) => listener.onReset?.(reset));
	}

	/** Trouble that may pass. */
	function retryLater(error: TidewireError): void {
		const now = owner.now();
		attempt = state === "subscribed" && now - answeredAt >= STABLE_MS ? 0 : attempt + 1;
		dueAt = now + backoffMs(MAX_BACKOFF_MS, attempt, owner.random(), error.retryAfter);
		enter("waiting");
		tellError(error);
	}

	/** A message makes no sense here: subscribe anew, from what was delivered. */
	function fault(text: string): void {
		owner.unsubscribe(channel);
		retryLater(new TidewireError("protocol", `${channel}: ${text}`, { position: position() }));
	}

	/** Goes on to where a message has led, unless that is nowhere new, or nowhere. */
	function moved(next: Place | "duplicate" | { fault: string }): boolean {
		if (next === "duplicate") {
			return false;
		}
		if ("fault" in next) {
			fault(next.fault);
			return false;
		}
		place = next;
		return true;
	}

	/** Behind what was delivered: whoever dies in between sees it again. Who has left is forgotten. */
	const keep = (): unknown => listeners.length > 0 && positions?.set(channel, position() as string);
	const position = (): string | undefined => place && formatPosition(place);

	/** A message, or a state channel's value: `@tidewire/client/state` makes one of the other. */
	function deliver(message: ChannelServerMessage): void {
		const { prev: _, ...rest } = message as ChannelMessage;
		const told = { ...rest, position: position() } as Message<unknown>;
		tell((listener) => listener.onMessage(told));
	}

	const subscription: Subscription = {
		channel,
		get state() {
			return state;
		},
		get position() {
			return position();
		},
		get dueAt() {
			return state === "waiting" || state === "subscribing" ? dueAt : Number.POSITIVE_INFINITY;
		},
		add(listener) {
			listeners = [...listeners, listener];
			return () => {
				listeners = listeners.filter((other) => other !== listener);
				return listeners.length === 0;
			};
		},
		asked() {
			if (since === undefined) {
				place ??= placeAt(positions?.get(channel));
			}
			dueAt = owner.now() + ANSWER_MS;
			enter("subscribing");
			// What is undefined does not travel.
			const back = place ? undefined : typeof rewind === "number" ? { messages: rewind } : rewind;
			return (durable ?? back) ? ({ durable, rewind: back } as Terms) : undefined;
		},
		answered(answer, recovered) {
			if (state !== "subscribing") {
				return;
			}
			const before = place;
			const next = placeAt(answer);
			if (next === undefined) {
				owner.fault(new TidewireError("protocol", `${channel}: no position`));
				return;
			}
			place = next;
			answeredAt = owner.now();
			enter("subscribed");
			const position = formatPosition(next);
			keep();
			// A durable consumer may be further: another of its devices has received what was missed here.
			const goesOn = recovered === true && (durable !== undefined || position === (before && formatPosition(before)));
			if (before !== undefined && !goesOn) {
				tellReset({ position, reason: before.epoch === next.epoch ? "not_recovered" : "epoch" });
			}
		},
		refused(wire) {
			const error = fromWire(wire);
			if (error.retryable) {
				retryLater(error);
			} else {
				subscription.end(error);
			}
		},
		received(message) {
			// Before the answer to `subscribe`, whatever comes belongs to a subscription that we gave up.
			if (state !== "subscribed" || place === undefined) {
				return;
			}
			const before = place.offset;
			if (!("event" in message)) {
				if (moved(afterMessage(place, message.offset, message.prev))) {
					deliver(message);
				}
			} else if (message.event === "gap" || message.event === "conflated") {
				const { event, from, to } = message;
				if (moved(afterGap(place, event, from, to))) {
					tellGap({ from: Math.max(from, before + 1), to, reason: event === "gap" ? message.reason : event });
				}
			} else if (message.event === "reset" || message.event === "state") {
				if (moved(placeAt(message.position) ?? { fault: "no position" })) {
					if (message.event === "state") {
						deliver(message);
					} else {
						tellReset({ position: message.position, reason: "epoch" });
					}
				}
			} else if (message.event === "unsubscribed") {
				subscription.refused(message.error);
				return;
			} else {
				// A receiver ignores what it does not know.
				tell((listener) => listener.onPresence?.(message));
				return;
			}
			keep();
		},
		disconnected() {
			dueAt = 0;
			enter("waiting");
		},
		end(error) {
			enter("ended");
			if (error !== undefined) {
				tellError(error);
			}
			tell((listener) => listener.onEnd?.(error));
		},
	};
	return subscription;
}
