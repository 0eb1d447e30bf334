/**
 * One channel's subscription, shared by all that listen to the channel in this client: where it is in the log, whether
 * the server serves it, and who is told. It decides when to ask again; `connect.ts` does the asking. No socket, no
 * clock.
 */
import { type ChannelMessage, formatPosition, type ServerMessage, type WireError } from "@tidewire/protocol";
import { type Backoff, backoffMs } from "./backoff.ts";
import type { ChannelState, Gap, Message, Reset, SubscribeOptions } from "./channel.ts";
import type { ClientEvents } from "./client.ts";
import { afterGap, afterMessage, type Place, placeAt } from "./continuity.ts";
import { fromWire, TidewireError } from "./error.ts";

/** Whoever wants a channel's messages. */
export interface Listener extends Omit<SubscribeOptions, "since" | "rewind"> {
	onMessage(message: Message<unknown>): void;
	/** Nothing more will come. Without an error: the client was closed by its owner. */
	onEnd?(error: TidewireError | undefined): void;
}

/** What a subscription tells the client besides its listeners. */
export interface SubscriptionOwner {
	/** Tells the client's own listeners; false: there is none. */
	emit<E extends "gap" | "reset">(event: E, ...told: Parameters<ClientEvents[E]>): boolean;
	error(error: TidewireError): void;
	/** Runs the application's code; what it throws is its own business. */
	call(callback: () => void): void;
}

/** What to ask the server for. */
export interface Wanted {
	readonly since: string | null;
	readonly rewind: SubscribeOptions["rewind"];
}

const BACKOFF: Backoff = { baseMs: 1_000, maxMs: 30_000 };

/** A server that does not answer `subscribe` in this time is not working. */
const ANSWER_MS = 30_000;

/** A subscription that went well for so long starts its backoff anew. */
const STABLE_MS = 10_000;

export class Subscription {
	readonly channel: string;
	readonly #owner: SubscriptionOwner;
	/** Replaced, never changed: a listener may leave while all are told. */
	#listeners: readonly Listener[] = [];
	#state: ChannelState = "waiting";
	#place: Place | undefined;
	readonly #rewind: SubscribeOptions["rewind"];
	#attempt = 0;
	#answeredAt = Number.NEGATIVE_INFINITY;
	#askedAt = 0;
	/** Not to be asked for before this. */
	#retryAt = 0;

	/** Throws `bad_request` where `since` is no position. */
	constructor(channel: string, options: Pick<SubscribeOptions, "since" | "rewind">, owner: SubscriptionOwner) {
		this.channel = channel;
		this.#owner = owner;
		this.#rewind = options.rewind;
		if (options.since !== undefined) {
			this.#place = placeAt(options.since);
			if (this.#place === undefined) {
				throw new TidewireError("bad_request", `since is ${JSON.stringify(options.since)}, which is no position`);
			}
		}
	}

	get state(): ChannelState {
		return this.#state;
	}

	get position(): string | undefined {
		return this.#place && formatPosition(this.#place);
	}

	/** When it is to be asked for; undefined where it need not be. */
	get askAt(): number | undefined {
		return this.#state === "waiting" ? this.#retryAt : undefined;
	}

	/** When it should have been answered; undefined where no answer is due. */
	get overdueAt(): number | undefined {
		return this.#state === "subscribing" ? this.#askedAt + ANSWER_MS : undefined;
	}

	get isEmpty(): boolean {
		return this.#listeners.length === 0;
	}

	add(listener: Listener): void {
		this.#listeners = [...this.#listeners, listener];
	}

	remove(listener: Listener): void {
		this.#listeners = this.#listeners.filter((other) => other !== listener);
	}

