/**
 * The client's way in: whether a parsed value is a server message. It looks at what the SDK counts on (ids, offsets,
 * positions, codes); fields, and events, that this version does not know pass.
 */
import { ProtocolError } from "./codes.ts";
import type { ServerMessage } from "./message.ts";

type Fields = Readonly<Record<string, unknown>>;

export function readServerMessage(value: unknown): ServerMessage {
	if (!isObject(value) || !isServerMessage(value)) {
		throw new ProtocolError("bad_request", "the server sent something that is no message");
	}
	return value as unknown as ServerMessage;
}

export function isObject(value: unknown): value is Fields {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isServerMessage(message: Fields): boolean {
	const has = (name: string): boolean => Object.hasOwn(message, name);
	if (has("channel") && !has("ack")) {
		return typeof message.channel === "string" && (has("event") ? isEvent(message) : isChannelMessage(message, has));
	}
	if (has("ack")) {
		return isId(message.ack) && (!has("error") || isError(message.error));
	}
	if (has("reply")) {
		return isId(message.reply) && isCount(message.seq);
	}
	if (has("error")) {
		return isError(message.error);
	}
	if (has("hello")) {
		const { hello } = message;
		return isObject(hello) && typeof hello.session === "string" && typeof hello.heartbeat === "number";
	}
	if (has("reconnect")) {
		return isObject(message.reconnect) && typeof message.reconnect.after === "number";
	}
	return has("report") && isObject(message.report) && isId(message.report.of);
}

function isChannelMessage(message: Fields, has: (name: string) => boolean): boolean {
	return isCount(message.offset) && (!has("prev") || isCount(message.prev)) && (has("data") || has("patch"));
}

function isEvent(event: Fields): boolean {
	switch (event.event) {
		case "gap":
		case "conflated":
			return isCount(event.from) && isCount(event.to);
		case "reset":
		case "state":
			return typeof event.position === "string";
		case "join":
		case "leave":
		case "update":
			return isObject(event.member) && typeof event.member.id === "string";
		case "presence":
			return isCount(event.count);
		case "unsubscribed":
			return isError(event.error);
		default:
			return typeof event.event === "string";
	}
}

function isError(error: unknown): boolean {
	return isObject(error) && typeof error.code === "string" && typeof error.message === "string";
}

function isId(value: unknown): boolean {
	return typeof value === "string" || isCount(value);
}

function isCount(value: unknown): boolean {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}
