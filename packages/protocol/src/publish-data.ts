/** What the server's codecs share of a publish's `data`: the two encodings, and copies that outlive the frame. */
import { decodeBase64 } from "./base64.ts";
import { ProtocolError } from "./codes.ts";
import { refuse, show } from "./fields.ts";
import type { Span } from "./json-span.ts";
import type { Payload } from "./message.ts";

/**
 * How deep arrays and objects may stand in one another, in what clients send. Whatever is read here is read again by
 * subscribers, validators and encoders, of which many recurse; JSON readers elsewhere stop at 64 to 1,000 levels. Raise
 * it only together with a look at the stack of every such reader.
 */
export const MAX_NESTING = 512;

/** A copy of its own: the frame's bytes are a view of a larger buffer, which a channel's log must not keep alive. */
export function copyOf(bytes: Uint8Array, span: Span = { start: 0, end: bytes.length }): Uint8Array {
	return new Uint8Array(bytes.subarray(span.start, span.end));
}

/** The payload where `encoding` says base64; undefined where there is no `encoding`. */
export function readEncoded(data: unknown, encoding: unknown): Payload | undefined {
	if (encoding === undefined) {
		return undefined;
	}
	if (encoding !== "base64") {
		throw refuse("encoding", encoding, '"base64"');
	}
	const bytes = typeof data === "string" ? decodeBase64(data) : undefined;
	if (bytes === undefined) {
		throw new ProtocolError(
			"bad_request",
			`\`data\` is ${show(data)}, with \`encoding\` it must be base64 with padding (RFC 4648 §4)`,
		);
	}
	return binaryPayload(bytes);
}

export function binaryPayload(bytes: Uint8Array): Payload {
	return { encoding: "binary", bytes, value: bytes };
}
