/**
 * JSON Schemas of the wire protocol's envelopes (PROTOCOL.md), as far as a contract's channels and actions travel in
 * them: what stands around the application's data. Receivers ignore fields that they do not know, so none of them
 * closes its object.
 */
import type { DataEncoding } from "./binary.ts";
import type { JsonObject } from "./json-schema.ts";

/** Where the shared parts stand in the document. */
const SHARED = "#/components/schemas/";
const ID: JsonObject = { $ref: `${SHARED}MessageId` };
const POSITION: JsonObject = { $ref: `${SHARED}Position` };
const ERROR: JsonObject = { $ref: `${SHARED}Error` };
const OFFSET: JsonObject = { type: "integer", minimum: 0 };
const TEXT: JsonObject = { type: "string" };
const FLAG: JsonObject = { type: "boolean" };

/** The error codes of wire protocol version 1. A test holds them against the protocol's own table. */
export const WIRE_ERROR_CODES = [
	"bad_request",
	"unauthenticated",
	"forbidden",
	"not_found",
	"invalid_data",
	"too_large",
	"rate_limited",
	"limit_reached",
	"conflict",
	"timeout",
	"unavailable",
	"internal",
] as const;

export const SHARED_SCHEMAS: JsonObject = {
	MessageId: {
		description: 'What a message is answered under: chosen by the client; 1 and "1" differ.',
		oneOf: [
			{ type: "string", minLength: 1, maxLength: 64 },
			{ type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
		],
	},
	Position: { type: "string", description: '"<epoch>:<offset>": a place in a channel.', pattern: "^.+:[0-9]+$" },
	Error: object(["code", "message"], {
		code: { type: "string", enum: WIRE_ERROR_CODES },
		message: TEXT,
		retryable: FLAG,
		retryAfter: { type: "number", description: "Seconds." },
		issues: {
			type: "array",
			description: "With invalid_data: what is wrong where, in the validator's words.",
			items: object(["message"], { message: TEXT, path: { type: "array", items: { type: ["string", "integer"] } } }),
		},
		position: POSITION,
		data: { description: "With conflict in a state channel: the present value." },
	}),
	Member: object(["id", "user", "since"], {
		id: TEXT,
		user: { type: ["string", "null"] },
		data: {},
		since: { type: "number" },
	}),
};

/** A channel message, server to client. */
export function messageEnvelope(channel: JsonObject, data: JsonObject, encoding: DataEncoding): JsonObject {
	return withData(["channel", "offset"], entryFields(channel), data, encoding);
}

/** Bytes are base64 in JSON, and say so. */
function withData(
	required: readonly string[],
	fields: JsonObject,
	data: JsonObject,
	encoding: DataEncoding,
): JsonObject {
	return object([...required, "data", ...(encoding === "binary" ? ["encoding"] : [])], {
		...fields,
		data,
		...(encoding === "json" ? {} : { encoding: { const: "base64" } }),
	});
}

/** A change of a state channel's value, server to client. */
export function patchEnvelope(channel: JsonObject): JsonObject {
	return object(["channel", "offset", "patch"], { ...entryFields(channel), patch: {} });
}

/** A state channel's whole value, server to client. */
export function stateEnvelope(channel: JsonObject, data: JsonObject): JsonObject {
	return object(["channel", "event", "position"], { channel, event: { const: "state" }, position: POSITION, data });
}

function entryFields(channel: JsonObject): JsonObject {
	return {
		channel,
		offset: OFFSET,
		prev: OFFSET,
		name: TEXT,
		key: TEXT,
		from: TEXT,
		time: { type: "number", description: "Seconds since 1970." },
	};
}

/** What happens to a subscription, in its place among the channel's messages. */
export function eventEnvelope(channel: JsonObject): JsonObject {
	const range = { from: OFFSET, to: OFFSET };
	return {
		...object(["channel", "event"], { channel, event: TEXT }),
		oneOf: [
			event("gap", ["from", "to", "reason"], { ...range, reason: { enum: ["slow", "lost", "expired", "own"] } }),
			event("conflated", ["from", "to"], range),
			event("reset", ["position"], { position: POSITION }),
			event("unsubscribed", ["error"], { error: ERROR }),
			event("join", ["member"], { member: { $ref: `${SHARED}Member` } }),
			event("leave", ["member"], { member: { $ref: `${SHARED}Member` } }),
			event("update", ["member"], { member: { $ref: `${SHARED}Member` } }),
			event("presence", ["count"], { count: OFFSET, anew: FLAG }),
		],
	};
}

export function publishEnvelope(channel: JsonObject, data: JsonObject, encoding: DataEncoding): JsonObject {
	return withData(["action", "channel"], publishFields(channel), data, encoding);
}

/** A patch of a state channel's value, client to server. */
export function changeEnvelope(channel: JsonObject): JsonObject {
	return object(["action", "channel", "patch"], { ...publishFields(channel), patch: {} });
}

function publishFields(channel: JsonObject): JsonObject {
	return {
		id: ID,
		action: { const: "publish" },
		channel,
		name: TEXT,
		key: TEXT,
		ttl: { type: "number", description: "Seconds." },
		at: { type: "number", description: "Seconds since 1970." },
		if: POSITION,
		after: ID,
		echo: FLAG,
		exclude: TEXT,
		report: FLAG,
	};
}

export const PUBLISHED: JsonObject = {
	...object(["ack"], {
		ack: ID,
		position: POSITION,
		scheduled: { const: true, description: "It waits for its time, and has no position yet." },
	}),
	oneOf: [has("position"), has("scheduled")],
	not: has("channel"),
};

export function subscribeEnvelope(channel: JsonObject): JsonObject {
	return object(["action", "channel"], {
		id: ID,
		action: { const: "subscribe" },
		channel,
		since: POSITION,
		rewind: { description: 'A count of messages, or a duration such as "2m".', type: ["integer", "string"] },
		presence: {
			oneOf: [FLAG, { type: "object", properties: { enter: FLAG, watch: FLAG, data: {} } }],
		},
		policy: { enum: ["catch-up", "conflate", "skip", "disconnect"] },
		durable: TEXT,
	});
}

export function subscribedEnvelope(channel: JsonObject): JsonObject {
	return object(["ack", "channel", "position"], {
		ack: ID,
		channel,
		position: POSITION,
		recovered: FLAG,
		already: { const: true },
	});
}

export const FAILED: JsonObject = object(["error"], { ack: ID, error: ERROR });

/** A call of an application's action. */
export function callEnvelope(name: string, input: JsonObject | undefined): JsonObject {
	return object(["action"], { id: ID, action: { const: name }, ...(input === undefined ? {} : { input }) });
}

/** The acknowledgement of a call; it also ends a streaming reply. */
export function replyEnvelope(output: JsonObject | undefined, required: boolean): JsonObject {
	return {
		...object(required ? ["ack", "data"] : ["ack"], { ack: ID, data: output ?? {} }),
		not: has("error"),
	};
}

/** One item of a streaming reply. */
export function itemEnvelope(item: JsonObject): JsonObject {
	return object(["reply", "seq", "data"], { reply: ID, seq: OFFSET, data: item });
}

function object(required: readonly string[], properties: JsonObject): JsonObject {
	return { type: "object", required, properties };
}

function event(name: string, required: readonly string[], properties: JsonObject): JsonObject {
	return { required, properties: { event: { const: name }, ...properties } };
}

function has(field: string): JsonObject {
	return { required: [field] };
}
