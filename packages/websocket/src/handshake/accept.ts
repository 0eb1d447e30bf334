/**
 * The server's half of the opening handshake (RFC 6455 §4.2): a request in, a 101 or a refusal out. It reads no socket
 * and decides neither paths nor origins, which are its caller's.
 */
import { fieldValues, type HeaderFields, hasToken } from "./headers.ts";
import {
	type Agreement,
	findRepeated,
	isVersion13,
	type NegotiateOptions,
	negotiate,
	type RequestFields,
} from "./negotiate.ts";

/** Base64 of the SHA-1 of an ASCII text. */
export type Sha1Base64 = (text: string) => string;

/** What the handshake reads of a request; Node's `IncomingMessage` fits. */
export interface UpgradeRequest extends RequestFields {
	readonly method?: string | undefined;
	/** "1.1" */
	readonly httpVersion: string;
}

export interface AcceptOptions extends NegotiateOptions {
	readonly sha1: Sha1Base64;
}

/** The answer to a handshake over HTTP/1.1 (101) or HTTP/2 (200). */
export type Upgrade =
	| ({ readonly ok: true; readonly status: 101 | 200; readonly headers: HeaderFields } & Agreement)
	| {
			readonly ok: false;
			readonly status: 400 | 405 | 426 | 501;
			readonly headers: HeaderFields;
			/** Plain text for the response's body. */
			readonly reason: string;
	  };

/** Fields that a request has exactly once. The first three must be there. */
const SINGLE_FIELDS = ["host", "sec-websocket-key", "sec-websocket-version", "origin"] as const;

const KEY_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/**
 * Answers an upgrade request. A refusal carries the status and fields that HTTP asks for; its reason names the rule.
 * Throws `WebSocketError` (`protocol_not_offered`) when `protocols` chooses what was not offered.
 */
export function acceptUpgrade(request: UpgradeRequest, options: AcceptOptions): Upgrade {
	if (request.method !== "GET") {
		return refuse(405, "a WebSocket handshake is a GET request (RFC 6455 §4.1)", { allow: "GET" });
	}
	if (request.httpVersion !== "1.1") {
		return refuse(400, "a WebSocket handshake needs HTTP/1.1 (RFC 6455 §4.1)");
	}
	const { headers } = request;
	if (!hasToken(fieldValues(headers, "upgrade"), "websocket")) {
		return refuse(426, "this is a WebSocket endpoint: the Upgrade header must be websocket (RFC 6455 §4.2.1)", UPGRADE);
	}
	if (!hasToken(fieldValues(headers, "connection"), "upgrade")) {
		return refuse(400, "the Connection header must hold Upgrade (RFC 6455 §4.2.1)");
	}
	const repeated = findRepeated(request, SINGLE_FIELDS);
	if (repeated !== undefined) {
		return refuse(400, repeated);
	}
	if (fieldValues(headers, "host").length === 0) {
		return refuse(400, "the Host header is missing (RFC 6455 §4.2.1)");
	}
	if (!isVersion13(headers)) {
		// §4.2.2, step 4: an upgrade-required status and the versions that we speak.
		return refuse(426, "the Sec-WebSocket-Version header must be 13 (RFC 6455 §4.2.2)", UPGRADE);
	}
	const key = fieldValues(headers, "sec-websocket-key")[0]?.trim() ?? "";
	if (!isKey(key)) {
		return refuse(400, "the Sec-WebSocket-Key header must be the base64 of 16 bytes (RFC 6455 §4.2.1)");
	}
	const length = fieldValues(headers, "content-length")[0];
	if (fieldValues(headers, "transfer-encoding").length > 0 || (length !== undefined && Number(length) !== 0)) {
		return refuse(400, "a WebSocket handshake has no body");
	}
	const negotiation = negotiate(request, options);
	if (!negotiation.ok) {
		return refuse(400, negotiation.reason);
	}
	const accept = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-accept": acceptFor(key, options.sha1) };
	return { ok: true, status: 101, headers: { ...accept, ...negotiation.headers }, ...negotiation.agreed };
}

/** The `Sec-WebSocket-Accept` that answers a key (RFC 6455 §4.2.2, step 5.4). */
export function acceptFor(key: string, sha1: Sha1Base64): string {
	return sha1(key + KEY_GUID);
}

/** What a 426 must carry: what to upgrade to (RFC 9110 §15.5.22), and which version of it. */
const UPGRADE: HeaderFields = { upgrade: "websocket", connection: "Upgrade, close", "sec-websocket-version": "13" };

function refuse(status: 400 | 405 | 426, reason: string, headers: HeaderFields = {}): Upgrade {
	return {
		ok: false,
		status,
		headers: { connection: "close", "content-type": "text/plain; charset=utf-8", ...headers },
		reason,
	};
}

/** Base64 of 16 bytes: 22 characters and two of padding. */
function isKey(key: string): boolean {
	return /^[A-Za-z0-9+/]{22}==$/.test(key);
}
