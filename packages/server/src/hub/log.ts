/**
 * A channel's recent entries on this node, each with the frames already made of it. It is not the history: it holds
 * only what some subscriber has still to be written, within a bound, and is empty while all are at the head. What has
 * left it comes from the broker.
 */
import type { Entry } from "@tidewire/broker";
import type { Encoding } from "./encoding.ts";

/** Stands for an entry's cost beside its data: object, frame header, envelope. */
const ENTRY_OVERHEAD_BYTES = 128;

export class LoggedEntry {
	readonly entry: Entry;
	readonly #frames: (Uint8Array | undefined)[] = [];

	constructor(entry: Entry) {
		this.entry = entry;
	}

	/** The frame of this entry in an encoding, made at the first call. */
	frame(channel: string, encoding: Encoding): Uint8Array {
		let frame = this.#frames[encoding.index];
		if (frame === undefined) {
			frame = encoding.frame(encoding.codec.encodeEntry(channel, this.entry));
			this.#frames[encoding.index] = frame;
		}
		return frame;
	}
}

export class Log {
	/** Every entry after this offset, up to the channel's head, is here. */
	tail = 0;
	bytes = 0;
	/** How many entries are not for everybody: excluded sessions, expiry. */
	special = 0;
	#entries: LoggedEntry[] = [];
	/** Index of the first live element: entries are dropped in front without moving the rest each time. */
	#first = 0;

	/** Appends, dropping the oldest entries where `maxBytes` would be exceeded; the newest always stays. */
	append(entry: Entry, maxBytes: number): void {
		this.#entries.push(new LoggedEntry(entry));
		this.bytes += entry.data.length + ENTRY_OVERHEAD_BYTES;
		this.special += isSpecial(entry);
		while (this.bytes > maxBytes && this.#entries.length - this.#first > 1) {
			this.#dropFirst();
		}
	}

	/** Forgets everything up to `offset`. */
	clear(offset: number): void {
		if (this.#entries.length > 0) {
			this.#entries = [];
		}
		this.#first = 0;
		this.bytes = 0;
		this.special = 0;
		this.tail = offset;
	}

	/** The entries after an offset that is not before `tail`. */
	after(offset: number): readonly LoggedEntry[] {
		let low = this.#first;
		let high = this.#entries.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.#entries[middle]!.entry.offset <= offset) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		return low === 0 ? this.#entries : this.#entries.slice(low);
	}

	#dropFirst(): void {
		const { entry } = this.#entries[this.#first]!;
		this.tail = entry.offset;
		this.bytes -= entry.data.length + ENTRY_OVERHEAD_BYTES;
		this.special -= isSpecial(entry);
		this.#first++;
		// Half of the array is dead: move once, so that dropping costs O(1) on average and nothing dead is retained.
		if (this.#first > 32 && this.#first * 2 > this.#entries.length) {
			this.#entries = this.#entries.slice(this.#first);
			this.#first = 0;
		}
	}
}

function isSpecial(entry: Entry): 0 | 1 {
	return entry.exclude !== undefined || entry.ttlMs !== undefined ? 1 : 0;
}
