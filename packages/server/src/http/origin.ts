/**
 * Which pages may connect (cross-site WebSocket hijacking). Browsers send `Origin` with every WebSocket handshake and
 * pages cannot forge it; programs send none, and are let through without cookies.
 */

/**
 * `same`: the page was served by this host; `listed`: its origin is allowed by name; `any`: all are, so it may connect,
 * but nobody vouches for it and its cookies do not count; `none`: no page.
 */
export type OriginVerdict = "same" | "listed" | "any" | "none" | "foreign";

/** `encrypted`: the request came over TLS that ends here. Where it ends at a proxy, the page's own scheme is not known. */
export function judgeOrigin(
	origin: string | undefined,
	host: string | undefined,
	allowed: "*" | readonly string[],
	encrypted: boolean,
): OriginVerdict {
	if (origin === undefined) {
		return "none";
	}
	// Compared as serialised origins (RFC 6454 §6.2): no prefix, suffix or pattern that a look-alike could satisfy.
	if (host !== undefined && (origin === `https://${host}` || (!encrypted && origin === `http://${host}`))) {
		return "same";
	}
	if (allowed === "*") {
		return "any";
	}
	return allowed.includes(origin) ? "listed" : "foreign";
}

/** Whether a text is an origin as browsers send it: scheme and host in lower case, no path, and never `null`. */
export function isOrigin(text: string): boolean {
	return /^[a-z][a-z0-9+.-]*:\/\/[^/?#@\sA-Z*]*$/.test(text);
}

/** Whether a `Host` or an origin's host names this machine, with or without a port. Guards against DNS rebinding. */
export function isLoopbackHost(host: string): boolean {
	return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/.test(host);
}

export function isLoopbackOrigin(origin: string): boolean {
	const match = /^https?:\/\/(.*)$/.exec(origin);
	return match !== null && isLoopbackHost(match[1]!);
}

/** Whether a peer's address is this machine's own. */
export function isLoopbackAddress(address: string | undefined): boolean {
	return address !== undefined && /^(::ffff:)?127\.|^::1$/.test(address);
}
