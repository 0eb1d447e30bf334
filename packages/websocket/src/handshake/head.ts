/**
 * A request's head from bytes that came from anybody (RFC 9112 §3, §5). Strict: what two parsers could read in two ways
 * (folded lines, bare CR or LF, white space before a colon, control characters) is refused and never passed on.
 */

import type { UpgradeRequest } from "./accept.ts";
import { hasToken, isToken } from "./headers.ts";

/** What `acceptUpgrade` takes, and what routes and permissions look at; Node's `IncomingMessage` fits as well. */
export interface RequestHead extends UpgradeRequest {
	readonly method: string;
	/** The request target as received. */
	readonly url: string;
	/** "1.1" or "1.0" */
	readonly httpVersion: string;
	/** By lowercased names; repeated ones are joined as RFC 9110 §5.3 and RFC 9113 §8.2.3 (cookies) say. */
	readonly headers: RequestFields;
	readonly rawHeaders: readonly string[];
}

/** Fits where Node's `IncomingHttpHeaders` is asked for: a `set-cookie`, which is no request's, is left out. */
export interface RequestFields {
	readonly [name: string]: string | undefined;
	readonly "set-cookie"?: never;
}

export interface HeadRefusal {
	readonly status: 400 | 431 | 505;
	/** Plain text for the response's body. */
	readonly reason: string;
}

/** As many fields as Node's own server takes by default would be 2,000; browsers send some twenty. */
export const MAX_FIELDS = 100;

/** Reads a head without the empty line that ends it, decoded as latin1. */
export function parseRequestHead(text: string): RequestHead | HeadRefusal {
	// One pass for the whole head, so that no line below can hold anything but tab, visible and obs-text characters.
	if (FORBIDDEN.test(text)) {
		return refuse(400, "the head holds a control character or a bare CR or LF (RFC 9112 §2.2, RFC 9110 §5.5)");
	}
	let end = lineEnd(text, 0);
	const [method = "", url = "", version = "", ...more] = text.slice(0, end).split(" ");
	if (more.length > 0 || !isToken(method) || !TARGET.test(url) || !VERSION.test(version)) {
		return refuse(400, "the first line is not method, target and version (RFC 9112 §3)");
	}
	if (version !== "HTTP/1.1" && version !== "HTTP/1.0") {
		return refuse(505, "this server speaks HTTP/1.1");
	}
	const headers: Record<string, string | undefined> = Object.create(null);
	const rawHeaders: string[] = [];
	while (end < text.length) {
		const start = end + 2;
		end = lineEnd(text, start);
		const colon = text.indexOf(":", start);
		// A folded line (RFC 9112 §5.2) begins with white space, which no token does.
		const name = colon < 0 || colon > end ? "" : text.slice(start, colon);
		if (!isToken(name)) {
			return refuse(400, "a header line is not name, colon and value (RFC 9112 §5)");
		}
		if (rawHeaders.length === MAX_FIELDS * 2) {
			return refuse(431, `more than ${MAX_FIELDS} header fields`);
		}
		const value = text.slice(colon + 1, end).trim();
		rawHeaders.push(name, value);
		const key = name.toLowerCase();
		const before = headers[key];
		headers[key] = before === undefined ? value : `${before}${key === "cookie" ? "; " : ", "}${value}`;
	}
	if (headers["set-cookie"] !== undefined) {
		headers["set-cookie"] = undefined;
	}
	return { method, url, httpVersion: version.slice(5), headers: headers as RequestFields, rawHeaders };
}

/** Whether a request asks for what this package is for. Whether it does so rightly is for `acceptUpgrade` to say. */
export function asksForWebSocket({ headers }: RequestHead): boolean {
	const { upgrade, connection } = headers;
	return (
		upgrade !== undefined &&
		connection !== undefined &&
		hasToken([upgrade], "websocket") &&
		hasToken([connection], "upgrade")
	);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const FORBIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/;
const TARGET = /^[\x21-\x7e]+$/;
const VERSION = /^HTTP\/[0-9]\.[0-9]$/;

function lineEnd(text: string, from: number): number {
	const end = text.indexOf("\r\n", from);
	return end < 0 ? text.length : end;
}

function refuse(status: HeadRefusal["status"], reason: string): HeadRefusal {
	return { status, reason };
}
