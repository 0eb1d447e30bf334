/**
 * What a record of a run consists of: everything that clients sent, were told and received, in the order in which one
 * process saw it. That order is used as evidence, so a `publish` is recorded before its bytes leave, and what is received
 * after it has come. Types only; `record-file.ts` writes and reads the lines.
 *
 * A message is known by its publisher, its channel and its number `n` there, from 1. Its value is `publisher:n`.
 */

export interface Position {
	readonly epoch: string;
	readonly offset: number;
}

/** The first line. `about` is for the reader; nothing is judged by it. */
export interface RecordHeader {
	readonly record: 1;
	readonly seed: number;
	readonly url: string;
	readonly startedAt: string;
	readonly about: Readonly<Record<string, unknown>>;
}

interface Seen {
	/** Milliseconds since the run began. */
	readonly t: number;
}

interface OfClient extends Seen {
	readonly client: string;
}

interface OfChannel extends OfClient {
	readonly channel: string;
}

interface OfMessage extends OfChannel {
	readonly n: number;
}

/** A connection is open and greeted. `resumed`: it has the session, and so the ids, of the connection before it. */
export interface ConnectedEvent extends OfClient {
	readonly event: "connected";
	readonly session: string;
	readonly resumed: boolean;
	readonly durability: string;
	readonly node: string;
}

export interface LostEvent extends OfClient {
	readonly event: "lost";
	readonly code: number;
	readonly reason: string;
}

/** Sent, or sent once more under the same id. */
export interface PublishEvent extends OfMessage {
	readonly event: "publish";
	readonly id: string | number;
}

export interface AckEvent extends OfMessage, Position {
	readonly event: "ack";
}

/** Answered with an error. Whether that says that nothing was done depends on the code (`isDefinite`). */
export interface RefusedEvent extends OfMessage {
	readonly event: "refused";
	readonly code: string;
}

/** Given up: it may have been performed or not, and is not sent again. */
export interface UnknownEvent extends OfMessage {
	readonly event: "unknown";
}

export interface SubscribeEvent extends OfChannel {
	readonly event: "subscribe";
	readonly since?: Position;
}

export interface SubscribedEvent extends OfChannel, Position {
	readonly event: "subscribed";
	readonly recovered?: boolean;
}

export interface NotSubscribedEvent extends OfChannel {
	readonly event: "not-subscribed";
	readonly code: string;
}

export interface MessageEvent extends OfChannel, Position {
	readonly event: "message";
	readonly prev?: number;
	readonly value: string;
}

export interface GapEvent extends OfChannel {
	readonly event: "gap";
	readonly from: number;
	readonly to: number;
	readonly reason: string;
}

export interface ConflatedEvent extends OfChannel {
	readonly event: "conflated";
	readonly from: number;
	readonly to: number;
}

export interface ResetEvent extends OfChannel, Position {
	readonly event: "reset";
}

/** The client asked for the end of its subscription. */
export interface UnsubscribeEvent extends OfChannel {
	readonly event: "unsubscribe";
}

/** The subscription has ended: `client`, its own wish was acknowledged; `server`, it was ended for it. */
export interface UnsubscribedEvent extends OfChannel {
	readonly event: "unsubscribed";
	readonly by: "client" | "server";
	readonly code?: string;
}

/** Whoever administers the deployment took the grant away, and was told that this is done. */
export interface RevokedEvent extends OfChannel {
	readonly event: "revoked";
}

interface OfMember extends OfChannel {
	/** The member's id, which is its session's name. */
	readonly member: string;
}

/** The client asked to become a member of the channel, and to be told of the others. */
export interface EnterEvent extends OfMember {
	readonly event: "enter";
}

/** It is one; what it is told from here on is what changes. */
export interface EnteredEvent extends OfMember {
	readonly event: "entered";
}

export interface NotEnteredEvent extends OfChannel {
	readonly event: "not-entered";
	readonly code: string;
}

/** The client asked to be a member no more. */
export interface ExitEvent extends OfChannel {
	readonly event: "exit";
}

/** That was acknowledged. */
export interface ExitedEvent extends OfChannel {
	readonly event: "exited";
}

/** The client was told of a member, its own included. */
export interface ToldEvent extends OfMember {
	readonly event: "join" | "leave" | "update";
}

/** It was told a number in place of names. `anew`: names follow again. Either way what it was told of names is void. */
export interface CountEvent extends OfChannel {
	readonly event: "count";
	readonly count: number;
	readonly anew?: boolean;
}

/** The client asked at `asked` who is there. `more`: these are not all. */
export interface MembersEvent extends OfChannel {
	readonly event: "members";
	readonly asked: number;
	readonly members: readonly string[];
	readonly more?: boolean;
}

export type PresenceEvent =
	| EnterEvent
	| EnteredEvent
	| NotEnteredEvent
	| ExitEvent
	| ExitedEvent
	| ToldEvent
	| CountEvent
	| MembersEvent;

export interface FaultEvent extends Seen {
	readonly event: "fault";
	readonly kind: string;
	readonly target: string;
}

/** Faults have ended. What is sent from here on must be acknowledged and delivered to all, on each of these channels. */
export interface HealEvent extends Seen {
	readonly event: "heal";
	readonly channels: readonly string[];
}

/** The record is complete: what had not come by now was waited for. */
export interface EndEvent extends Seen {
	readonly event: "end";
}

export type RecordEvent =
	| ConnectedEvent
	| LostEvent
	| PublishEvent
	| AckEvent
	| RefusedEvent
	| UnknownEvent
	| SubscribeEvent
	| SubscribedEvent
	| NotSubscribedEvent
	| MessageEvent
	| GapEvent
	| ConflatedEvent
	| ResetEvent
	| UnsubscribeEvent
	| UnsubscribedEvent
	| RevokedEvent
	| PresenceEvent
	| FaultEvent
	| HealEvent
	| EndEvent;

export type EventName = RecordEvent["event"];

/** Where events go: the judge, a file, or both. */
export type Recorder = (event: RecordEvent) => void;

/** Codes after which it is not known whether the publish was performed. All others say that it was not. */
const INDEFINITE: ReadonlySet<string> = new Set(["unavailable", "timeout", "internal"]);

export function isDefinite(code: string): boolean {
	return !INDEFINITE.has(code);
}

export function formatValue(publisher: string, n: number): string {
	return `${publisher}:${n}`;
}

/** Whose n-th message this is; undefined for a value that is nobody's. */
export function parseValue(value: string): { readonly publisher: string; readonly n: number } | undefined {
	const colon = value.lastIndexOf(":");
	const digits = value.slice(colon + 1);
	return colon > 0 && /^[1-9]\d{0,14}$/.test(digits)
		? { publisher: value.slice(0, colon), n: Number(digits) }
		: undefined;
}
