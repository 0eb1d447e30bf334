/**
 * Which pages may connect (cross-site WebSocket hijacking). Browsers send `Origin` with every WebSocket handshake and
 * pages cannot forge it; programs send none, and are let through without cookies.
 */

/** `same`: the page was served by this host; `listed`: its origin is allowed; `none`: no page. */
export type OriginVerdict = "same" | "listed" | "none" | "foreign";

export function judgeOrigin(
	origin: string | undefined,
	host: string | undefined,
	allowed: "*" | readonly string[],
): OriginVerdict {
	if (origin === undefined) {
		return "none";
	}
	// Compared as serialised origins (RFC 6454 §6.2): no prefix, suffix or pattern that a look-alike could satisfy.
	if (allowed === "*" || allowed.includes(origin)) {
		return "listed";
	}
	return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`) ? "same" : "foreign";
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
