/**
 * What this side wants of permessage-deflate (RFC 7692): one interface, resolved once and shared by every connection
 * that has the same.
 */
import { WebSocketError } from "../errors.ts";

export interface CompressionOptions {
	/**
	 * Messages of fewer bytes are sent as they are. Raise it where CPU is dearer than bandwidth: a compressed message
	 * costs some 10 µs. Default 64 bytes.
	 */
	readonly threshold?: number;
	/**
	 * Messages of more bytes are sent as they are, because zlib runs on the caller's thread: 1 MiB takes it some 6 ms at
	 * level 1. Lower it where a stall of that length hurts, raise it for bulk. Default 1 MiB.
	 */
	readonly maxDeflateBytes?: number;
	/**
	 * zlib's level, 1–9. Raise it where bandwidth is dear and messages are long: 6 takes four times the CPU of 1 at
	 * 64 KiB, for a seventh less of bytes; below 1 KiB there is no difference. Default 1.
	 */
	readonly level?: number;
	/**
	 * zlib's memLevel, 1–9: an upper bound, short messages get by with less. No memory outlives a call, so there is
	 * seldom a reason to change it. Default 8.
	 */
	readonly memLevel?: number;
	/**
	 * Whether the server compresses each message alone. A server sets it to send one compressed frame to many; a client
	 * to save itself the server's window. Default false.
	 */
	readonly serverNoContextTakeover?: boolean;
	/**
	 * Whether the client compresses each message alone. A server sets it to hold nothing for a connection between two
	 * messages. Default false.
	 */
	readonly clientNoContextTakeover?: boolean;
	/**
	 * The server's window as a power of two, 8–15. A client lowers it to hold less. Default 15: the server holds no
	 * window of its own, whatever this is.
	 */
	readonly serverMaxWindowBits?: number;
	/**
	 * The client's window as a power of two, 8–15. A server holds up to 1.5 times its bytes for every connection whose
	 * client has compressed that much: raise it for few clients with long, similar messages, lower it for memory.
	 * Default 12 for a server, 15 for a client.
	 */
	readonly clientMaxWindowBits?: number;
	/**
	 * Where our side may refer to earlier messages: how many of the latest bytes sent are kept per connection and given
	 * to zlib again. More finds more, and takes zlib longer to begin with every message. Default 2,048 bytes.
	 */
	readonly historyBytes?: number;
}

export interface ResolvedCompression {
	readonly threshold: number;
	readonly maxDeflateBytes: number;
	readonly level: number;
	readonly memLevel: number;
	readonly serverNoContextTakeover: boolean;
	readonly clientNoContextTakeover: boolean;
	readonly serverMaxWindowBits: number;
	/** Undefined: the role's default. */
	readonly clientMaxWindowBits: number | undefined;
	readonly historyBytes: number;
}

/** Fills in the defaults. Throws `WebSocketError` (`invalid_option`) for an option outside of its range. */
export function resolveCompression(options: CompressionOptions = {}): ResolvedCompression {
	const clientBits = options.clientMaxWindowBits;
	return {
		threshold: inRange("threshold", options.threshold ?? 64, 0, 0x7fff_ffff),
		maxDeflateBytes: inRange("maxDeflateBytes", options.maxDeflateBytes ?? 1024 * 1024, 0, 0x7fff_ffff),
		level: inRange("level", options.level ?? 1, 1, 9),
		memLevel: inRange("memLevel", options.memLevel ?? 8, 1, 9),
		serverNoContextTakeover: options.serverNoContextTakeover === true,
		clientNoContextTakeover: options.clientNoContextTakeover === true,
		serverMaxWindowBits: inRange("serverMaxWindowBits", options.serverMaxWindowBits ?? 15, 8, 15),
		clientMaxWindowBits: clientBits === undefined ? undefined : inRange("clientMaxWindowBits", clientBits, 8, 15),
		historyBytes: inRange("historyBytes", options.historyBytes ?? 2_048, 0, 32_768),
	};
}

function inRange(name: string, value: number, least: number, most: number): number {
	if (!Number.isInteger(value) || value < least || value > most) {
		throw new WebSocketError("invalid_option", `${name} is ${value}, must be an integer from ${least} to ${most}`);
	}
	return value;
}
