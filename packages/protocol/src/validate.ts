/**
 * From a parsed value to a client message (PROTOCOL.md, "Client to server"). It checks the shape of what it is given and
 * nothing else: no permission, no session, no state. Every refusal is a `ProtocolError` whose text names the field, its
 * value and the rule, under the message's id where that could be read.
 */
import { ProtocolError } from "./codes.ts";
import { parseDurationMs } from "./duration.ts";
import {
	checkChannel,
	checkPosition,
	type Fields,
	isFields,
	MAX_NAME_BYTES,
	MAX_TOKEN_BYTES,
	own,
	readChannel,
	readId,
	readOptionalBoolean,
	readOptionalCount,
	readOptionalPosition,
	readOptionalSeconds,
	readOptionalText,
	readPosition,
	readText,
	refuse,
	show,
} from "./fields.ts";
import type {
	CallMessage,
	ClientMessage,
	HistoryMessage,
	PresenceMessage,
	PresenceOptions,
	PublishMessage,
	SlowPolicy,
	SubscribeMessage,
	SubscribeTarget,
} from "./message.ts";

/** Channels of one `subscribe`: each costs a permission check and a broker subscription before the reply is written. */
export const MAX_SUBSCRIBE_CHANNELS = 100;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** The part of a message behind its `id`, which is the same for all. */
type Body<Data> = Readonly<ClientMessage<Data>>;

/**
 * `readData` turns the `data` of a publish, and its `encoding` (undefined where there is none), into what the message
 * carries; it may throw `ProtocolError`.
 */
export function validateClientMessage<Data>(
	value: unknown,
	readData: (data: unknown, encoding: unknown) => Data,
): ClientMessage<Data> {
	if (!isFields(value)) {
		throw new ProtocolError("bad_request", `a message is an object with an \`action\`, this is ${show(value)}`);
	}
	const id = readId(value, "id");
	try {
		const message = readBody(value, readData);
		return id === undefined ? message : ({ id, ...message } as ClientMessage<Data>);
	} catch (error) {
		throw error instanceof ProtocolError && id !== undefined ? new ProtocolError(error.code, error.message, id) : error;
	}
}

function readBody<Data>(fields: Fields, readData: (data: unknown, encoding: unknown) => Data): Body<Data> {
	const action = readText(fields, "action", MAX_NAME_BYTES);
	switch (action) {
		case "auth":
		case "resume":
			return { type: action, token: readText(fields, "token", MAX_TOKEN_BYTES) };
		case "subscribe":
			return readSubscribe(fields);
		case "unsubscribe":
			return { type: "unsubscribe", channel: readChannel(fields) };
		case "publish":
			return readPublish(fields, readData);
		case "history":
			return readHistory(fields);
		case "presence":
			return readPresence(fields);
		case "received":
			return { type: "received", channel: readChannel(fields), position: readPosition(fields, "position") };
		case "cancel":
			return { type: "cancel", of: readId(fields, "of") };
		case "ping":
			return { type: "ping" };
		default:
			return readCall(fields, action);
	}
}

function readSubscribe(fields: Fields): SubscribeMessage {
	const message: Writable<SubscribeMessage> = {
		type: "subscribe",
		targets: readTargets(fields),
		many: own(fields, "channels") !== undefined,
	};
	const rewind = readRewind(own(fields, "rewind"));
	if (rewind !== undefined) {
		message.rewind = rewind;
	}
	const presence = readPresenceOptions(own(fields, "presence"));
	if (presence !== undefined) {
		message.presence = presence;
	}
	const policy = own(fields, "policy");
	if (policy !== undefined) {
		message.policy = readPolicy(policy);
	}
	const durable = readOptionalText(fields, "durable");
	if (durable !== undefined) {
		message.durable = durable;
	}
	return message;
}

function readTargets(fields: Fields): readonly SubscribeTarget[] {
	const channels = own(fields, "channels");
	if (channels === undefined) {
		const since = own(fields, "since") ?? null;
		return [{ channel: readChannel(fields), since: since === null ? null : checkPosition("`since`", since) }];
	}
	if (own(fields, "channel") !== undefined || own(fields, "since") !== undefined) {
		throw new ProtocolError(
			"bad_request",
			"`channels` stands alone: without `channel`, and each name has its own since",
		);
	}
	if (!isFields(channels)) {
		throw refuse("channels", channels, "an object of a position or null for each channel's name");
	}
	const names = Object.keys(channels);
	if (names.length < 1 || names.length > MAX_SUBSCRIBE_CHANNELS) {
		throw new ProtocolError(
			"bad_request",
			`\`channels\` has ${names.length} names, it must have 1 to ${MAX_SUBSCRIBE_CHANNELS}`,
		);
	}
	return names.map((name) => {
		const where = `${show(name)} in \`channels\``;
		const since = channels[name];
		return { channel: checkChannel(where, name), since: since === null ? null : checkPosition(where, since) };
	});
}

