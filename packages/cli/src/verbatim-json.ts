/**
 * The wire's JSON with data left as text, so that what is typed is published and what is published is printed, to the
 * letter: `1.0`, 20-digit numbers and the order of keys survive.
 */
import { type ClientCodec, jsonClient } from "@tidewire/protocol";
import { memberSpan } from "@tidewire/protocol/server";

/** A JSON text that is not to be read and written again. */
export class JsonText {
	readonly text: string;

	/** Throws `SyntaxError` where the text is no JSON. */
	constructor(text: string) {
		JSON.parse(text);
		this.text = text.trim();
	}
}

const utf8 = { encoder: new TextEncoder(), decoder: new TextDecoder() };

/** As `jsonClient`, but that publishes may carry `JsonText`, and that channel messages do. */
export const verbatimJson: ClientCodec = {
	subprotocol: jsonClient.subprotocol,
	encode(message) {
		if (message.type !== "publish" || !(message.data instanceof JsonText)) {
			return jsonClient.encode(message);
		}
		const { data, ...rest } = message;
		return withMember(rest, "data", data, (value) => String(jsonClient.encode(value)));
	},
	decode(payload) {
		const message = jsonClient.decode(payload);
		if (typeof payload !== "string" || !("offset" in message) || !("data" in message)) {
			return message;
		}
		const bytes = utf8.encoder.encode(payload);
		const span = memberSpan(bytes, "data");
		// Binary data came as base64 and is bytes by now.
		return span === undefined || message.data instanceof Uint8Array
			? message
			: { ...message, data: new JsonText(utf8.decoder.decode(bytes.subarray(span.start, span.end))) };
	},
};

/** An object's JSON with one more member, whose text stays as it is. The object has other members. */
export function withMember<T>(
	object: T,
	name: string,
	{ text }: JsonText,
	write: (object: T) => string = JSON.stringify,
): string {
	return `${write(object).slice(0, -1)},${JSON.stringify(name)}:${text}}`;
}
