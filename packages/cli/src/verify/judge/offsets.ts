/** Sets of a log's offsets: a bit each, because a run delivers millions. Pure. */

export interface Range {
	readonly from: number;
	readonly to: number;
}

export class OffsetSet {
	#bits = new Uint8Array(128);

	has(offset: number): boolean {
		return ((this.#bits[offset >>> 3] ?? 0) & (1 << (offset & 7))) !== 0;
	}

	add(offset: number): void {
		const at = offset >>> 3;
		if (at >= this.#bits.length) {
			const grown = new Uint8Array(Math.max(at + 1, this.#bits.length * 2));
			grown.set(this.#bits);
			this.#bits = grown;
		}
		this.#bits[at]! |= 1 << (offset & 7);
	}

	/** Forgets all offsets above this one. */
	dropAfter(offset: number): void {
		const at = (offset + 1) >>> 3;
		if (at < this.#bits.length) {
			this.#bits[at]! &= (1 << ((offset + 1) & 7)) - 1;
			this.#bits.fill(0, at + 1);
		}
	}
}

export function covers(ranges: readonly Range[], offset: number): boolean {
	return ranges.some(({ from, to }) => from <= offset && offset <= to);
}
