/**
 * permessage-deflate's four parameters as they are negotiated (RFC 7692 §5, §7.1): offers in, an agreement out. What a
 * peer writes wrong never throws: a server declines that offer and looks at the next, a client fails the connection.
 */
import type { Extension } from "../handshake/extensions.ts";
import type { ResolvedCompression } from "./options.ts";

const EXTENSION_NAME = "permessage-deflate";

/** What both sides have agreed on. */
export interface DeflateParameters {
	readonly serverNoContextTakeover: boolean;
	readonly clientNoContextTakeover: boolean;
	/** 8–15. */
	readonly serverMaxWindowBits: number;
	/** 8–15. */
	readonly clientMaxWindowBits: number;
}

const MAX_WINDOW_BITS = 15;
/** 4 KiB: what a server holds for a client, where nothing else is said. */
const SERVER_CLIENT_WINDOW_BITS = 12;

/** One offer's or answer's parameters, as written. */
interface Written {
	serverNoContextTakeover: boolean;
	clientNoContextTakeover: boolean;
	serverMaxWindowBits: number | undefined;
	/** True: the client can limit its window, and leaves it to the server. */
	clientMaxWindowBits: number | true | undefined;
}

/**
 * The server's choice: the first offer that it can accept, and how it says so; undefined where there is none. `offers`
 * are all of the request's extensions.
 */
export function acceptOffer(
	offers: readonly Extension[],
	options: ResolvedCompression,
): { readonly parameters: DeflateParameters; readonly field: string } | undefined {
	for (const offer of offers) {
		const written = offer.name === EXTENSION_NAME ? readParameters(offer) : undefined;
		if (written !== undefined) {
			return accept(written, options);
		}
	}
	return undefined;
}

function accept(
	offer: Written,
	options: ResolvedCompression,
): { readonly parameters: DeflateParameters; readonly field: string } {
	const serverBits = Math.min(options.serverMaxWindowBits, offer.serverMaxWindowBits ?? MAX_WINDOW_BITS);
	const wanted = options.clientMaxWindowBits ?? SERVER_CLIENT_WINDOW_BITS;
	// §7.1.2.2: only a client that has said so can be asked to limit its window.
	const clientBits =
		offer.clientMaxWindowBits === undefined
			? MAX_WINDOW_BITS
			: Math.min(wanted, offer.clientMaxWindowBits === true ? MAX_WINDOW_BITS : offer.clientMaxWindowBits);
	const parameters = {
		serverNoContextTakeover: offer.serverNoContextTakeover || options.serverNoContextTakeover,
		// One that cannot is asked to begin anew with each message, so that we hold no window larger than we want (§7.1.1.2).
		clientNoContextTakeover: offer.clientNoContextTakeover || options.clientNoContextTakeover || clientBits > wanted,
		serverMaxWindowBits: serverBits,
		clientMaxWindowBits: clientBits,
	};
	let field = EXTENSION_NAME;
	if (parameters.serverNoContextTakeover) {
		field += "; server_no_context_takeover";
	}
	if (parameters.clientNoContextTakeover) {
		field += "; client_no_context_takeover";
	}
	// §7.1.2.1: an offer that limits the server's window is accepted with the same or a smaller one, said.
	if (offer.serverMaxWindowBits !== undefined || serverBits < MAX_WINDOW_BITS) {
		field += `; server_max_window_bits=${serverBits}`;
	}
	if (offer.clientMaxWindowBits !== undefined && clientBits < MAX_WINDOW_BITS) {
		field += `; client_max_window_bits=${clientBits}`;
	}
	return { parameters, field };
}

