/**
 * The server's half of the opening handshake over HTTP/2 (RFC 8441): an extended CONNECT in, a 200 or a refusal out. The
 * stream takes the connection's place, so there is no upgrade and no key: HTTP/2's own framing keeps out what those keep
 * out of HTTP/1.1. Paths and origins are the caller's.
 */
import type { Upgrade } from "./accept.ts";
import { fieldValues, type HeaderFields, type HeaderSource } from "./headers.ts";
import { findRepeated, isVersion13, type NegotiateOptions, negotiate, type RequestFields } from "./negotiate.ts";

const SINGLE_FIELDS = ["sec-websocket-version", "origin", "host"] as const;
/** RFC 9113 §8.2.2: what belongs to one connection of HTTP/1.1 makes a request of HTTP/2 malformed. */
const CONNECTION_FIELDS = ["connection", "upgrade", "transfer-encoding", "keep-alive", "proxy-connection"] as const;

/**
 * Answers an extended CONNECT. `headers` has the pseudo-header fields under their names, as Node's `stream` event gives
 * them. Throws `WebSocketError` (`protocol_not_offered`) when `protocols` chooses what was not offered.
 */
export function acceptConnect(request: RequestFields, options: NegotiateOptions = {}): Upgrade {
	const { headers } = request;
	if (only(headers, ":method") !== "CONNECT") {
		return refuse(405, "a WebSocket handshake over HTTP/2 is a CONNECT request (RFC 8441 §5)", { allow: "CONNECT" });
	}
	const protocol = only(headers, ":protocol");
	if (protocol === undefined) {
		return refuse(400, "a CONNECT without :protocol asks for a tunnel, not for a WebSocket (RFC 8441 §4)");
	}
	if (protocol.toLowerCase() !== "websocket") {
		return refuse(501, "the :protocol must be websocket (RFC 8441 §5)");
	}
	const scheme = only(headers, ":scheme");
	if (scheme !== "https" && scheme !== "http") {
		return refuse(400, "the :scheme must be https for wss and http for ws (RFC 8441 §5)");
	}
	const authority = only(headers, ":authority");
	if (authority === undefined || authority === "" || only(headers, ":path")?.startsWith("/") !== true) {
		return refuse(400, "an extended CONNECT has :authority and a :path that begins with / (RFC 8441 §4)");
	}
	const repeated = findRepeated(request, SINGLE_FIELDS);
	if (repeated !== undefined) {
		return refuse(400, repeated);
	}
	const host = only(headers, "host");
	if (host !== undefined && host !== authority) {
		return refuse(400, "the Host header is not the :authority (RFC 9113 §8.3.1)");
	}
	const foreign = CONNECTION_FIELDS.find((name) => fieldValues(headers, name).length > 0);
	if (foreign !== undefined) {
		return refuse(400, `HTTP/2 has no ${foreign} header (RFC 9113 §8.2.2)`);
	}
	if (fieldValues(headers, "content-length").length > 0) {
		return refuse(400, "a WebSocket handshake has no body");
	}
	if (!isVersion13(headers)) {
		// Not the 426 of HTTP/1.1: that must name an upgrade (RFC 9110 §15.5.22), and HTTP/2 has none.
		return refuse(400, "the Sec-WebSocket-Version header must be 13 (RFC 6455 §4.2.2)", VERSION);
	}
	const negotiation = negotiate(request, options);
	return negotiation.ok
		? { ok: true, status: 200, headers: negotiation.headers, ...negotiation.agreed }
		: refuse(400, negotiation.reason);
}

/** §4.4: the versions that we speak. */
const VERSION: HeaderFields = { "sec-websocket-version": "13" };

function only(headers: HeaderSource, name: string): string | undefined {
	const values = fieldValues(headers, name);
	return values.length === 1 ? values[0] : undefined;
}

function refuse(status: 400 | 405 | 501, reason: string, headers: HeaderFields = {}): Upgrade {
	return { ok: false, status, headers: { "content-type": "text/plain; charset=utf-8", ...headers }, reason };
}
