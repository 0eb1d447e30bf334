/**
 * The plain protocol: no subprotocol, no SDK. Channel messages are their bare data; what clients send are the same
 * objects as in `tidewire.v1.json`, and whatever has no `action` is bare data too, which a route may publish as it is.
 */
import type { Outbound, ServerCodec } from "./codec.ts";
import { isFields } from "./fields.ts";
import { encodeJson, encodeJsonHistory, readJsonMessage } from "./json.ts";
import { trimSpan } from "./json-span.ts";
import { parseJson } from "./json-text.ts";
import type { ClientMessage, Payload } from "./message.ts";
import { binaryPayload, copyOf } from "./publish-data.ts";

export const plainServer: ServerCodec = {
	subprotocol: undefined,
	enveloped: false,
	decode: (bytes, text): ClientMessage<Payload> => {
		if (!text) {
			return { type: "bare", data: binaryPayload(copyOf(bytes)) };
		}
		const value = parseJson(bytes);
		if (isFields(value) && Object.hasOwn(value, "action")) {
			return readJsonMessage(bytes, value);
		}
		return { type: "bare", data: { encoding: "json", bytes: copyOf(bytes, trimSpan(bytes)), value } };
	},
	encode: encodeJson,
	encodeEntry: (_channel, entry): Outbound => ({
		binary: entry.encoding === "binary",
		head: "",
		data: entry.data,
		tail: "",
	}),
	encodeHistory: encodeJsonHistory,
};
