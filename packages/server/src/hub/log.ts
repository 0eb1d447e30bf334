/**
 * A channel's recent entries on this node. It is not the history: it holds what some subscriber has still to be
 * written, within a bound of its own and one that all logs of the node share, and there is none while all are at the
 * head. What has left it comes from the broker.
 */
import type { Entry } from "@tidewire/broker";
import { Latest } from "./latest.ts";
import { Segment } from "./segment.ts";

/** What one turn publishes may exceed the bound: those who are at the head have had no chance to be written to yet. */
const UNFLUSHED_FACTOR = 8;

export class Log {
	/** Every entry after this offset, up to the channel's head, is here. */
	tail: number;
	bytes = 0;
	/** The last of each key of what has left, where that is kept (`append`). */
	latest: Latest | undefined;
	first: Segment | undefined;
	last: Segment | undefined;
	/** Everything up to here has been offered to all subscribers. */
	#flushed: number;
	readonly #budget: LogBudget;
	/** What `latest` may hold; 0 where there is to be none. */
	#latestBytes = 0;

	constructor(tail: number, budget: LogBudget) {
		this.tail = tail;
		this.#flushed = tail;
		this.#budget = budget;
	}

	/**
	 * Appends, dropping the oldest segments where `maxBytes` would be exceeded; the newest always stays. `conflating`: of
	 * what is dropped, the last of each key stays within reach.
	 */
	append(entry: Entry, maxBytes: number, conflating: boolean): void {
		this.#latestBytes = conflating ? maxBytes : 0;
		const { last } = this;
		if (last === undefined) {
			this.first = new Segment(this.tail, entry);
			this.last = this.first;
		} else if (last.full) {
			last.next = new Segment(last.to, entry);
			this.last = last.next;
		} else {
			this.bytes -= last.bytes;
			last.push(entry);
		}
		this.bytes += this.last!.bytes;
		while (this.bytes > maxBytes && this.first !== this.last) {
			if (this.first!.to > this.#flushed && this.bytes <= maxBytes * UNFLUSHED_FACTOR) {
				break;
			}
			this.#dropFirst();
		}
	}

	/** All subscribers have been offered what there is up to this offset. What of it is still here stays for some of them. */
	flushed(offset: number): void {
		this.#flushed = offset;
		for (let segment = this.first; segment !== undefined && segment.to <= offset; segment = segment.next) {
			if (!segment.kept) {
				segment.keep();
				this.#budget.set(segment, this);
			}
		}
	}

	/** What is to be handed on to somebody at an offset that is not before `tail`: from the segment that follows it on. */
	after(offset: number): Segment | undefined {
		const { last } = this;
		if (last !== undefined && last.after <= offset) {
			return last.to > offset ? last : undefined;
		}
		let segment = this.first;
		while (segment !== undefined && segment.to <= offset) {
			segment = segment.next;
		}
		return segment;
	}

	/** The entries after an offset that is not before `tail`. */
	entries(offset: number): readonly Entry[] {
		const entries: Entry[] = [];
		for (let segment = this.after(offset); segment !== undefined; segment = segment.next) {
			for (const entry of segment.entries) {
				if (entry.offset > offset) {
					entries.push(entry);
				}
			}
		}
		return entries;
	}

	/** Forgets everything; goes on after `offset`. */
	clear(offset: number): void {
		for (let segment = this.first; segment !== undefined; segment = segment.next) {
			this.#budget.remove(segment);
		}
		this.#forgetLatest();
		this.first = undefined;
		this.last = undefined;
		this.bytes = 0;
		this.tail = offset;
		this.#flushed = offset;
	}

	/**
	 * The budget of the node is exceeded, up to this segment, or by this table. The segment has been offered to all, so it
	 * may be the newest: a hundred thousand channels' newest would be no bound.
	 */
	giveUp(what: Segment | Latest): void {
		if (what instanceof Latest) {
			this.#forgetLatest();
			return;
		}
		while (this.first !== undefined && this.first.to <= what.to) {
			this.#dropFirst();
		}
	}

	#dropFirst(): void {
		const segment = this.first!;
		const { tail } = this;
		this.#budget.remove(segment);
		this.first = segment.next;
		this.last = this.first && this.last;
		this.tail = segment.to;
		this.bytes -= segment.bytes;
		if (this.#latestBytes === 0) {
			this.#forgetLatest();
			return;
		}
		segment.keep();
		this.latest ??= new Latest(tail, this.#latestBytes);
		for (const entry of segment.entries) {
			this.latest.take(entry);
		}
		// Last, since it may be this log that has to give up more.
		this.#budget.set(this.latest, this);
	}

	#forgetLatest(): void {
		if (this.latest !== undefined) {
			this.#budget.remove(this.latest);
			this.latest = undefined;
		}
	}
}

/** What the kept segments and tables of all channels of the node may cost together; the oldest go first. */
export class LogBudget {
	readonly #maxBytes: number;
	/** In the order in which they were kept, or changed. */
	readonly #kept = new Map<Segment | Latest, { readonly log: Log; readonly bytes: number }>();
	#bytes = 0;

	constructor(maxBytes: number) {
		this.#maxBytes = maxBytes;
	}

	get bytes(): number {
		return this.#bytes;
	}

	/** It is kept, or has become another size. */
	set(what: Segment | Latest, log: Log): void {
		this.remove(what);
		this.#kept.set(what, { log, bytes: what.bytes });
		this.#bytes += what.bytes;
		for (const [oldest, { log: owner }] of this.#kept) {
			if (this.#bytes <= this.#maxBytes) {
				break;
			}
			owner.giveUp(oldest);
		}
	}

	remove(what: Segment | Latest): void {
		const kept = this.#kept.get(what);
		if (kept !== undefined) {
			this.#kept.delete(what);
			this.#bytes -= kept.bytes;
		}
	}
}
