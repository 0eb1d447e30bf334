/**
 * Whether one subscription got each offset once and in order. Everything that is not so is counted by its kind: a hole
 * that the server announced is no fault of its word, one that it did not announce is.
 */

export interface ContinuityCounts {
	/** Messages that came. */
	readonly delivered: number;
	/** Offsets that never came and of which nothing was said; those still missing at the end included. */
	readonly lost: number;
	/** Messages whose offset had come before, or was passed over. */
	readonly repeated: number;
	/** Offsets that the server said would not come: `slow`, `lost`, `expired`, and conflated ones. */
	readonly announced: number;
	/** Times at which the server said that continuity is gone. */
	readonly resets: number;
}

export const NOTHING_COUNTED: ContinuityCounts = { delivered: 0, lost: 0, repeated: 0, announced: 0, resets: 0 };

export function addCounts(a: ContinuityCounts, b: ContinuityCounts): ContinuityCounts {
	return {
		delivered: a.delivered + b.delivered,
		lost: a.lost + b.lost,
		repeated: a.repeated + b.repeated,
		announced: a.announced + b.announced,
		resets: a.resets + b.resets,
	};
}

export class Continuity {
	/** The newest offset that came or was announced as not coming; all before it are accounted for. */
	#offset: number;
	/** In a conflated range some offsets are left out without being named one by one. */
	#conflatedTo = 0;
	#delivered = 0;
	#lost = 0;
	#repeated = 0;
	#announced = 0;
	#resets = 0;

	/** `offset`: where delivery starts; the next message has the one after it. */
	constructor(offset: number) {
		this.#offset = offset;
	}

	get offset(): number {
		return this.#offset;
	}

	/** Says by how many offsets the subscription is further than before: 0 for a repeated one. */
	message(offset: number, previous?: number): number {
		this.#delivered++;
		const before = this.#offset;
		if (offset <= before) {
			this.#repeated++;
			return 0;
		}
		const missing = (previous ?? offset - 1) - before;
		if (missing > 0) {
			if (offset <= this.#conflatedTo) {
				this.#announced += missing;
			} else {
				this.#lost += missing;
			}
		}
		this.#offset = offset;
		return offset - before;
	}

	/** The server says that these will not be delivered. Says how far that brings the subscription. */
	gap(from: number, to: number): number {
		const before = this.#offset;
		if (to <= before) {
			return 0;
		}
		// What lies between the newest offset and the gap's first was neither delivered nor announced.
		this.#lost += Math.max(0, from - before - 1);
		this.#announced += to - Math.max(before, from - 1);
		this.#offset = to;
		return to - before;
	}

	/** Of the offsets up to `to` only some follow. */
	conflated(to: number): void {
		this.#conflatedTo = Math.max(this.#conflatedTo, to);
	}

	/** Another epoch: delivery goes on behind this offset. */
	reset(offset: number): void {
		this.#resets++;
		this.#offset = offset;
		this.#conflatedTo = 0;
	}

	/** What is counted where the channel's newest offset is `head`. */
	counts(head: number): ContinuityCounts {
		return {
			delivered: this.#delivered,
			lost: this.#lost + Math.max(0, head - this.#offset),
			repeated: this.#repeated,
			announced: this.#announced,
			resets: this.#resets,
		};
	}
}
