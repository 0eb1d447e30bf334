/**
 * Readers for the fields of a client message: each takes one own property of an untrusted object and returns it typed,
 * or throws `bad_request` with the value and the rule. Inherited properties do not exist here, so `__proto__` or
 * `constructor` in a message are names like any other. Nothing of the value is called: no `toString`, no `toJSON`.
 */
import { channelNameProblem } from "./channel-name.ts";
import { ProtocolError } from "./codes.ts";
import type { MessageId } from "./message.ts";
import { parsePosition } from "./position.ts";
import { utf8Length } from "./utf8.ts";

/** A parsed message: an object that is no array. */
export type Fields = Readonly<Record<string, unknown>>;

/** In bytes of UTF-8. Raise none of them without a look at what keeps such a string, and for how long. */
export const MAX_ID_BYTES = 64;
/** Credentials and resume tokens: a signed token with many claims fits, a document does not. */
export const MAX_TOKEN_BYTES = 16_384;
/** Actions, event names, keys, sessions, durable consumers. */
export const MAX_NAME_BYTES = 200;
/** The last moment that a JavaScript `Date` can hold, in seconds since 1970: the bound of `at` and of every duration. */
export const MAX_SECONDS = 8.64e12;

export function isFields(value: unknown): value is Fields {
	return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** A value as an error text may show it: short, on one line, and never by code of the value's own. */
export function show(value: unknown): string {
	switch (typeof value) {
		case "string":
			return value.length <= 40 ? JSON.stringify(value) : `a string of ${value.length} characters`;
		case "number":
		case "boolean":
			return String(value);
		case "undefined":
			return "missing";
		default:
			if (value === null) {
				return "null";
			}
			if (Array.isArray(value)) {
				return "an array";
			}
			return value instanceof Uint8Array ? "binary data" : "an object";
	}
}

export function own(fields: Fields, name: string): unknown {
	return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

export function refuse(name: string, value: unknown, rule: string): ProtocolError {
	return new ProtocolError("bad_request", `\`${name}\` is ${show(value)}, it must be ${rule}`);
}

function isText(value: unknown, maxBytes: number): value is string {
	return (
		typeof value === "string" &&
		value !== "" &&
		value.length <= maxBytes &&
		value.isWellFormed() &&
		utf8Length(value) <= maxBytes
	);
}

export function readText(fields: Fields, name: string, maxBytes: number): string {
	const value = own(fields, name);
	if (!isText(value, maxBytes)) {
		throw refuse(name, value, `a string of 1 to ${maxBytes} bytes`);
	}
	return value;
}

export function readOptionalText(fields: Fields, name: string): string | undefined {
	return own(fields, name) === undefined ? undefined : readText(fields, name, MAX_NAME_BYTES);
}

const ID_RULE = `a string of 1 to ${MAX_ID_BYTES} bytes or an integer from 0 to 2^53-1`;

export function readId(fields: Fields, name: "of"): MessageId;
export function readId(fields: Fields, name: "id" | "after"): MessageId | undefined;
export function readId(fields: Fields, name: string): MessageId | undefined {
	const value = own(fields, name);
	if (value === undefined && name !== "of") {
		return undefined;
	}
	if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) {
		// JSON's -0 is the integer 0: the two must not be different ids.
		return value === 0 ? 0 : value;
	}
	if (isText(value, MAX_ID_BYTES)) {
		return value;
	}
	throw refuse(name, value, ID_RULE);
}

export function readChannel(fields: Fields): string {
	const value = own(fields, "channel");
	if (typeof value !== "string") {
		throw refuse("channel", value, "a channel's name");
	}
	return checkChannel("`channel`", value);
}

/** `where` names the place for the error text. */
export function checkChannel(where: string, name: string): string {
	const problem = channelNameProblem(name);
	if (problem !== undefined) {
		throw new ProtocolError("bad_request", `${where} ${problem}`);
	}
	return name;
}

export function readOptionalPosition(fields: Fields, name: string): string | undefined {
	return own(fields, name) === undefined ? undefined : readPosition(fields, name);
}

export function readPosition(fields: Fields, name: string): string {
	return checkPosition(`\`${name}\``, own(fields, name));
}

export function checkPosition(where: string, value: unknown): string {
	if (typeof value !== "string" || parsePosition(value) === undefined) {
		throw new ProtocolError("bad_request", `${where} is ${show(value)}, it must be "<epoch>:<offset>"`);
	}
	return value;
}

export function readOptionalBoolean(fields: Fields, name: string): boolean | undefined {
	const value = own(fields, name);
	if (value !== undefined && typeof value !== "boolean") {
		throw refuse(name, value, "true or false");
	}
	return value;
}

export function readOptionalCount(fields: Fields, name: string, least: number): number | undefined {
	const value = own(fields, name);
	if (value === undefined) {
		return undefined;
	}
	if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least) {
		throw refuse(name, value, `an integer from ${least} to 2^53-1`);
	}
	return value;
}

export function readOptionalSeconds(fields: Fields, name: string): number | undefined {
	const value = own(fields, name);
	if (value === undefined) {
		return undefined;
	}
	if (typeof value !== "number" || !(value > 0 && value <= MAX_SECONDS)) {
		throw refuse(name, value, "a number of seconds above 0");
	}
	return value;
}
