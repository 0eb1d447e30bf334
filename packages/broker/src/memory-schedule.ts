/**
 * Publishes that wait for their time: a heap by (time, order of acceptance), and one timer for the first of them. It
 * is bounded in number and bytes; what is over is refused, since to drop one would break a promise. The data was
 * checked when it was accepted. Appending is its owner's business.
 */
import { BrokerError, type Publication, type Retention } from "./broker.ts";

/** Calls `task` once after `delayMs`, unless the returned function was called. */
export type After = (delayMs: number, task: () => void) => () => void;

/** What waits. */
export interface Scheduled {
	readonly atMs: number;
	readonly channel: string;
	readonly publication: Publication;
	readonly retention: Retention;
}

export interface MemoryScheduleOptions {
	readonly now: () => number;
	readonly after: After;
	readonly maxScheduled: number;
	readonly maxBytes: number;
	/** Its time has come. */
	readonly due: (scheduled: Scheduled) => void;
}

/**
 * The timer is set anew at least so often: timers do not follow a wall clock that is set or a machine that slept, and
 * Node fires a timer of more than 2^31 ms at once.
 */
const MAX_DELAY_MS = 60_000;
/** How many are appended in one turn of the event loop: a burst set for one moment must not hold up everybody. */
const DUE_PER_TURN = 1_000;
/** What one takes beside its texts and bytes: three objects and a slot. */
const COST = 300;

interface Waiting extends Scheduled {
	readonly order: number;
}

function isBefore(left: Waiting, right: Waiting): boolean {
	return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}

function costOf({ channel, publication }: Scheduled): number {
	const { data, name = "", key = "", from = "", exclude = "", report = "" } = publication;
	const characters = channel.length + name.length + key.length + from.length + exclude.length + report.length;
	return COST + data.byteLength + 2 * characters;
}

export class MemorySchedule {
	readonly #options: MemoryScheduleOptions;
	/** A binary heap: nobody is before its parent, which is at half of its index. */
	readonly #heap: Waiting[] = [];
	#bytes = 0;
	#accepted = 0;
	#cancel: (() => void) | undefined;
	#open = true;

	constructor(options: MemoryScheduleOptions) {
		this.#options = options;
	}

	get size(): number {
		return this.#heap.length;
	}

	/** Throws `unavailable` where there is no room. */
	add(scheduled: Scheduled): void {
		if (!this.#open) {
			throw new BrokerError("closed", "the broker is closed");
		}
		const bytes = this.#bytes + costOf(scheduled);
		if (this.#heap.length >= this.#options.maxScheduled || bytes > this.#options.maxBytes) {
			throw new BrokerError("unavailable", "there is no room for more scheduled publishes");
		}
		this.#bytes = bytes;
		const waiting = { ...scheduled, order: this.#accepted++ };
		this.#rise(waiting);
		if (this.#heap[0] === waiting) {
			this.#arm();
		}
	}

	/** Drops everything that waits, and refuses more. */
	close(): void {
		this.#open = false;
		this.#heap.length = 0;
		this.#bytes = 0;
		this.#arm();
	}

	#arm(): void {
		this.#cancel?.();
		this.#cancel = undefined;
		const first = this.#heap[0];
		if (first !== undefined) {
			const delayMs = Math.min(Math.max(0, first.atMs - this.#options.now()), MAX_DELAY_MS);
			this.#cancel = this.#options.after(delayMs, () => this.#fire());
		}
	}

	#fire(): void {
		this.#cancel = undefined;
		const nowMs = this.#options.now();
		try {
			// A timer may be early by a millisecond: what is not due waits for the next one.
			for (let count = 0; count < DUE_PER_TURN && (this.#heap[0]?.atMs ?? Infinity) <= nowMs; count++) {
				this.#options.due(this.#takeFirst());
			}
		} finally {
			this.#arm();
		}
	}

	#rise(waiting: Waiting): void {
		let index = this.#heap.length;
		while (index > 0) {
			const above = (index - 1) >>> 1;
			const parent = this.#heap[above]!;
			if (isBefore(parent, waiting)) {
				break;
			}
			this.#heap[index] = parent;
			index = above;
		}
		this.#heap[index] = waiting;
	}

	/** Takes the first out. There must be one. */
	#takeFirst(): Waiting {
		const first = this.#heap[0]!;
		const last = this.#heap.pop()!;
		const count = this.#heap.length;
		this.#bytes -= costOf(first);
		for (let index = 0; count > 0; ) {
			let below = 2 * index + 1;
			if (below + 1 < count && isBefore(this.#heap[below + 1]!, this.#heap[below]!)) {
				below++;
			}
			if (below >= count || isBefore(last, this.#heap[below]!)) {
				this.#heap[index] = last;
				break;
			}
			this.#heap[index] = this.#heap[below]!;
			index = below;
		}
		return first;
	}
}