/** What a client offers: one offer, which every server that knows the extension can accept. */
export function formatOffer(options: ResolvedCompression): string {
	let field = EXTENSION_NAME;
	if (options.serverNoContextTakeover) {
		field += "; server_no_context_takeover";
	}
	if (options.clientNoContextTakeover) {
		field += "; client_no_context_takeover";
	}
	if (options.serverMaxWindowBits < MAX_WINDOW_BITS) {
		field += `; server_max_window_bits=${options.serverMaxWindowBits}`;
	}
	const clientBits = options.clientMaxWindowBits ?? MAX_WINDOW_BITS;
	return `${field}; client_max_window_bits${clientBits < MAX_WINDOW_BITS ? `=${clientBits}` : ""}`;
}

/**
 * The client's view of the answer to `formatOffer(options)`: what was agreed on; undefined where the server declined; or
 * why the connection must fail (§5.2, §7.1).
 */
export function verifyAnswer(
	answer: readonly Extension[],
	options: ResolvedCompression | undefined,
): DeflateParameters | undefined | { readonly reason: string } {
	const [extension, second] = answer;
	if (extension === undefined) {
		return undefined;
	}
	if (second !== undefined || extension.name !== EXTENSION_NAME || options === undefined) {
		return { reason: "the server chose an extension that was not offered (RFC 6455 §4.1)" };
	}
	const written = readParameters(extension);
	if (written === undefined || written.clientMaxWindowBits === true) {
		return { reason: "the server's permessage-deflate has parameters that are not valid (RFC 7692 §7.1)" };
	}
	const serverBits = written.serverMaxWindowBits ?? MAX_WINDOW_BITS;
	if (serverBits > options.serverMaxWindowBits) {
		return { reason: "the server does not limit its window as was asked (RFC 7692 §7.1.2.1)" };
	}
	if (options.serverNoContextTakeover && !written.serverNoContextTakeover) {
		return { reason: "the server does not go without context takeover as was asked (RFC 7692 §7.1.1.1)" };
	}
	const offered = options.clientMaxWindowBits ?? MAX_WINDOW_BITS;
	if ((written.clientMaxWindowBits ?? 0) > offered) {
		return { reason: "the server allows a larger window than was offered (RFC 7692 §7.1.2.2)" };
	}
	return {
		serverNoContextTakeover: written.serverNoContextTakeover,
		// What the client has offered to go without, it goes without.
		clientNoContextTakeover: written.clientNoContextTakeover || options.clientNoContextTakeover,
		serverMaxWindowBits: serverBits,
		clientMaxWindowBits: written.clientMaxWindowBits ?? offered,
	};
}

/** Undefined for unknown or repeated parameters and values out of range: such an offer is to be declined (§7.1). */
function readParameters(extension: Extension): Written | undefined {
	const written: Written = {
		serverNoContextTakeover: false,
		clientNoContextTakeover: false,
		serverMaxWindowBits: undefined,
		clientMaxWindowBits: undefined,
	};
	for (const [name, value] of extension.parameters) {
		switch (name) {
			case "server_no_context_takeover":
				if (written.serverNoContextTakeover || value !== undefined) {
					return undefined;
				}
				written.serverNoContextTakeover = true;
				break;
			case "client_no_context_takeover":
				if (written.clientNoContextTakeover || value !== undefined) {
					return undefined;
				}
				written.clientNoContextTakeover = true;
				break;
			case "server_max_window_bits": {
				const bits = windowBits(value);
				if (written.serverMaxWindowBits !== undefined || bits === undefined) {
					return undefined;
				}
				written.serverMaxWindowBits = bits;
				break;
			}
			case "client_max_window_bits": {
				const bits = value === undefined ? true : windowBits(value);
				if (written.clientMaxWindowBits !== undefined || bits === undefined) {
					return undefined;
				}
				written.clientMaxWindowBits = bits;
				break;
			}
			default:
				return undefined;
		}
	}
	return written;
}

/** §7.1.2: a decimal integer without leading zeroes, from 8 to 15. */
function windowBits(value: string | undefined): number | undefined {
	return value !== undefined && /^(?:[89]|1[0-5])$/.test(value) ? Number(value) : undefined;
}
