/**
 * The client's half of `tidewire.v1.json`. It runs in browsers and is kept small: messages that the SDK itself made are
 * not validated, and what a server sends is checked only for its shape.
 */
import { decodeBase64, encodeBase64 } from "./base64.ts";
import type { ClientCodec } from "./codec.ts";
import { ProtocolError } from "./codes.ts";
import type { ServerMessage } from "./message.ts";
import { isObject, readServerMessage } from "./server-message.ts";
import { wireObject } from "./wire-object.ts";

export const jsonClient: ClientCodec = {
	subprotocol: "tidewire.v1.json",
	encode: (message): string => {
		const wire = wireObject(message);
		return JSON.stringify(
			message.type === "publish" && message.data instanceof Uint8Array
				? { ...wire, data: encodeBase64(message.data), encoding: "base64" }
				: wire,
		);
	},
	decode: (payload): ServerMessage => {
		let value: unknown;
		try {
			value = typeof payload === "string" ? JSON.parse(payload) : undefined;
		} catch {
			// Falls through: undefined is no message.
		}
		const message = readServerMessage(value);
		if ("channel" in message) {
			return withBytes(message) as ServerMessage;
		}
		return "messages" in message && Array.isArray(message.messages)
			? { ...message, messages: message.messages.map(withBytes) }
			: message;
	},
};

/** Binary data as the bytes that it is; anything else as it came. */
function withBytes<Message>(message: Message): Message {
	if (!isObject(message) || message.encoding !== "base64") {
		return message;
	}
	const { encoding: _, ...rest } = message;
	const data = typeof message.data === "string" ? decodeBase64(message.data) : undefined;
	if (data === undefined) {
		throw new ProtocolError("bad_request", "the server sent data that is not base64");
	}
	return { ...rest, data } as unknown as Message;
}
