/**
 * How long to wait before the next try: exponential with full jitter, so that many clients that lost the same server
 * do not come back together. Randomness is an argument. What a server asks for counts too, within bounds.
 */

export interface Backoff {
	/** The first wait is at most this long. */
	readonly baseMs: number;
	/** No wait of our own choosing is longer. */
	readonly maxMs: number;
}

/** No server may keep a client away for longer than this (S45). */
export const MAX_HINT_MS = 120_000;

/**
 * The wait before try number `attempt` (0 is the first after a loss). `random` is at least 0 and below 1. `hint` is
 * what the server asked for, in seconds: it can lengthen a wait, never shorten it, so `0` starts no storm.
 */
export function backoffMs(backoff: Backoff, attempt: number, random: number, hint?: number): number {
	// 2 ** 31 is far beyond any maximum; more would only reach Infinity.
	const ceiling = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(attempt, 31));
	return Math.max(random * ceiling, hintMs(hint));
}

/** A server's figure in seconds as milliseconds, at most `maxMs`; 0 where it is no usable number. */
export function hintMs(hint: unknown, maxMs: number = MAX_HINT_MS): number {
	return typeof hint === "number" && hint > 0 ? Math.min(hint * 1000, maxMs) : 0;
}
