/**
 * How long to wait before the next try: exponential with full jitter, so that many clients that lost the same server
 * do not come back together. Randomness is an argument. What a server asks for counts too, within bounds.
 */

/** The first wait is at most this long. */
const BASE_MS = 1_000;

/** No server may keep a client away for longer than this (S45). */
export const MAX_HINT_MS = 120_000;

/**
 * The wait before try number `attempt` (0 is the first after a loss), at most `maxMs` of our own choosing. `random` is
 * at least 0 and below 1. `hint` is what the server asked for, in seconds: it can lengthen a wait, never shorten it, so
 * `0` starts no storm.
 */
export function backoffMs(maxMs: number, attempt: number, random: number, hint?: number): number {
	return Math.max(random * Math.min(maxMs, BASE_MS * 2 ** attempt), hintMs(hint));
}

/** A server's figure in seconds as milliseconds, at most `maxMs`; 0 where it is no usable number. */
export function hintMs(hint: unknown, maxMs: number = MAX_HINT_MS): number {
	return typeof hint === "number" && hint > 0 ? Math.min(hint * 1000, maxMs) : 0;
}
