/**
 * The server's half of `tidewire.v1.json`: text frames, one JSON object each. Published data is parsed once, to
 * validate; what travels on is the publisher's own text.
 */
import { encodeBase64 } from "./base64.ts";
import { EMPTY, type Outbound, type OutboundEntry, type ServerCodec } from "./codec.ts";
import { ProtocolError } from "./codes.ts";
import { memberSpan } from "./json-span.ts";
import { parseJson } from "./json-text.ts";
import type { Ack, ClientMessage, Payload, ServerMessage } from "./message.ts";
import { copyOf, readEncoded } from "./publish-data.ts";
import { validateClientMessage } from "./validate.ts";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

export const jsonServer: ServerCodec = {
	subprotocol: "tidewire.v1.json",
	enveloped: true,
	decode: (bytes, text): ClientMessage<Payload> => {
		if (!text) {
			throw new ProtocolError("bad_request", "a binary frame, tidewire.v1.json speaks in text frames");
		}
		return readJsonMessage(bytes, parseJson(bytes));
	},
	encode: encodeJson,
	encodeEntry: (channel, entry): Outbound => {
		const head = `{"channel":${JSON.stringify(channel)},${entryFields(entry)},${contentName(entry)}:`;
		return entry.encoding === "json"
			? { binary: false, head, data: entry.data, tail: "}" }
			: { binary: false, head: `${head}"${encodeBase64(entry.data)}"`, data: EMPTY, tail: ',"encoding":"base64"}' };
	},
	encodeHistory: encodeJsonHistory,
};

/** `value` is what the bytes parse to. */
export function readJsonMessage(bytes: Uint8Array, value: unknown): ClientMessage<Payload> {
	return validateClientMessage(value, (data, encoding) => readEncoded(data, encoding) ?? ownText(bytes, data));
}

export function encodeJson(message: ServerMessage): Outbound {
	return { binary: false, head: JSON.stringify(message), data: EMPTY, tail: "" };
}

export function encodeJsonHistory(ack: Ack, entries: readonly OutboundEntry[]): Outbound {
	const { messages: _, ...rest } = ack;
	const rows = entries.map((entry) => {
		const fields = `{${entryFields(entry)},${contentName(entry)}:`;
		return entry.encoding === "json"
			? `${fields}${utf8.decode(entry.data)}}`
			: `${fields}"${encodeBase64(entry.data)}","encoding":"base64"}`;
	});
	const head = `${JSON.stringify(rest).slice(0, -1)},"messages":[${rows.join(",")}]}`;
	return { binary: false, head, data: EMPTY, tail: "" };
}

/** Under which name an entry's content travels: a state channel's is a value or a patch of one. */
function contentName({ patch }: OutboundEntry): string {
	return patch === true ? '"patch"' : '"data"';
}

/** What an entry carries beside its data. The order is part of no contract, but readers of logs like it stable. */
function entryFields(entry: OutboundEntry): string {
	let fields = `"offset":${entry.offset}`;
	if (entry.previous !== undefined) {
		fields += `,"prev":${entry.previous}`;
	}
	for (const field of ["name", "key", "from"] as const) {
		const text = entry[field];
		if (text !== undefined) {
			fields += `,"${field}":${JSON.stringify(text)}`;
		}
	}
	return fields;
}

function ownText(bytes: Uint8Array, value: unknown): Payload {
	// The parsed object has a `data`, so the text has one.
	return { encoding: "json", bytes: copyOf(bytes, memberSpan(bytes, "data")!), value };
}
