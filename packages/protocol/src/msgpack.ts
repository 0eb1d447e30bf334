/**
 * Both halves of `tidewire.v1.msgpack`: binary frames, the same objects as in JSON. Channels have JSON readers too, so
 * published data is either one byte string or a value that JSON can hold; that is made a JSON text once, here.
 */
import type { ClientCodec, Outbound, OutboundEntry, ServerCodec } from "./codec.ts";
import { ProtocolError } from "./codes.ts";
import { type Fields, isFields, own, readId, show } from "./fields.ts";
import type { ClientMessage, Payload, ServerMessage } from "./message.ts";
import { readMsgpack } from "./msgpack-reader.ts";
import { writeMsgpack } from "./msgpack-writer.ts";
import { binaryPayload, MAX_NESTING, readEncoded } from "./publish-data.ts";
import { readServerMessage } from "./server-message.ts";
import { validateClientMessage } from "./validate.ts";
import { wireObject } from "./wire-object.ts";

const SUBPROTOCOL = "tidewire.v1.msgpack";

/** What a client reads may be deeper than what it may send: a reply stands around data, and servers publish too. */
const SERVER_NESTING = 2 * MAX_NESTING;

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export const msgpackServer: ServerCodec = {
	subprotocol: SUBPROTOCOL,
	enveloped: true,
	decode: (bytes, text): ClientMessage<Payload> => {
		if (text) {
			throw new ProtocolError("bad_request", `a text frame, ${SUBPROTOCOL} speaks in binary frames`);
		}
		const { value, foreign, byteStrings } = readMsgpack(bytes);
		if (isFields(value)) {
			refuseForeign(value, foreign, byteStrings);
		}
		return validateClientMessage(value, readData);
	},
	encode: (message): Outbound => outbound(message),
	encodeEntry: (channel, entry): Outbound => outbound({ channel, ...row(entry) }),
	encodeHistory: (ack, entries): Outbound => outbound({ ...ack, messages: entries.map(row) }),
};

export const msgpackClient: ClientCodec = {
	subprotocol: SUBPROTOCOL,
	encode: (message): Uint8Array => writeMsgpack(wireObject(message)),
	decode: (payload): ServerMessage => {
		if (typeof payload === "string") {
			throw new ProtocolError("bad_request", `a text frame, ${SUBPROTOCOL} speaks in binary frames`);
		}
		const { value, foreign } = readMsgpack(payload, SERVER_NESTING);
		if (foreign !== undefined) {
			throw new ProtocolError("bad_request", `the server sent ${foreign}`);
		}
		return readServerMessage(value);
	},
};

/** What JSON cannot hold has no place in a message, but for the bytes that a publish as a whole may be. */
function refuseForeign(message: Fields, foreign: string | undefined, byteStrings: number): void {
	const isBinaryPublish = own(message, "action") === "publish" && own(message, "data") instanceof Uint8Array;
	const problem = foreign ?? (byteStrings > (isBinaryPublish ? 1 : 0) ? "binary data inside a value" : undefined);
	if (problem !== undefined) {
		throw new ProtocolError("invalid_data", `the message holds ${problem}, which JSON cannot`, readId(message, "id"));
	}
}

function readData(data: unknown, encoding: unknown): Payload {
	if (data instanceof Uint8Array) {
		if (encoding !== undefined) {
			throw new ProtocolError("bad_request", `\`encoding\` is ${show(encoding)}, binary data has none`);
		}
		return binaryPayload(data);
	}
	return (
		readEncoded(data, encoding) ?? { encoding: "json", bytes: utf8Encoder.encode(JSON.stringify(data)), value: data }
	);
}

function row(entry: OutboundEntry): Readonly<Record<string, unknown>> {
	const { offset, previous: prev, name, key, from, encoding } = entry;
	// Stored JSON was parsed when it was published: it parses.
	const data: unknown = encoding === "json" ? JSON.parse(utf8Decoder.decode(entry.data)) : entry.data;
	const fields = { offset, prev, name, key, from };
	return entry.patch === true ? { ...fields, patch: data } : { ...fields, data };
}

function outbound(message: ServerMessage | Readonly<Record<string, unknown>>): Outbound {
	return { binary: true, head: "", data: writeMsgpack(message), tail: "" };
}
