/**
 * What one flush writes to a connection: a list of frames, as a path in a trie that lives for one turn. Connections with
 * equal lists (nearly all: the same channels at the same cursors) reach the same node, and share the one buffer that it
 * concatenates.
 */
export class Pending {
	readonly #parent: Pending | undefined;
	readonly #frames: Uint8Array;
	readonly #length: number;
	#bytes: Uint8Array | undefined;
	/** A cache of one: subscribers are walked channel by channel, so the next asks for the same step. */
	#lastFrames: Uint8Array | undefined;
	#lastNext: Pending | undefined;

	private constructor(parent: Pending | undefined, frames: Uint8Array) {
		this.#parent = parent;
		this.#frames = frames;
		this.#length = (parent === undefined ? 0 : parent.#length) + frames.length;
	}

	static root(): Pending {
		return new Pending(undefined, new Uint8Array(0));
	}

	/** The list with one piece more. Pieces are compared by identity. */
	with(frames: Uint8Array): Pending {
		if (this.#lastFrames !== frames || this.#lastNext === undefined) {
			this.#lastFrames = frames;
			this.#lastNext = new Pending(this, frames);
		}
		return this.#lastNext;
	}

	/** All of the list in one buffer. */
	bytes(): Uint8Array {
		if (this.#bytes === undefined) {
			this.#bytes = this.#length === this.#frames.length ? this.#frames : this.#concatenate();
		}
		return this.#bytes;
	}

	#concatenate(): Uint8Array {
		const all = Buffer.allocUnsafeSlow(this.#length);
		let end = this.#length;
		let node: Pending | undefined = this;
		while (node !== undefined) {
			end -= node.#frames.length;
			all.set(node.#frames, end);
			node = node.#parent;
		}
		return all;
	}
}
