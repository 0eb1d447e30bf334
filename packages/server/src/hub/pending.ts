/**
 * What one flush is about to write to a connection: a list of slices, as a path in a trie that lives for that flush.
 * Connections with equal lists (nearly all: the same channels at the same cursors) reach the same node, and share the
 * one buffer that it concatenates.
 */
export class Pending {
	readonly #parent: Pending | undefined;
	readonly #slice: Uint8Array;
	readonly #length: number;
	#bytes: Uint8Array | undefined;
	/** A cache of one: subscribers are walked channel by channel, so the next asks for the same step. */
	#lastSlice: Uint8Array | undefined;
	#lastNext: Pending | undefined;

	private constructor(parent: Pending | undefined, slice: Uint8Array) {
		this.#parent = parent;
		this.#slice = slice;
		this.#length = (parent === undefined ? 0 : parent.#length) + slice.length;
	}

	static root(): Pending {
		return new Pending(undefined, new Uint8Array(0));
	}

	/** The list with one slice more. Slices are compared by identity. */
	with(slice: Uint8Array): Pending {
		if (this.#lastSlice !== slice || this.#lastNext === undefined) {
			this.#lastSlice = slice;
			this.#lastNext = new Pending(this, slice);
		}
		return this.#lastNext;
	}

	/** All slices of the list in one buffer. */
	bytes(): Uint8Array {
		if (this.#bytes === undefined) {
			this.#bytes = this.#length === this.#slice.length ? this.#slice : this.#concatenate();
		}
		return this.#bytes;
	}

	#concatenate(): Uint8Array {
		const all = Buffer.allocUnsafeSlow(this.#length);
		let end = this.#length;
		let node: Pending | undefined = this;
		while (node !== undefined) {
			end -= node.#slice.length;
			all.set(node.#slice, end);
			node = node.#parent;
		}
		return all;
	}
}
