/**
 * What a connection holds of a frame whose end has not come: bytes of its header, then what its header said. Payload is
 * not held here: data goes on to the message as it arrives, and only a control frame's few bytes are kept.
 *
 * A connection has one only while a frame is cut by the end of a chunk.
 */
import { type FrameHeader, headerSize, MAX_HEADER_BYTES } from "./header.ts";
import { rotateKey } from "./mask.ts";

export class PartialFrame {
	/** The header as far as it has come. */
	readonly header: Uint8Array = new Uint8Array(MAX_HEADER_BYTES);
	private held = 0;
	/** Bytes of payload still to come; −1 while the header is incomplete. */
	remaining = -1;
	/** The header's first byte. */
	first = 0;
	/** The masking key for the next byte of payload. */
	key = 0;
	/** A control frame's payload as far as it has come. */
	private control: Uint8Array | undefined = undefined;

	/** Takes header bytes from `chunk[at…)` until the header is complete; returns where it stopped. */
	fill(chunk: Uint8Array, at: number): number {
		let next = at;
		while (next < chunk.length && !this.complete) {
			this.header[this.held++] = chunk[next++]!;
		}
		return next;
	}

	get complete(): boolean {
		return this.held >= 2 && this.held >= headerSize(this.header[1]!);
	}

	/** Goes over to the payload. */
	begin(header: FrameHeader): void {
		this.first = header.first;
		this.remaining = header.length;
		this.key = header.key;
	}

	/** `count` bytes of payload have come. */
	advance(count: number): void {
		this.remaining -= count;
		this.key = rotateKey(this.key, count);
	}

	/** Keeps a piece of a control frame's payload; returns all of it once nothing remains. */
	keep(piece: Uint8Array): Uint8Array | undefined {
		const held = this.control ?? new Uint8Array(0);
		const joined = new Uint8Array(held.length + piece.length);
		joined.set(held);
		joined.set(piece, held.length);
		this.control = joined;
		return this.remaining === 0 ? joined : undefined;
	}
}
