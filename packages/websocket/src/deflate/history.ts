/**
 * The latest bytes of one direction of a connection: what lies in the inflater's window there, and so what a DEFLATE
 * stream may refer back to (RFC 7692 §7.2.1). Takes memory by what has passed, up to 1.5 times its bound.
 */
const EMPTY = new Uint8Array(0);

export class History {
	private readonly bound: number;
	private buffer: Uint8Array = EMPTY;
	private start = 0;
	private end = 0;

	constructor(bound: number) {
		this.bound = bound;
	}

	/** At most `bound` bytes, valid until the next `append`; undefined while there are none. */
	get latest(): Uint8Array | undefined {
		return this.end === this.start ? undefined : this.buffer.subarray(this.start, this.end);
	}

	append(bytes: Uint8Array): void {
		const added = bytes.length > this.bound ? bytes.subarray(bytes.length - this.bound) : bytes;
		const kept = Math.min(this.end - this.start, this.bound - added.length);
		if (this.end + added.length > this.buffer.length) {
			this.move(kept, kept + added.length);
		}
		this.buffer.set(added, this.end);
		this.end += added.length;
		this.start = Math.max(this.start, this.end - this.bound);
	}

	/** Makes room behind the last `kept` bytes: in place where half of the bound is free, else in a larger buffer. */
	private move(kept: number, needed: number): void {
		const from = this.end - kept;
		const most = this.bound + (this.bound >>> 1);
		if (this.buffer.length === most) {
			this.buffer.copyWithin(0, from, this.end);
		} else {
			const grown = new Uint8Array(needed * 2 > most ? most : needed);
			grown.set(this.buffer.subarray(from, this.end));
			this.buffer = grown;
		}
		this.start = 0;
		this.end = kept;
	}
}
