/**
 * The messages of wire protocol version 1 as unions (PROTOCOL.md is the prose). Client messages are told apart by
 * `type`, which is the wire's `action` for the built-in ones and `call` for the application's own. Server messages have
 * the wire's shape and are told apart by their keys. Codecs translate both to bytes; `validate.ts` takes them from
 * `unknown`.
 *
 * `Data` is what a publish carries: any value where messages are sent, a `Payload` where they are received.
 */
import type { ErrorCode } from "./codes.ts";

/** What a message is answered under: a string of 1–64 bytes or an integer 0…2^53−1. `1` and `"1"` differ. */
export type MessageId = string | number;

/** What a slow consumer gets. */
export type SlowPolicy = "catch-up" | "conflate" | "skip" | "disconnect";

/** Take part in a channel's presence. `true` on the wire means enter and watch. */
export interface PresenceOptions {
	readonly enter: boolean;
	readonly watch: boolean;
	readonly data?: unknown;
}

/** Data as it arrived: the publisher's own JSON text or raw bytes, beside the value parsed from it. */
export interface Payload {
	readonly encoding: "json" | "binary";
	/** UTF-8 JSON text without outer white space, or the raw bytes. */
	readonly bytes: Uint8Array;
	/** The parsed JSON value, or for `binary` the bytes themselves. */
	readonly value: unknown;
}

interface Answerable {
	readonly id?: MessageId;
}

export interface AuthMessage extends Answerable {
	readonly type: "auth";
	readonly token: string;
}

export interface ResumeMessage extends Answerable {
	readonly type: "resume";
	readonly token: string;
}

/** What is subscribed to, and from where. `since: null` means from now. */
export interface SubscribeTarget {
	readonly channel: string;
	readonly since: string | null;
}

export interface SubscribeMessage extends Answerable {
	readonly type: "subscribe";
	/** One target (wire: `channel`, `since`) or up to 100 (wire: `channels`). */
	readonly targets: readonly SubscribeTarget[];
	/** Whether the wire had `channels`: the reply then has one row for each. */
	readonly many: boolean;
	/** A count of messages, or seconds. */
	readonly rewind?: { readonly messages: number } | { readonly seconds: number };
	readonly presence?: PresenceOptions;
	readonly policy?: SlowPolicy;
	readonly durable?: string;
}

export interface UnsubscribeMessage extends Answerable {
	readonly type: "unsubscribe";
	readonly channel: string;
}

export interface PublishMessage<Data> extends Answerable {
	readonly type: "publish";
	readonly channel: string;
	readonly data?: Data;
	readonly patch?: unknown;
	readonly name?: string;
	readonly key?: string;
	/** Seconds. */
	readonly ttl?: number;
	/** Seconds since 1970. */
	readonly at?: number;
	readonly if?: string;
	readonly after?: MessageId;
	readonly echo?: boolean;
	readonly exclude?: string;
	readonly report?: boolean;
}

export interface HistoryMessage extends Answerable {
	readonly type: "history";
	readonly channel: string;
	readonly since?: string;
	readonly limit?: number;
	readonly reverse?: boolean;
}

export interface PresenceMessage extends Answerable {
	readonly type: "presence";
	readonly channel: string;
	readonly data?: unknown;
	/** The last member of the page before: members come in the order of their ids. */
	readonly after?: string;
	readonly limit?: number;
}

export interface ReceivedMessage extends Answerable {
	readonly type: "received";
	readonly channel: string;
	readonly position: string;
}

export interface CancelMessage extends Answerable {
	readonly type: "cancel";
	readonly of: MessageId;
}

export interface PingMessage extends Answerable {
	readonly type: "ping";
}

/** An action of the application. */
export interface CallMessage extends Answerable {
	readonly type: "call";
	readonly action: string;
	/** The wire's `input`; where that is absent, an object of all fields but `id` and `action`. */
	readonly input: unknown;
}

/** Plain only: a message without `action`, which a route may publish as it is. */
export interface BareMessage<Data> {
	readonly type: "bare";
	readonly data: Data;
	readonly id?: undefined;
}

export type ClientMessage<Data = unknown> =
	| AuthMessage
	| ResumeMessage
	| SubscribeMessage
	| UnsubscribeMessage
	| PublishMessage<Data>
	| HistoryMessage
	| PresenceMessage
	| ReceivedMessage
	| CancelMessage
	| PingMessage
	| CallMessage
	| BareMessage<Data>;

