/**
 * The head of an HTTP/1.1 response as text (RFC 9112 §4): written by servers, read by the client.
 */
import { WebSocketError } from "../errors.ts";
import { type HeaderFields, isFieldValue, isToken } from "./headers.ts";

const REASONS: Readonly<Record<number, string>> = {
	101: "Switching Protocols",
	400: "Bad Request",
	401: "Unauthorized",
	403: "Forbidden",
	404: "Not Found",
	405: "Method Not Allowed",
	408: "Request Timeout",
	413: "Content Too Large",
	426: "Upgrade Required",
	429: "Too Many Requests",
	431: "Request Header Fields Too Large",
	500: "Internal Server Error",
	503: "Service Unavailable",
	505: "HTTP Version Not Supported",
};

/**
 * A whole response. With a body, `content-length` is added; `latin1` is the encoding of the head, UTF-8 that of the
 * body, so keep to ASCII or encode them apart. Throws `WebSocketError` (`invalid_header`) for a field that would break
 * the message.
 */
export function formatResponse(status: number, headers: HeaderFields, body?: string): string {
	let head = `HTTP/1.1 ${status} ${REASONS[status] ?? "Status"}\r\n${formatFields(headers)}`;
	if (body !== undefined) {
		head += `content-length: ${new TextEncoder().encode(body).length}\r\n`;
	}
	return `${head}\r\n${body ?? ""}`;
}

/** Header fields, each with its line end. */
export function formatFields(headers: HeaderFields): string {
	let text = "";
	for (const [name, value] of Object.entries(headers)) {
		if (!isToken(name) || !isFieldValue(value)) {
			throw new WebSocketError("invalid_header", `header ${JSON.stringify(name)} cannot be sent (RFC 9110 §5.1, §5.5)`);
		}
		text += `${name}: ${value}\r\n`;
	}
	return text;
}

export interface ResponseHead {
	readonly status: number;
	/** Lowercased names to the values received under them. */
	readonly headers: ReadonlyMap<string, readonly string[]>;
}

/**
 * Reads a response's head, without the empty line that ends it. Undefined where it is none: a client does not guess at
 * bare line feeds, folded lines or white space before a colon (RFC 9112 §2.2, §5.1, §5.2).
 */
export function parseResponseHead(text: string): ResponseHead | undefined {
	const lines = text.split("\r\n");
	const status = /^HTTP\/1\.1 ([1-5][0-9][0-9])(?: |$)/.exec(lines[0]!)?.[1];
	if (status === undefined) {
		return undefined;
	}
	const headers = new Map<string, string[]>();
	for (const line of lines.slice(1)) {
		const colon = line.indexOf(":");
		const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
		const value = line.slice(colon + 1).trim();
		if (!isToken(name) || !isFieldValue(value)) {
			return undefined;
		}
		const values = headers.get(name);
		if (values === undefined) {
			headers.set(name, [value]);
		} else {
			values.push(value);
		}
	}
	return { status: Number(status), headers };
}
