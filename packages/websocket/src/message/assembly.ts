/**
 * A message that comes in several frames or chunks (RFC 6455 §5.4): short pieces are coalesced into one growing buffer,
 * long ones kept as they came and joined once, at the end. Memory follows the bytes that came, never the length that was
 * announced and never the number of fragments.
 */
import type { Allocate } from "../frame/build.ts";
import { CLOSE } from "../frame/close.ts";
import type { Violation } from "../frame/rules.ts";
import { checkUtf8, type IsUtf8, UTF8_BOUNDARY, UTF8_INVALID } from "./utf8.ts";

/**
 * What a fragment is charged at least. Smaller ones use up an allowance of the message limit's size, so that a flood
 * of empty fragments ends as well: at 16 MiB after 524,288 of them.
 */
const LEAST_FRAGMENT_BYTES = 32;

const FIRST_CAPACITY = 512;
/** Above what a transport builds its frames in. */
const LEAST_ALLOCATED = 32 * 1024;
/** From how many bytes on a piece is kept as it came. */
const VIEW_FROM = 4_096;

export class Assembly {
	readonly text: boolean;
	/** Its text is checked after inflating, then. */
	readonly compressed: boolean;
	private readonly maxBytes: number;
	/** Long pieces as they came, and between them what short ones were gathered into. */
	private readonly pieces: Uint8Array[] = [];
	/** Where short pieces are gathered. */
	private tail: Uint8Array | undefined = undefined;
	private tailLength = 0;
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
	 * Takes unmasked payload, a long piece of it without a copy. `ascii`: known to be ASCII only. Returns whether the text
	 * can still become valid.
	 */
	append(chunk: Uint8Array, start: number, end: number, ascii: boolean, quick?: IsUtf8): boolean {
		if (this.text && !this.compressed && (!ascii || this.utf8 !== UTF8_BOUNDARY)) {
			this.utf8 = checkUtf8(this.utf8, chunk, start, end, quick);
			if (this.utf8 === UTF8_INVALID) {
				return false;
			}
		}
		const bytes = end - start;
		this.length += bytes;
		// A view keeps all of the memory that it looks at, so half of that must be the message's.
		if (bytes >= VIEW_FROM && bytes * 2 >= chunk.buffer.byteLength) {
			this.endTail();
			this.pieces.push(new Uint8Array(chunk.buffer, chunk.byteOffset + start, bytes));
			return true;
		}
		const tail = this.reserve(bytes);
		if (bytes < 64) {
			for (let from = start, to = this.tailLength; from < end; from++, to++) {
				tail[to] = chunk[from]!;
			}
		} else {
			tail.set(chunk.subarray(start, end), this.tailLength);
		}
		this.tailLength += bytes;
		return true;
	}

	/** The whole message, in one piece, or undefined where a text ends in mid-character. */
	finish(allocate: Allocate | undefined): Uint8Array | undefined {
		if (this.utf8 !== UTF8_BOUNDARY) {
			return undefined;
		}
		this.endTail();
		const { pieces, length } = this;
		if (pieces.length === 1) {
			return pieces[0];
		}
		// Short memory is for what is written before this call returns; a message is its reader's.
		const whole = allocate === undefined || length < LEAST_ALLOCATED ? new Uint8Array(length) : allocate(length);
		let at = 0;
		for (const piece of pieces) {
			whole.set(piece, at);
			at += piece.length;
		}
		return whole;
	}

	/** What the tail holds becomes a piece. */
	private endTail(): void {
		if (this.tail !== undefined && this.tailLength > 0) {
			this.pieces.push(this.tail.subarray(0, this.tailLength));
		}
		this.tail = undefined;
		this.tailLength = 0;
	}

	/** Room for `more` bytes in the tail, which doubles each time, but not beyond the limit. */
	private reserve(more: number): Uint8Array {
		const { tail } = this;
		const needed = this.tailLength + more;
		if (tail !== undefined && needed <= tail.length) {
			return tail;
		}
		const doubled = Math.max((tail?.length ?? 0) * 2, FIRST_CAPACITY);
		const grown = new Uint8Array(Math.max(needed, Math.min(this.maxBytes, doubled)));
		if (tail !== undefined) {
			grown.set(tail.subarray(0, this.tailLength));
		}
		this.tail = grown;
		return grown;
	}
}

export function tooLarge(bytes: number, limit: number): Violation {
	return { code: CLOSE.tooLarge, text: `a message of ${bytes} bytes, at most ${limit} (RFC 6455 §7.4.1)` };
}
