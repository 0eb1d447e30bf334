/**
 * A message that comes in several frames or chunks, coalesced into one growing buffer (RFC 6455 §5.4). Memory follows
 * the bytes that came, never the length that was announced and never the number of fragments.
 */
import { CLOSE } from "../frame/close.ts";
import type { Violation } from "../frame/rules.ts";
import { checkUtf8, UTF8_BOUNDARY, UTF8_INVALID } from "./utf8.ts";

/**
 * What a fragment is charged at least. Smaller ones use up an allowance of the message limit's size, so that a flood
 * of empty fragments ends as well: at 16 MiB after 524,288 of them.
 */
const LEAST_FRAGMENT_BYTES = 32;

const FIRST_CAPACITY = 512;

export class Assembly {
	readonly text: boolean;
	/** Its text is checked after inflating, then. */
	readonly compressed: boolean;
	private readonly maxBytes: number;
	private buffer: Uint8Array | undefined = undefined;
	private length = 0;
	/** What fragments below the least size were charged above their own bytes. */
	private surcharge = 0;
	private utf8 = UTF8_BOUNDARY;

	constructor(text: boolean, compressed: boolean, maxBytes: number) {
		this.text = text;
		this.compressed = compressed;
		this.maxBytes = maxBytes;
	}

	/** A frame of `announced` payload bytes is about to come. `fragment`: the message does not consist of it alone. */
	admit(announced: number, fragment: boolean): Violation | undefined {
		if (announced > this.maxBytes - this.length) {
			return tooLarge(this.length + announced, this.maxBytes);
		}
		if (fragment && announced < LEAST_FRAGMENT_BYTES) {
			this.surcharge += LEAST_FRAGMENT_BYTES - announced;
			if (this.surcharge > Math.max(this.maxBytes, LEAST_FRAGMENT_BYTES * 1_024)) {
				return { code: CLOSE.policy, text: `a message of too many fragments below ${LEAST_FRAGMENT_BYTES} bytes` };
			}
		}
		return undefined;
	}

	/**
	 * Takes unmasked payload; `due` more bytes of the same frame are announced. `ascii`: known to be ASCII only.
	 * Returns whether the text can still become valid.
	 */
	append(chunk: Uint8Array, start: number, end: number, ascii: boolean, due: number): boolean {
		if (this.text && !this.compressed && (!ascii || this.utf8 !== UTF8_BOUNDARY)) {
			this.utf8 = checkUtf8(this.utf8, chunk, start, end);
			if (this.utf8 === UTF8_INVALID) {
				return false;
			}
		}
		const length = this.length + (end - start);
		const buffer = this.reserve(length, length + due);
		if (end - start < 64) {
			for (let from = start, to = this.length; from < end; from++, to++) {
				buffer[to] = chunk[from]!;
			}
		} else {
			buffer.set(chunk.subarray(start, end), this.length);
		}
		this.length = length;
		return true;
	}

	/** The whole message, or undefined where a text ends in mid-character. */
	finish(): Uint8Array | undefined {
		if (this.utf8 !== UTF8_BOUNDARY) {
			return undefined;
		}
		return this.buffer === undefined ? new Uint8Array(0) : this.buffer.subarray(0, this.length);
	}

	/** Room for `needed` bytes: doubled each time, but not beyond the limit. */
	private reserve(needed: number, foreseen: number): Uint8Array {
		const buffer = this.buffer;
		const capacity = buffer?.length ?? 0;
		if (buffer !== undefined && needed <= capacity) {
			return buffer;
		}
		const doubled = Math.max(needed, Math.min(this.maxBytes, Math.max(capacity * 2, FIRST_CAPACITY)));
		// A frame whose end is near needs no more than its end.
		const grown = new Uint8Array(foreseen > needed && foreseen < doubled ? foreseen : doubled);
		if (buffer !== undefined) {
			grown.set(buffer.subarray(0, this.length));
		}
		this.buffer = grown;
		return grown;
	}
}

export function tooLarge(bytes: number, limit: number): Violation {
	return { code: CLOSE.tooLarge, text: `a message of ${bytes} bytes, at most ${limit} (RFC 6455 §7.4.1)` };
}
