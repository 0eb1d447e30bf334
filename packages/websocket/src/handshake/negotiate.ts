/**
 * What the server's half of the handshake checks and agrees on, whichever HTTP carries it (RFC 6455 §4.2.2, RFC 8441
 * §5): version, subprotocol, extensions.
 */
import { acceptOffer, type DeflateParameters } from "../deflate/negotiation.ts";
import type { ResolvedCompression } from "../deflate/options.ts";
import { WebSocketError } from "../errors.ts";
import { parseExtensions } from "./extensions.ts";
import { countRaw, fieldValues, type HeaderFields, type HeaderSource, parseTokens } from "./headers.ts";

export interface RequestFields {
	readonly headers: HeaderSource;
	/** Name, value, name, value …, as received: shows duplicates that `headers` hides. */
	readonly rawHeaders?: readonly string[];
}

export interface NegotiateOptions {
	/** Chooses one of the offered subprotocols, or none. Without it none is chosen. */
	readonly protocols?: (offered: readonly string[]) => string | undefined;
	/** What is accepted of permessage-deflate (RFC 7692). Default: it is not. */
	readonly compression?: ResolvedCompression;
}

/** What both ends have agreed on. */
export interface Agreement {
	readonly protocol?: string;
	/** Present where permessage-deflate was agreed on: for `messageCompression`. */
	readonly compression?: DeflateParameters;
}

export type Negotiation =
	| { readonly ok: true; readonly headers: HeaderFields; readonly agreed: Agreement }
	| { readonly ok: false; readonly reason: string };

/** The first of the names that stands more than once, with the rule that it breaks. */
export function findRepeated(request: RequestFields, names: readonly string[]): string | undefined {
	for (const name of names) {
		const count = Math.max(
			fieldValues(request.headers, name).length,
			request.rawHeaders === undefined ? 0 : countRaw(request.rawHeaders, name),
		);
		if (count > 1) {
			return `the ${name} header stands ${count} times, at most once (RFC 6455 §11.3)`;
		}
	}
	return undefined;
}

/** Whether the client speaks the one version there is (RFC 6455 §4.2.1, item 6). */
export function isVersion13(headers: HeaderSource): boolean {
	return fieldValues(headers, "sec-websocket-version")[0]?.trim() === "13";
}

/**
 * Agrees on a subprotocol and on compression. Throws `WebSocketError` (`protocol_not_offered`) when `protocols` chooses
 * what was not offered.
 */
export function negotiate({ headers }: RequestFields, { protocols, compression }: NegotiateOptions): Negotiation {
	const offered = parseTokens(fieldValues(headers, "sec-websocket-protocol"));
	if (offered === undefined || new Set(offered).size !== offered.length) {
		return { ok: false, reason: "the Sec-WebSocket-Protocol header must be a list of unique tokens (RFC 6455 §4.1)" };
	}
	// Nobody reads the field where no extension is known.
	const extensions = compression === undefined ? [] : parseExtensions(fieldValues(headers, "sec-websocket-extensions"));
	if (extensions === undefined) {
		return { ok: false, reason: "the Sec-WebSocket-Extensions header breaks its grammar (RFC 6455 §9.1)" };
	}
	const deflate = compression === undefined ? undefined : acceptOffer(extensions, compression);
	const protocol = offered.length === 0 ? undefined : protocols?.(offered);
	if (protocol !== undefined && !offered.includes(protocol)) {
		throw new WebSocketError(
			"protocol_not_offered",
			`subprotocol ${JSON.stringify(protocol)} was not offered by the client (RFC 6455 §4.2.2)`,
		);
	}
	return {
		ok: true,
		headers: {
			...(deflate === undefined ? undefined : { "sec-websocket-extensions": deflate.field }),
			...(protocol === undefined ? undefined : { "sec-websocket-protocol": protocol }),
		},
		agreed: {
			...(deflate === undefined ? undefined : { compression: deflate.parameters }),
			...(protocol === undefined ? undefined : { protocol }),
		},
	};
}
