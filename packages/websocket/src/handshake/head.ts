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
const MAX_FIELDS = 100;

/** Reads a head without the empty line that ends it, decoded as latin1. Hot: once over every character. */
export function parseRequestHead(text: string): RequestHead | HeadRefusal {
	let at = skip(text, 0, VALUE);
	const [method = "", url = "", version = "", ...more] = text.slice(0, at).split(" ");
	if (more.length > 0 || !isToken(method) || !TARGET.test(url) || !VERSION.test(version)) {
		return refuse(400, "the first line is not method, target and version (RFC 9112 §3)");
	}
	if (version !== "HTTP/1.1" && version !== "HTTP/1.0") {
		return refuse(505, "this server speaks HTTP/1.1");
	}
	const headers: Record<string, string | undefined> = Object.create(null);
	const rawHeaders: string[] = [];
	while (at < text.length) {
		// What ended the line before must be CR LF: neither alone, no other control character (RFC 9112 §2.2).
		if (text.charCodeAt(at) !== CR || text.charCodeAt(at + 1) !== LF) {
			return refuse(400, "the head holds a control character or a bare CR or LF (RFC 9112 §2.2, RFC 9110 §5.5)");
		}
		const start = at + 2;
		const colon = skip(text, start, TOKEN);
		// A folded line (RFC 9112 §5.2) begins with white space, which no token does.
		if (colon === start || text.charCodeAt(colon) !== COLON) {
			return refuse(400, "a header line is not name, colon and value (RFC 9112 §5)");
		}
		if (rawHeaders.length === MAX_FIELDS * 2) {
			return refuse(431, `more than ${MAX_FIELDS} header fields`);
		}
		at = skip(text, colon + 1, VALUE);
		const name = text.slice(start, colon);
		const value = trimmed(text, colon + 1, at);
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

const TARGET = /^[\x21-\x7e]+$/;
const VERSION = /^HTTP\/[0-9]\.[0-9]$/;
const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;

/** What each character may stand in: a name (RFC 9110 §5.6.2), a value (§5.5: tab, visible, obs-text). */
const TOKEN = 1;
const VALUE = 2;
const ALLOWED: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
	const inValue = code === 0x09 || (code >= 0x20 && code !== 0x7f);
	return (isToken(String.fromCharCode(code)) ? TOKEN : 0) | (inValue ? VALUE : 0);
});

/** Where the first character stands that is not of this kind. */
function skip(text: string, from: number, kind: number): number {
	let at = from;
	while (at < text.length && (ALLOWED[text.charCodeAt(at)]! & kind) !== 0) {
		at++;
	}
	return at;
}

/** Without the white space around it, which is space and tab and nothing else (RFC 9110 §5.6.3). */
function trimmed(text: string, from: number, until: number): string {
	let start = from;
	let end = until;
	while (start < end && isSpace(text.charCodeAt(start))) {
		start++;
	}
	while (end > start && isSpace(text.charCodeAt(end - 1))) {
		end--;
	}
	return text.slice(start, end);
}

function isSpace(code: number): boolean {
	return code === 0x20 || code === 0x09;
}

function refuse(status: HeadRefusal["status"], reason: string): HeadRefusal {
	return { status, reason };
}