/** An error as it travels. `issues` belongs to `invalid_data`: what is wrong where, in the validator's words. */
export interface WireError {
	readonly code: ErrorCode;
	readonly message: string;
	readonly retryable?: boolean;
	/** Seconds. */
	readonly retryAfter?: number;
	readonly issues?: readonly { readonly message: string; readonly path?: readonly (string | number)[] }[];
	/** `conflict`: the present position. */
	readonly position?: string;
	/** `conflict` in a state channel: the present value, for a caller who may read it. */
	readonly data?: unknown;
}

export interface Hello {
	readonly hello: {
		readonly version: 1;
		readonly session: string;
		readonly resume: string;
		/** Seconds. */
		readonly heartbeat: number;
		/** Seconds. */
		readonly window: number;
		readonly durability: "memory" | "stored" | "replicated";
		readonly node: string;
	};
}

/** A channel message. */
export interface ChannelMessage {
	readonly channel: string;
	readonly offset: number;
	readonly prev?: number;
	readonly name?: string;
	readonly key?: string;
	readonly from?: string;
	/** Seconds since 1970. */
	readonly time?: number;
	readonly data: unknown;
	readonly encoding?: "base64";
}

/** A channel message of a state channel that changes the value by an RFC 7396 patch. */
export interface StatePatch extends Omit<ChannelMessage, "data" | "encoding"> {
	readonly patch: unknown;
}

export interface Member {
	readonly id: string;
	readonly user: string | null;
	readonly data?: unknown;
	readonly since: number;
}

export type GapReason = "slow" | "lost" | "expired" | "own";

/** What happened to a subscription, in its place among the channel's messages. */
export type ChannelEvent =
	| { readonly channel: string; readonly event: "state"; readonly position: string; readonly data: unknown }
	| { readonly channel: string; readonly event: "join" | "leave" | "update"; readonly member: Member }
	/** `anew`: what was told of members is void, and they are told one by one from here: ask for the list. */
	| { readonly channel: string; readonly event: "presence"; readonly count: number; readonly anew?: true }
	| {
			readonly channel: string;
			readonly event: "gap";
			readonly from: number;
			readonly to: number;
			readonly reason: GapReason;
	  }
	| { readonly channel: string; readonly event: "conflated"; readonly from: number; readonly to: number }
	| { readonly channel: string; readonly event: "reset"; readonly position: string }
	| { readonly channel: string; readonly event: "unsubscribed"; readonly error: WireError };

/** The answer to one channel of a `subscribe`. */
export interface Subscribed {
	readonly channel: string;
	readonly position: string;
	readonly recovered?: boolean;
	readonly already?: true;
}

/** Success. Which fields there are depends on what is answered. */
export interface Ack {
	readonly ack: MessageId;
	readonly error?: undefined;
	readonly user?: string;
	readonly expiresIn?: number;
	readonly session?: string;
	readonly resume?: string;
	readonly resumed?: boolean;
	readonly channel?: string;
	readonly position?: string;
	/** The answer to a `publish` with `at`: it waits for its time, and has no position yet. */
	readonly scheduled?: true;
	readonly recovered?: boolean;
	readonly already?: true;
	/** The answer to a `subscribe` with `channels`: one row for each, in the order asked. */
	readonly channels?: readonly (Subscribed | { readonly channel: string; readonly error: WireError })[];
	readonly messages?: readonly (Omit<ChannelMessage, "channel"> | Omit<StatePatch, "channel">)[];
	readonly members?: readonly Member[];
	readonly count?: number;
	/** How many users the members of a channel are; who is nobody does not count. */
	readonly users?: number;
	/** There are members after the last of `members`. */
	readonly more?: boolean;
	readonly data?: unknown;
}

export interface Failure {
	readonly ack?: MessageId;
	readonly error: WireError;
}

export interface StreamReply {
	readonly reply: MessageId;
	readonly seq: number;
	readonly data: unknown;
}

export interface Report {
	readonly report: {
		readonly of: MessageId;
		readonly subscribers: number;
		readonly written: number;
		readonly lagging: number;
		readonly conflated: number;
		readonly skipped: number;
		readonly complete: boolean;
	};
}

export interface Reconnect {
	readonly reconnect: { /** Seconds. */ readonly after: number; readonly reason: string };
}

export type ServerMessage =
	| Hello
	| ChannelMessage
	| StatePatch
	| ChannelEvent
	| Ack
	| Failure
	| StreamReply
	| Report
	| Reconnect;
