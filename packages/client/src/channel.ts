/**
 * What an application sees of a channel: the handle that `client.channel(name)` returns, and what is delivered through
 * it. Types only; `connect.ts` makes the handles.
 */
import type { Ack, ChannelEvent, GapReason } from "@tidewire/protocol";
import type { TidewireError } from "./error.ts";
import type { Question } from "./link.ts";

/** A message of a channel, beside its data. */
export interface Message<Data> {
	readonly channel: string;
	/** `<epoch>:<offset>`: hand it to `since` to go on after this message. */
	readonly position: string;
	readonly offset: number;
	/** Undefined where the message is a patch. */
	readonly data: Data;
	/** Only in state channels: `data` is the whole value, sent because what was missed is not known. It has no offset. */
	readonly event?: "state";
	/** Only in state channels: an RFC 7396 patch of the value before. `@tidewire/client/state` keeps the value. */
	readonly patch?: unknown;
	readonly name?: string;
	readonly key?: string;
	/** The authenticated user that published it. */
	readonly from?: string;
	/** Seconds since 1970. */
	readonly time?: number;
}

/** Offsets that are not delivered. `conflated`: of these, only the last message of each key follows. */
export interface Gap {
	readonly from: number;
	readonly to: number;
	/** `expired` and `own` are no loss. */
	readonly reason: GapReason | "conflated";
}

/**
 * Continuity is lost: what was published between the last message and `position` is not known. Load the state anew.
 * `not_recovered`: the server no longer has what was missed. `epoch`: the channel's log has begun anew.
 */
export interface Reset {
	readonly position: string;
	readonly reason: "not_recovered" | "epoch";
}

/** `waiting`: not connected, or refused for the moment. */
export type ChannelState = "waiting" | "subscribing" | "subscribed" | "ended";

/** Who came, went or changed, or how many there are. `@tidewire/client/presence` keeps the list. */
export type PresenceEvent = Exclude<ChannelEvent, { event: "state" | "gap" | "conflated" | "reset" | "unsubscribed" }>;

export interface SubscribeOptions {
	/**
	 * Go on after this position, which an earlier message or `channel.position` gave. Default: where this client's
	 * `positions` say that the channel was, else from now. `null`: from now in any case.
	 */
	readonly since?: string | null;
	/** Begin with the last so many messages, or with those of the last so many seconds. */
	readonly rewind?: number | { readonly seconds: number };
	/** As this durable consumer: what came while nobody was there is delivered first. `@tidewire/client/inbox` does the rest. */
	readonly durable?: string;
	/** Some offsets will not come. Where neither this nor `client.on("gap")` listens, a loss is a client-wide error. */
	readonly onGap?: (gap: Gap) => void;
	/** Continuity is lost. Where neither this nor `client.on("reset")` listens, that is a client-wide error. */
	readonly onReset?: (reset: Reset) => void;
	readonly onState?: (state: ChannelState) => void;
	readonly onPresence?: (event: PresenceEvent) => void;
	/** The subscription was refused or ended (state `ended`), or has trouble that it goes on after. */
	readonly onError?: (error: TidewireError) => void;
}

export interface IterateOptions extends SubscribeOptions {
	/**
	 * How many messages may wait to be read; default 1,024. When one more comes, the loop gets what waits and then
	 * throws `reader_too_slow`, whose `position` goes into `since` of the next.
	 */
	readonly bufferMessages?: number;
	readonly signal?: AbortSignal;
}

export interface RequestOptions {
	/** How long to wait for an answer, the time without a connection included; default: the client's. */
	readonly timeoutMs?: number | undefined;
	/** Whether the client's outbox keeps it until it is done, over reloads too; default: publishes yes, actions no. */
	readonly keep?: boolean | undefined;
}

export interface PublishOptions extends RequestOptions {
	/** The event's name. */
	readonly name?: string;
	/** What the message is about: where the channel conflates, only the last of each key counts. */
	readonly key?: string;
	/** Seconds after which it is no longer worth delivering. */
	readonly ttl?: number;
	/** Publish only while the channel's head is here; else `conflict`. */
	readonly if?: string;
	/** `false`: not to this session's own subscriptions. */
	readonly echo?: boolean;
}

export interface HistoryOptions extends RequestOptions {
	/** At most so many messages. */
	readonly limit?: number;
	/** Only after this position. */
	readonly since?: string;
	/** Newest first. */
	readonly reverse?: boolean;
}

export interface History<Data> {
	readonly messages: readonly Message<Data>[];
	/** The channel's head. */
	readonly position: string;
}

/** `Data` is what is delivered, `Input` what may be published (they differ where a schema transforms). */
export interface Channel<Data, Input> extends AsyncIterable<Data> {
	readonly name: string;
	readonly state: ChannelState;
	/** Up to where messages were delivered, once subscribed. */
	readonly position: string | undefined;
	/**
	 * Delivers each message from now on, or from `since` or `rewind`, once and in order, over reconnects too. Several
	 * subscribers of a channel share one subscription, so `since`, `rewind` and `durable` are the first one's to choose
	 * (`bad_request` otherwise). Returns how to end it.
	 */
	subscribe(listener: (data: Data, message: Message<Data>) => void, options?: SubscribeOptions): () => void;
	/** The same as an async iterator of whole messages. `for await (const data of channel)` gives the data alone. */
	messages(options?: IterateOptions): AsyncIterableIterator<Message<Data>>;
	/** Resolves with the message's position when the server has accepted it. Performed once, also when it is resent. */
	publish(data: Input, options?: PublishOptions): Promise<string>;
	history(options?: HistoryOptions): Promise<History<Data>>;
	/**
	 * A question of the protocol about this channel that has no method here; presence and inbox are made of it. `tell`: it
	 * has no answer, and resolves when it is written. `again`: it is asked until it is answered.
	 */
	ask(kind: "again" | "tell", question: Question, options?: RequestOptions): Promise<Ack>;
}
