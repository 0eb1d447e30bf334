/**
 * The client's half of the opening handshake (RFC 6455 §4.1): the request's head, and the verdict on the answer.
 */
import { type DeflateParameters, formatOffer, verifyAnswer } from "../deflate/negotiation.ts";
import type { ResolvedCompression } from "../deflate/options.ts";
import { WebSocketError } from "../errors.ts";
import { acceptFor, type Sha1Base64 } from "./accept.ts";
import { parseExtensions } from "./extensions.ts";
import { fieldValues, type HeaderFields, type HeaderSource, hasToken, isFieldValue, isToken } from "./headers.ts";
import { formatFields } from "./response.ts";

export interface UpgradeOffer {
	/** The Host header: name and, where it is not the scheme's default, port. */
	readonly host: string;
	/** Path and query. */
	readonly path: string;
	/** Base64 of 16 random bytes, new for every connection. */
	readonly key: string;
	readonly protocols?: readonly string[];
	/** Further fields, such as `origin`, `cookie` or `authorization`. They may not repeat the handshake's own. */
	readonly headers?: HeaderFields;
	/** What is offered of permessage-deflate (RFC 7692). Default: it is not. */
	readonly compression?: ResolvedCompression;
}

const OWN_FIELDS = [
	"host",
	"upgrade",
	"connection",
	"sec-websocket-key",
	"sec-websocket-version",
	"sec-websocket-protocol",
	"sec-websocket-extensions",
];

/** The request's head as it goes out. Throws `WebSocketError` (`invalid_header`) for what HTTP does not allow. */
export function requestUpgrade(offer: UpgradeOffer): string {
	const { protocols = [], headers = {} } = offer;
	if (!offer.path.startsWith("/") || offer.path.includes(" ") || !isFieldValue(offer.path)) {
		throw new WebSocketError(
			"invalid_header",
			`path ${JSON.stringify(offer.path)} cannot be requested (RFC 9112 §3.2)`,
		);
	}
	if (!protocols.every(isToken) || new Set(protocols).size !== protocols.length) {
		throw new WebSocketError("invalid_header", "subprotocols must be unique tokens (RFC 6455 §4.1)");
	}
	for (const name of Object.keys(headers)) {
		if (OWN_FIELDS.includes(name.toLowerCase())) {
			throw new WebSocketError("invalid_header", `header ${name} belongs to the handshake (RFC 6455 §4.1)`);
		}
	}
	const own: Record<string, string> = {
		host: offer.host,
		upgrade: "websocket",
		connection: "Upgrade",
		"sec-websocket-key": offer.key,
		"sec-websocket-version": "13",
	};
	if (protocols.length > 0) {
		own["sec-websocket-protocol"] = protocols.join(", ");
	}
	if (offer.compression !== undefined) {
		own["sec-websocket-extensions"] = formatOffer(offer.compression);
	}
	return `GET ${offer.path} HTTP/1.1\r\n${formatFields(own)}${formatFields(headers)}\r\n`;
}

export interface UpgradeResponse {
	readonly status: number;
	readonly headers: HeaderSource;
}

export interface VerifyOptions {
	readonly key: string;
	readonly sha1: Sha1Base64;
	readonly protocols?: readonly string[];
	/** What was offered. */
	readonly compression?: ResolvedCompression;
}

export type Verdict =
	| {
			readonly ok: true;
			readonly protocol?: string;
			/** Present where permessage-deflate was agreed on: for `messageCompression`. */
			readonly compression?: DeflateParameters;
	  }
	| { readonly ok: false; readonly reason: string };

/** Whether the server agreed (RFC 6455 §4.1, "Once the client's opening handshake has been sent"). */
export function verifyUpgrade(response: UpgradeResponse, options: VerifyOptions): Verdict {
	const { headers } = response;
	if (response.status !== 101) {
		return { ok: false, reason: `the server answered ${response.status}, not 101 (RFC 6455 §4.1)` };
	}
	if (!hasToken(fieldValues(headers, "upgrade"), "websocket")) {
		return { ok: false, reason: "the answer's Upgrade header is not websocket (RFC 6455 §4.1)" };
	}
	if (!hasToken(fieldValues(headers, "connection"), "upgrade")) {
		return { ok: false, reason: "the answer's Connection header does not hold Upgrade (RFC 6455 §4.1)" };
	}
	const accepts = fieldValues(headers, "sec-websocket-accept");
	if (accepts.length !== 1 || accepts[0]!.trim() !== acceptFor(options.key, options.sha1)) {
		return { ok: false, reason: "the answer's Sec-WebSocket-Accept does not fit our key (RFC 6455 §4.1)" };
	}
	const extensions = parseExtensions(fieldValues(headers, "sec-websocket-extensions"));
	if (extensions === undefined) {
		return { ok: false, reason: "the answer's Sec-WebSocket-Extensions breaks its grammar (RFC 6455 §9.1)" };
	}
	const answer = verifyAnswer(extensions, options.compression);
	if (answer !== undefined && "reason" in answer) {
		return { ok: false, reason: answer.reason };
	}
	const agreed = answer === undefined ? undefined : { compression: answer };
	const chosen = fieldValues(headers, "sec-websocket-protocol");
	const protocol = chosen[0]?.trim();
	if (protocol === undefined) {
		return { ok: true, ...agreed };
	}
	if (chosen.length > 1 || options.protocols?.includes(protocol) !== true) {
		return { ok: false, reason: "the server chose a subprotocol that was not offered (RFC 6455 §4.1)" };
	}
	return { ok: true, protocol, ...agreed };
}
