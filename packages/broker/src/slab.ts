/**
 * One piece of memory that records are written into, one behind the other. It is never written twice in the same
 * place while a record in it lives, and it knows how many of its bytes do; what a record is, `slab-record.ts` knows, and
 * which slabs there are, `slab-store.ts`.
 */
export class Slab {
	/** Its place in the store; another slab gets it when this one is gone. */
	readonly number: number;
	readonly bytes: Uint8Array<ArrayBuffer>;
	readonly view: DataView<ArrayBuffer>;
	/** Where the next record goes. */
	used = 0;
	/** How many bytes belong to records that somebody keeps. */
	live = 0;

	constructor(number: number, size: number) {
		this.number = number;
		this.bytes = new Uint8Array(size);
		this.view = new DataView(this.bytes.buffer);
	}

	/** Room for a record of this many bytes, which lives from now on. There must be as much. */
	take(length: number): number {
		const at = this.used;
		this.used += length;
		this.live += length;
		return at;
	}
}
