/** The records of an outbox, and what may be believed of those that are found: a store is not ours alone to write to. */
import type { Session } from "../machine.ts";

export const SESSION = "session";
/** Before a message's place in the order, or a channel's name. */
export const MESSAGE = "message ";
export const POSITION = "position ";

/** That a message may have been sent: in which session, and since when, in milliseconds since 1970. */
export interface Mark {
	readonly session: string;
	readonly at: number;
}

export interface MessageRecord {
	readonly id: number;
	/** As it travels, without `after`. */
	readonly payload: string;
	/** When its caller no longer wants it sent, in milliseconds since 1970; absent: never. */
	readonly until?: number | undefined;
	readonly mark?: Mark | undefined;
}

export interface PositionRecord {
	readonly position: string;
	/** When it was kept, in milliseconds since 1970. */
	readonly at: number;
}

type Fields = { readonly [name: string]: unknown };

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;

export function isSession(value: unknown): value is Session {
	return (
		isFields(value) &&
		typeof value.id === "string" &&
		typeof value.resume === "string" &&
		typeof value.windowMs === "number"
	);
}

function isMark(value: unknown): value is Mark {
	return isFields(value) && typeof value.session === "string" && typeof value.at === "number";
}

function isMessage(value: unknown): value is MessageRecord {
	return (
		isFields(value) &&
		Number.isSafeInteger(value.id) &&
		typeof value.payload === "string" &&
		value.payload.startsWith("{") &&
		(value.until === undefined || typeof value.until === "number") &&
		(value.mark === undefined || isMark(value.mark))
	);
}

export function isPosition(value: unknown): value is PositionRecord {
	return isFields(value) && typeof value.position === "string" && typeof value.at === "number";
}

/** Keys sort as the messages were made. */
export function messageKey(place: number): string {
	return String(place).padStart(16, "0");
}

/** In order, by their keys. */
export function readMessages(records: ReadonlyMap<string, unknown>): readonly (readonly [string, MessageRecord])[] {
	const messages: (readonly [string, MessageRecord])[] = [];
	for (const [name, value] of records) {
		if (name.startsWith(MESSAGE) && isMessage(value)) {
			messages.push([name.slice(MESSAGE.length), value]);
		}
	}
	return messages.sort(([one], [other]) => (one < other ? -1 : 1));
}
