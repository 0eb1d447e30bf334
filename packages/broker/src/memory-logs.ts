/**
 * All channels' logs in memory, under one byte budget. When the budget is exceeded, the logs that were used longest ago
 * go first, whole: such a channel comes back with a new epoch. A log that somebody is subscribed to keeps its epoch and
 * head and loses only its entries; these heads are not charged, as the node bounds its subscriptions. A snapshot never
 * goes alone, as it is promised for as long as its epoch lives: where it must go, the epoch ends. A log that nothing
 * was ever published to goes before all others, so that asking for a million invented names evicts nobody's history.
 */
import { MemoryLog } from "./memory-log.ts";
import { SlabStore } from "./slab-store.ts";

/** What a log without entries is taken to cost: the object, its place in the map, epoch and list of subscriptions. */
const LOG_COST = 400;

/** How much of the slabs one sweep looks at, where they need cleaning. */
const SWEPT_BYTES = 4 * 1024 * 1024;

export interface MemoryLogsOptions {
	readonly maxBytes: number;
	/** A text that was never given before, without a colon. */
	readonly epoch: () => string;
	/** The log ended, epoch and head too, for whatever reason. */
	readonly dropped: (log: MemoryLog) => void;
	/** For tests of the cleaning. Default: a 128th of `maxBytes`, at most 1 MiB. */
	readonly slabBytes?: number | undefined;
}

export class MemoryLogs {
	readonly #maxBytes: number;
	readonly #epoch: () => string;
	readonly #dropped: (log: MemoryLog) => void;
	readonly #store: SlabStore;
	readonly #logs = new Map<string, MemoryLog>();
	#cursor: MapIterator<MemoryLog> | undefined;
	/** The ends of the list of logs that can give something back. */
	#oldest: MemoryLog | undefined;
	#newest: MemoryLog | undefined;
	/** What all logs are charged. */
	bytes = 0;
	/** How many logs the budget has cost their entries or their epoch. */
	evicted = 0;

	constructor(options: MemoryLogsOptions) {
		this.#store = new SlabStore(options.maxBytes, options.slabBytes);
		this.#maxBytes = options.maxBytes - this.#store.reserve;
		this.#epoch = options.epoch;
		this.#dropped = options.dropped;
	}

	get size(): number {
		return this.#logs.size;
	}

	/** What the entries take in memory, holes included. */
	get slabBytes(): number {
		return this.#store.bytes;
	}

	/** The channel's log; a new one under a new epoch where there is none. To be settled when done with. */
	open(channel: string, nowMs: number): MemoryLog {
		const present = this.#logs.get(channel);
		if (present !== undefined) {
			if (present.subscriptions.length > 0 || nowMs < present.endsMs) {
				return present;
			}
			this.drop(present);
		}
		const log = new MemoryLog(channel, this.#epoch(), nowMs, this.#store);
		this.#logs.set(channel, log);
		return log;
	}

	/** The channel's log, where there is one. */
	find(channel: string): MemoryLog | undefined {
		return this.#logs.get(channel);
	}

	/** After each use of a log: charges what it holds now, makes it the one used last, and keeps to the budget. */
	settle(log: MemoryLog): void {
		this.#charge(log);
		while (this.bytes > this.#maxBytes && this.#oldest !== undefined) {
			this.evicted++;
			if (this.#oldest === log && log.head > 0) {
				// Nobody else is left to give: its own oldest entries go, as many as must.
				while (this.bytes > this.#maxBytes && log.tail < log.head) {
					log.dropOldest();
					this.#recharge(log);
				}
				return;
			}
			this.#shed(this.#oldest);
		}
	}

	/** Ends a log, epoch and head too. */
	drop(log: MemoryLog): void {
		log.clear();
		this.#unlink(log);
		this.bytes -= log.charged;
		log.charged = 0;
		this.#logs.delete(log.channel);
		this.#dropped(log);
	}

	/** Looks at up to `limit` logs, from where the last call stopped to the end: drops what is over, prunes the rest. */
	sweep(nowMs: number, limit: number): void {
		// Where nobody appends any more, nobody else cleans.
		this.#store.clean(SWEPT_BYTES);
		this.#cursor ??= this.#logs.values();
		for (let looked = 0; looked < limit; looked++) {
			const next = this.#cursor.next();
			if (next.done === true) {
				this.#cursor = undefined;
				return;
			}
			const log = next.value;
			if (log.subscriptions.length === 0 && nowMs >= log.endsMs) {
				this.drop(log);
			} else if (log.tail < log.head) {
				log.prune(nowMs);
				this.#recharge(log);
			}
		}
	}

	#shed(log: MemoryLog): void {
		if (log.subscriptions.length > 0 && (log.tail < log.head || log.snapshot === undefined)) {
			log.clear();
			if (log.snapshot === undefined) {
				this.#charge(log);
			} else {
				// It stays first in line: its snapshot goes next, if that is needed, and then the epoch with it.
				this.#recharge(log);
			}
		} else {
			this.drop(log);
		}
	}

	/** What the log is charged follows what it holds. */
	#recharge(log: MemoryLog): void {
		const head = log.subscriptions.length > 0 ? 0 : LOG_COST + 2 * log.channel.length;
		const cost = head + log.cost;
		this.bytes += cost - log.charged;
		log.charged = cost;
	}

	/** The same, and its place in the list of those that can give something back. */
	#charge(log: MemoryLog): void {
		this.#recharge(log);
		this.#unlink(log);
		if (log.charged === 0) {
			return;
		}
		if (log.head === 0) {
			this.#linkOldest(log);
		} else {
			this.#linkNewest(log);
		}
	}

	#linkNewest(log: MemoryLog): void {
		log.older = this.#newest;
		if (this.#newest === undefined) {
			this.#oldest = log;
		} else {
			this.#newest.newer = log;
		}
		this.#newest = log;
	}

	#linkOldest(log: MemoryLog): void {
		log.newer = this.#oldest;
		if (this.#oldest === undefined) {
			this.#newest = log;
		} else {
			this.#oldest.older = log;
		}
		this.#oldest = log;
	}

	#unlink(log: MemoryLog): void {
		const { older, newer } = log;
		if (older !== undefined) {
			older.newer = newer;
		} else if (this.#oldest === log) {
			this.#oldest = newer;
		}
		if (newer !== undefined) {
			newer.older = older;
		} else if (this.#newest === log) {
			this.#newest = older;
		}
		log.older = undefined;
		log.newer = undefined;
	}
}
