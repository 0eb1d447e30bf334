/**
 * The limits of a connection: one interface, resolved once and shared by every connection that has the same.
 */
import { WebSocketError } from "./errors.ts";

export interface Limits {
	/**
	 * The longest message, in bytes after reassembly. Lower it to what your application sends: it bounds what one
	 * connection can hold. Above it a connection ends with 1009. Default 16 MiB.
	 */
	readonly maxMessageBytes?: number;
	/**
	 * The longest message that is received piece by piece (`Handler.piece`), in bytes. Such a message is not held, so set
	 * it to what your application can store or is willing to read. A compressed one is inflated as a whole, so
	 * `maxMessageBytes` counts for it. Default: none.
	 */
	readonly maxPiecedMessageBytes?: number;
	/**
	 * How many pings of one received chunk are answered each on its own. Of those above only the latest is answered,
	 * which RFC 6455 §5.5.3 allows. There is seldom a reason to change it. Default 32.
	 */
	readonly maxPongsPerChunk?: number;
	/**
	 * How long the peer has, in milliseconds, to answer our close frame and to close TCP, before the transport is
	 * destroyed. Raise it for links with minutes of delay. Default 5,000.
	 */
	readonly closeTimeoutMs?: number;
}

export type ResolvedLimits = Required<Limits>;

/** Fills in the defaults. Throws `WebSocketError` (`invalid_option`) for a limit outside of its range. */
export function resolveLimits(limits: Limits = {}): ResolvedLimits {
	return {
		// A Uint8Array can be longer, but no honest peer sends one message of more than 2^31 - 1 bytes.
		maxMessageBytes: inRange("maxMessageBytes", limits.maxMessageBytes ?? 16 * 1024 * 1024, 0, 0x7fff_ffff),
		maxPiecedMessageBytes: inRange(
			"maxPiecedMessageBytes",
			limits.maxPiecedMessageBytes ?? Number.MAX_SAFE_INTEGER,
			0,
			Number.MAX_SAFE_INTEGER,
		),
		maxPongsPerChunk: inRange("maxPongsPerChunk", limits.maxPongsPerChunk ?? 32, 0, 65_536),
		closeTimeoutMs: inRange("closeTimeoutMs", limits.closeTimeoutMs ?? 5_000, 0, 0x7fff_ffff),
	};
}

function inRange(name: string, value: number, least: number, most: number): number {
	if (!Number.isInteger(value) || value < least || value > most) {
		throw new WebSocketError("invalid_option", `${name} is ${value}, must be an integer from ${least} to ${most}`);
	}
	return value;
}
