/**
 * DEFLATE for the core's argument, from `node:zlib`, by its synchronous calls: a zlib stream per connection costs
 * 300 kB with the usual settings, and each asynchronous step of one some 50 µs of CPU for its way through the thread
 * pool. A call here costs, in user CPU on a 2-core EPYC with Node 24:
 *
 * | bytes | deflate, level 1 | level 6 | inflate | with a dictionary of 4 KiB: deflate | of 32 KiB: inflate |
 * | 125 B | 11 µs | 11 µs | 4 µs | 13 µs | 13 µs |
 * | 1 KiB | 14 µs | 17 µs | 7 µs | 20 µs | 13 µs |
 * | 64 KiB | 0.3 ms | 1.2 ms | 0.08 ms | | 0.10 ms |
 * | 1 MiB | 6 ms | 16–20 ms | 1.6 ms | | 2 ms |
 *
 * Node's public API can neither reset a stream and write to it synchronously nor share one handle, so each call makes
 * one; what keeps that cheap is to make it as small as the message allows: window, hash table and output buffer.
 */
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import type { DeflateEngine, InflateResult } from "../deflate/compression.ts";
import type { ResolvedCompression } from "../deflate/options.ts";

/** What a sender leaves away (RFC 7692 §7.2.1), and behind it an empty final block, so that a stream cut short shows. */
const TAIL = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0x03, 0x00);
const REMOVED_TAIL_BYTES = 4;
/** zlib never looks further back than the window less this: a window of 9 bits reaches 250 bytes, within one of 8. */
const LOOKAHEAD_BYTES = 262;
/**
 * How often a message may begin a new stream (§7.2.3.4 allows final blocks inside of a message). No known sender does it
 * more than once, and each costs a call.
 */
const MAX_STREAMS = 16;
const MAX_CHUNK_BYTES = 64 * 1024;

/** By its options: connections that have the same share it, and with it what `messageCompression` shares. */
const engines = new Map<string, DeflateEngine>();

export function zlibEngine({ level, memLevel }: Pick<ResolvedCompression, "level" | "memLevel">): DeflateEngine {
	const key = `${level} ${memLevel}`;
	let engine = engines.get(key);
	if (engine === undefined) {
		engine = makeEngine(level, memLevel);
		engines.set(key, engine);
	}
	return engine;
}

function makeEngine(level: number, memLevel: number): DeflateEngine {
	return {
		deflate(payload, windowBits, dictionary) {
			const within = payload.length + (dictionary?.length ?? 0) + LOOKAHEAD_BYTES;
			// zlib's raw deflate is broken at 8 bits; its 9 stays within 8 (LOOKAHEAD_BYTES).
			const bits = Math.min(Math.max(windowBits, 9), Math.max(9, bitsOf(within)));
			const deflated = deflateRawSync(payload, {
				level,
				// From 2^(memLevel + 6) symbols on zlib ends a block: so many that a short message stays one.
				memLevel: Math.min(memLevel, Math.max(1, bitsOf(within) - 6)),
				windowBits: bits,
				chunkSize: Math.min(payload.length + 64, MAX_CHUNK_BYTES),
				finishFlush: constants.Z_SYNC_FLUSH,
				...(dictionary === undefined ? {} : { dictionary }),
			});
			return deflated.subarray(0, deflated.length - REMOVED_TAIL_BYTES);
		},
		inflate,
	};
}

function inflate(payload: Uint8Array, maxBytes: number, dictionary: Uint8Array | undefined): InflateResult {
	const stream = Buffer.concat([payload, TAIL]);
	const outputs: Uint8Array[] = [];
	let used = 0;
	let bytes = 0;
	try {
		// Behind a final block that is the sender's own comes what is left of the message: a new stream, the same window.
		for (let streams = 0; used < payload.length; streams++) {
			if (streams === MAX_STREAMS) {
				return "invalid";
			}
			const window = outputs.length === 0 ? dictionary : joinWindow(dictionary, outputs);
			const { buffer, engine } = inflateOnce(used === 0 ? stream : stream.subarray(used), maxBytes - bytes, window);
			outputs.push(buffer);
			bytes += buffer.length;
			used += engine.bytesWritten;
		}
	} catch (error) {
		return (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE" ? "too_large" : "invalid";
	}
	return bytes > maxBytes ? "too_large" : outputs.length === 1 ? outputs[0]! : Buffer.concat(outputs);
}

interface Inflated {
	readonly buffer: Buffer;
	/** `bytesWritten`: how much of the input was used up. */
	readonly engine: { readonly bytesWritten: number };
}

function inflateOnce(stream: Uint8Array, maxBytes: number, dictionary: Uint8Array | undefined): Inflated {
	// `info` is documented, but not in the types.
	return inflateRawSync(stream, {
		info: true,
		// Most text shrinks to a third or less, so that one piece of output does in most cases.
		chunkSize: Math.min(Math.max(stream.length * 4, 256), MAX_CHUNK_BYTES + 64),
		// zlib takes memory piece by piece and gives up at the first piece that exceeds this (S14). 0 would be refused.
		maxOutputLength: Math.max(maxBytes, 1),
		...(dictionary === undefined ? {} : { dictionary }),
	}) as unknown as Inflated;
}

function joinWindow(dictionary: Uint8Array | undefined, outputs: readonly Uint8Array[]): Uint8Array | undefined {
	const joined = Buffer.concat(dictionary === undefined ? outputs : [dictionary, ...outputs]);
	return joined.length === 0 ? undefined : joined.subarray(-32_768);
}

/** The least b with 2^b ≥ n. */
function bitsOf(n: number): number {
	return 32 - Math.clz32(n - 1);
}
