/**
 * The last entry of each key among those that have left a channel's log while somebody who conflates was behind: so a
 * key is not lost because its last message is old. Bounded; what had to go leaves a gap that is known.
 */
import type { Entry } from "@tidewire/broker";

/** Stands for an entry's cost beside its data and its key. */
const ENTRY_OVERHEAD_BYTES = 128;

export class Latest {
	/** Of the entries after this offset that have left the log, the last of each key is here. */
	from: number;
	/** In ascending order of offsets: a key that comes again moves to the end. */
	readonly #byKey = new Map<string | undefined, Entry>();
	readonly #maxBytes: number;
	#bytes = 0;

	constructor(from: number, maxBytes: number) {
		this.from = from;
		this.#maxBytes = maxBytes;
	}

	get bytes(): number {
		return this.#bytes;
	}

	/** `entry` holds no buffer larger than its own data to speak of. */
	take(entry: Entry): void {
		this.#remove(entry.key);
		this.#byKey.set(entry.key, entry);
		this.#bytes += cost(entry);
		for (const oldest of this.#byKey.values()) {
			if (this.#bytes <= this.#maxBytes || oldest === entry) {
				break;
			}
			this.#remove(oldest.key);
			this.from = oldest.offset;
		}
	}

	/** Ascending. */
	after(offset: number): readonly Entry[] {
		return [...this.#byKey.values()].filter((entry) => entry.offset > offset);
	}

	#remove(key: string | undefined): void {
		const present = this.#byKey.get(key);
		if (present !== undefined) {
			this.#byKey.delete(key);
			this.#bytes -= cost(present);
		}
	}
}

function cost(entry: Entry): number {
	return entry.data.length + 2 * (entry.key?.length ?? 0) + ENTRY_OVERHEAD_BYTES;
}
