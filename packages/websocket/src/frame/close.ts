/**
 * The body of a close frame (RFC 6455 §5.5.1): a code, then a reason in UTF-8. And which codes may travel (§7.4).
 */
import { WebSocketError } from "../errors.ts";
import { isUtf8 } from "../message/utf8.ts";
import { MAX_CONTROL_BYTES, protocolError, type Violation } from "./rules.ts";

/** Codes that this package itself gives (RFC 6455 §7.4.1). */
export const CLOSE = {
	normal: 1000,
	protocolError: 1002,
	/** Never sent: the peer's close frame had no code. */
	noCode: 1005,
	/** Never sent: there was no close frame. */
	abnormal: 1006,
	invalidUtf8: 1007,
	policy: 1008,
	tooLarge: 1009,
	internal: 1011,
} as const;

export interface CloseBody {
	readonly code: number;
	readonly reason: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Whether a code may stand in a close frame: assigned by §7.4.1 and IANA, or 3000–4999. */
export function isCloseCode(code: number): boolean {
	return (
		Number.isInteger(code) &&
		((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999))
	);
}

/** Reads a received close frame's payload. */
export function parseCloseBody(payload: Uint8Array): CloseBody | Violation {
	if (payload.length === 0) {
		return { code: CLOSE.noCode, reason: "" };
	}
	if (payload.length === 1) {
		return protocolError("close carries 1 byte, a code takes 2 (RFC 6455 §5.5.1)");
	}
	const code = (payload[0]! << 8) | payload[1]!;
	if (!isCloseCode(code)) {
		return protocolError(`close code ${code} must not be sent (RFC 6455 §7.4)`);
	}
	const reason = payload.subarray(2);
	if (!isUtf8(reason)) {
		return { code: CLOSE.invalidUtf8, text: "the reason of a close is not UTF-8 (RFC 6455 §5.5.1)" };
	}
	return { code, reason: decoder.decode(reason) };
}

/**
 * Builds a close frame's payload. Throws `WebSocketError`: `invalid_close_code`, `payload_too_large` for a reason above
 * 123 bytes, `invalid_argument` for a reason that is no string (a typed array's memory is not for the wire).
 */
export function closeBody(code: number, reason: string): Uint8Array {
	if (!isCloseCode(code)) {
		throw new WebSocketError("invalid_close_code", `close code ${code} must not be sent (RFC 6455 §7.4)`);
	}
	if (typeof reason !== "string") {
		throw new WebSocketError("invalid_argument", `a close reason is a string, not ${typeof reason}`);
	}
	const text = encoder.encode(reason);
	if (text.length > MAX_CONTROL_BYTES - 2) {
		throw new WebSocketError("payload_too_large", `close reason has ${text.length} bytes, at most 123 (RFC 6455 §5.5)`);
	}
	const body = new Uint8Array(2 + text.length);
	body[0] = code >>> 8;
	body[1] = code;
	body.set(text, 2);
	return body;
}
