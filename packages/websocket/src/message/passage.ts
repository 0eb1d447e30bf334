/**
 * A message that is handed on piece by piece and not held: what remains of it between two pieces is whether its text is
 * UTF-8 so far, and how long it is (RFC 6455 §5.4, §8.1).
 */
import type { Violation } from "../frame/rules.ts";
import { tooLarge } from "./assembly.ts";
import { checkUtf8, type IsUtf8, UTF8_BOUNDARY, UTF8_INVALID } from "./utf8.ts";

export class Passage {
	readonly text: boolean;
	private readonly maxBytes: number;
	private length = 0;
	private utf8 = UTF8_BOUNDARY;

	constructor(text: boolean, maxBytes: number) {
		this.text = text;
		this.maxBytes = maxBytes;
	}

	/** A frame of `announced` payload bytes is about to come. Fragments cost nothing here, so they are not charged. */
	admit(announced: number): Violation | undefined {
		this.length += announced;
		return this.length > this.maxBytes ? tooLarge(this.length, this.maxBytes) : undefined;
	}

	/** Whether the text can be valid with this piece, and as a whole where it is the last. */
	check(chunk: Uint8Array, start: number, end: number, ascii: boolean, last: boolean, quick?: IsUtf8): boolean {
		if (this.text && (!ascii || this.utf8 !== UTF8_BOUNDARY)) {
			this.utf8 = checkUtf8(this.utf8, chunk, start, end, quick);
		}
		return this.utf8 !== UTF8_INVALID && (!last || this.utf8 === UTF8_BOUNDARY);
	}
}