function readRewind(value: unknown): SubscribeMessage["rewind"] {
	if (value === undefined) {
		return undefined;
	}
	if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) {
		return { messages: value };
	}
	const ms = typeof value === "string" ? parseDurationMs(value) : undefined;
	if (ms === undefined) {
		throw refuse("rewind", value, 'a count of messages or a duration such as "2m"');
	}
	return { seconds: ms / 1000 };
}

function readPresenceOptions(value: unknown): PresenceOptions | undefined {
	if (value === undefined || value === false) {
		return undefined;
	}
	if (value === true) {
		return { enter: true, watch: true };
	}
	if (!isFields(value)) {
		throw refuse("presence", value, "true, false or an object with `enter`, `watch` and `data`");
	}
	const enter = readOptionalBoolean(value, "enter") ?? true;
	const watch = readOptionalBoolean(value, "watch") ?? true;
	const data = own(value, "data");
	return data === undefined ? { enter, watch } : { enter, watch, data };
}

function readPolicy(value: unknown): SlowPolicy {
	switch (value) {
		case "catch-up":
		case "conflate":
		case "skip":
		case "disconnect":
			return value;
		default:
			throw refuse("policy", value, '"catch-up", "conflate", "skip" or "disconnect"');
	}
}

function readPublish<Data>(fields: Fields, readData: (data: unknown, encoding: unknown) => Data): PublishMessage<Data> {
	const message: Writable<PublishMessage<Data>> = { type: "publish", channel: readChannel(fields) };
	const data = own(fields, "data");
	const patch = own(fields, "patch");
	if ((data === undefined) === (patch === undefined)) {
		throw new ProtocolError("bad_request", "a publish has either `data` or `patch`");
	}
	if (patch === undefined) {
		message.data = readData(data, own(fields, "encoding"));
	} else {
		message.patch = patch;
	}
	for (const field of ["name", "key", "exclude"] as const) {
		const text = readOptionalText(fields, field);
		if (text !== undefined) {
			message[field] = text;
		}
	}
	for (const field of ["ttl", "at"] as const) {
		const seconds = readOptionalSeconds(fields, field);
		if (seconds !== undefined) {
			message[field] = seconds;
		}
	}
	for (const field of ["echo", "report"] as const) {
		const flag = readOptionalBoolean(fields, field);
		if (flag !== undefined) {
			message[field] = flag;
		}
	}
	const position = readOptionalPosition(fields, "if");
	if (position !== undefined) {
		message.if = position;
	}
	const after = readId(fields, "after");
	if (after !== undefined) {
		message.after = after;
	}
	if (message.report === true && own(fields, "id") === undefined) {
		throw new ProtocolError("bad_request", "`report` needs an `id`, which the report is sent under");
	}
	return message;
}

function readHistory(fields: Fields): HistoryMessage {
	const message: Writable<HistoryMessage> = { type: "history", channel: readChannel(fields) };
	const since = readOptionalPosition(fields, "since");
	if (since !== undefined) {
		message.since = since;
	}
	const limit = readOptionalCount(fields, "limit", 1);
	if (limit !== undefined) {
		message.limit = limit;
	}
	const reverse = readOptionalBoolean(fields, "reverse");
	if (reverse !== undefined) {
		message.reverse = reverse;
	}
	return message;
}

function readPresence(fields: Fields): PresenceMessage {
	const message: Writable<PresenceMessage> = { type: "presence", channel: readChannel(fields) };
	const data = own(fields, "data");
	if (data !== undefined) {
		message.data = data;
	}
	const after = readOptionalText(fields, "after");
	if (after !== undefined) {
		message.after = after;
	}
	const limit = readOptionalCount(fields, "limit", 1);
	if (limit !== undefined) {
		message.limit = limit;
	}
	return message;
}

function readCall(fields: Fields, action: string): CallMessage {
	if (action.startsWith("$")) {
		throw new ProtocolError("bad_request", `\`action\` is ${show(action)}, names that begin with $ are reserved`);
	}
	if (Object.hasOwn(fields, "input")) {
		return { type: "call", action, input: fields.input };
	}
	// A rest pattern defines properties, it does not assign them: a field named __proto__ stays a field.
	const { id: _id, action: _action, ...input } = fields;
	return { type: "call", action, input };
}