	/** It is being asked for. */
	asked(now: number): Wanted {
		this.#askedAt = now;
		this.#enter("subscribing");
		return { since: this.position ?? null, rewind: this.#rewind };
	}

	/** The server serves it. Returns a fault where the answer makes no sense. */
	answered(position: unknown, recovered: unknown, now: number): TidewireError | undefined {
		if (this.#state !== "subscribing") {
			return undefined;
		}
		const place = placeAt(position);
		if (place === undefined) {
			return this.#fault(`the answer to subscribe has no position`);
		}
		const before = this.#place;
		this.#place = place;
		this.#answeredAt = now;
		this.#enter("subscribed");
		if (before !== undefined && !(recovered === true && position === formatPosition(before))) {
			this.#tellReset(formatPosition(place), before.epoch === place.epoch ? "not_recovered" : "epoch");
		}
		return undefined;
	}

	/** The server does not serve it, now (`retryable`) or ever. */
	refused(wire: WireError, now: number, random: number): void {
		const error = fromWire(wire);
		if (this.#state === "ended") {
			return;
		}
		if (error.retryable) {
			this.#later(now, random, error.retryAfter);
			this.#tellError(error);
		} else {
			this.close(error);
		}
	}

	/** The connection is gone, and with it the server's side of the subscription. */
	disconnected(): void {
		this.#retryAt = 0;
		if (this.#state !== "ended") {
			this.#enter("waiting");
		}
	}

	/** Nothing more will come. Without an error: because the client's owner wants it so. */
	close(error: TidewireError | undefined): void {
		this.#enter("ended");
		if (error !== undefined) {
			this.#tellError(error);
		}
		this.#tell((listener) => listener.onEnd?.(error));
	}

	/** A message of this channel. Returns a fault that calls for subscribing anew; listeners have been told of it. */
	received(
		message: Extract<ServerMessage, { channel: string }>,
		now: number,
		random: number,
	): TidewireError | undefined {
		// Before the answer to `subscribe`, whatever comes belongs to a subscription that we gave up.
		if (this.#state !== "subscribed" || this.#place === undefined) {
			return undefined;
		}
		const fault =
			"event" in message ? this.#event(message, this.#place, now, random) : this.#message(message, this.#place);
		if (fault !== undefined) {
			this.#later(now, random);
			this.#tellError(fault);
		}
		return fault;
	}

	#message(message: { offset: number; prev?: number }, place: Place): TidewireError | undefined {
		const next = afterMessage(place, message.offset, message.prev);
		if (next === "duplicate") {
			return undefined;
		}
		if ("fault" in next) {
			return this.#fault(next.fault);
		}
		if (!("data" in message)) {
			return this.#fault("a message has no data that this version can read");
		}
		const { prev: _, ...rest } = message as ChannelMessage;
		this.#place = next;
		const told: Message<unknown> = { ...rest, position: formatPosition(next) };
		this.#tell((listener) => listener.onMessage(told));
		return undefined;
	}

	#event(
		message: Extract<ServerMessage, { event: string }>,
		place: Place,
		now: number,
		random: number,
	): TidewireError | undefined {
		switch (message.event) {
			case "gap":
			case "conflated": {
				const { event, from, to } = message;
				const next = afterGap(place, event, from, to);
				if (next === "duplicate") {
					return undefined;
				}
				if ("fault" in next) {
					return this.#fault(next.fault);
				}
				this.#place = next;
				const reason = message.event === "gap" ? message.reason : "conflated";
				this.#tellGap({ from: Math.max(from, place.offset + 1), to, reason });
				return undefined;
			}
			case "reset": {
				const next = placeAt(message.position);
				if (next === undefined) {
					return this.#fault("a reset has no position");
				}
				this.#place = next;
				this.#tellReset(message.position, "epoch");
				return undefined;
			}
			case "unsubscribed":
				this.refused(message.error, now, random);
				return undefined;
			default:
				// State channels and presence come later; a receiver ignores what it does not know.
				return undefined;
		}
	}

	#later(now: number, random: number, hint?: number): void {
		this.#attempt = now - this.#answeredAt >= STABLE_MS && this.#state === "subscribed" ? 0 : this.#attempt + 1;
		this.#retryAt = now + backoffMs(BACKOFF, this.#attempt, random, hint);
		this.#enter("waiting");
	}

	#fault(text: string): TidewireError {
		return new TidewireError("protocol", `${this.channel}: ${text}`, { position: this.position });
	}

	#enter(state: ChannelState): void {
		if (state !== this.#state) {
			this.#state = state;
			this.#tell((listener) => listener.onState?.(state));
		}
	}

	#tellGap(gap: Gap): void {
		const loss = gap.reason === "slow" || gap.reason === "lost";
		const heard = this.#owner.emit("gap", this.channel, gap) || !loss;
		this.#tellOfLoss("onGap", gap, heard, `${gap.from} to ${gap.to} are not delivered (${gap.reason})`);
	}

	#tellReset(position: string, reason: Reset["reason"]): void {
		const reset = { position, reason };
		const heard = this.#owner.emit("reset", this.channel, reset);
		this.#tellOfLoss("onReset", reset, heard, `continuity is lost before ${position}`);
	}

	/** Where somebody was not told of a loss, it becomes the client's error: never silent. */
	#tellOfLoss<K extends "onGap" | "onReset">(
		hook: K,
		told: Parameters<NonNullable<Listener[K]>>[0],
		heard: boolean,
		text: string,
	): void {
		if (!heard && !this.#listeners.every((listener) => listener[hook])) {
			this.#owner.error(new TidewireError("continuity_lost", `${this.channel}: ${text}`));
		}
		this.#tell((listener) => (listener[hook] as ((value: typeof told) => void) | undefined)?.(told));
	}

	#tellError(error: TidewireError): void {
		if (!this.#listeners.every((listener) => listener.onError ?? (error.retryable ? undefined : listener.onEnd))) {
			this.#owner.error(error);
		}
		this.#tell((listener) => listener.onError?.(error));
	}

	#tell(say: (listener: Listener) => void): void {
		for (const listener of this.#listeners) {
			// One that left because of what another was told hears nothing more.
			if (this.#listeners.includes(listener)) {
				this.#owner.call(() => say(listener));
			}
		}
	}
}
