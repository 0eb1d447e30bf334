/**
 * Keeps the file within its bound, a bounded part at a time. What ended is removed first; then the logs that were used
 * longest ago (to the minute) are given up, whole: such a channel comes back under a new epoch. A log that somebody is
 * subscribed to keeps its epoch and head and loses only its entries, and at the last its snapshot with the epoch, as
 * in the memory broker.
 */
import type { Database, Query } from "./database.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { toName } from "./name-bytes.ts";

export interface RoomOptions {
	readonly database: Database;
	readonly logs: Logs;
	/** What the file's content may take. */
	readonly maxBytes: number;
}

interface Garbage {
	readonly log: number;
	readonly upTo: number;
}

/** How many logs are looked at in one go, should none of them have anything to give. */
const MOST_LOOKED = 50;
/** Of the only log that is left, so much is let go at a time. */
const SHARE = 4;
/** How much of a turn it takes before a transaction; and how much where publishes would be refused otherwise. */
const MAKE_MS = 5;
const PRESSING_MS = 20;
const PRESSING = 1.1;

export class Room {
	readonly #options: RoomOptions;
	readonly #nextGarbage: Query<Garbage>;
	readonly #putGarbage: Query<never>;
	readonly #deleteGarbage: Query<never>;
	readonly #oldest: Query<{ readonly name: Uint8Array }>;
	/** Logs that lost entries or their epoch to the bound, ever. */
	evicted = 0;

	constructor(options: RoomOptions) {
		const { database } = options;
		this.#options = options;
		this.#nextGarbage = database.query("SELECT log, upTo FROM garbage LIMIT 1");
		this.#putGarbage = database.query("INSERT OR REPLACE INTO garbage VALUES (?, ?)");
		this.#deleteGarbage = database.query("DELETE FROM garbage WHERE log = ?");
		this.#oldest = database.query("SELECT name FROM log ORDER BY used, id LIMIT ?");
	}

	get isOver(): boolean {
		return this.#options.database.usedBytes > this.#options.maxBytes;
	}

	/** Whether the file is so far over its bound that publishes are about to be refused. */
	get isPressing(): boolean {
		return this.#options.database.usedBytes > this.#options.maxBytes * PRESSING;
	}

	/** Makes room until there is enough or the time is up. In a transaction. */
	make(nowMs: number): void {
		const endMs = performance.now() + (this.isPressing ? PRESSING_MS : MAKE_MS);
		while (performance.now() < endMs && this.isOver) {
			if (!this.collect() && !this.#giveUp(nowMs, endMs)) {
				return;
			}
		}
	}

	/** Removes a part of what ended logs left behind; false where there is nothing. In a transaction. */
	collect(): boolean {
		const garbage = this.#nextGarbage.get();
		if (garbage === undefined) {
			return false;
		}
		const { log, upTo } = garbage;
		if (this.#options.logs.entries.remove(log, upTo) >= upTo) {
			this.#deleteGarbage.run(log);
		}
		return true;
	}

	/** Gives up what was used longest ago; false where nothing can be. */
	#giveUp(nowMs: number, endMs: number): boolean {
		const { logs } = this.#options;
		const rows = this.#oldest.all(MOST_LOOKED);
		let given = 0;
		for (const row of rows) {
			const log = logs.open(toName(row.name), nowMs);
			if (this.#give(log, rows.length === 1, nowMs)) {
				given++;
				if (!this.isOver || performance.now() > endMs) {
					break;
				}
			}
		}
		this.evicted += given;
		return given > 0;
	}

	/** Whether the log had something to give. */
	#give(log: Log, isLast: boolean, nowMs: number): boolean {
		const { logs } = this.#options;
		const { head, tail } = log.state;
		if (isLast && tail < head) {
			// Nobody else is left to give.
			logs.shorten(log, Math.ceil((head - tail) / SHARE));
			this.#leave(log);
		} else if (!log.isSubscribed) {
			logs.drop(log, nowMs);
		} else if (tail < head) {
			logs.clear(log);
			this.#leave(log);
		} else if (logs.hasSnapshot(log)) {
			logs.drop(log, nowMs);
		} else {
			logs.spare(log, nowMs);
			return false;
		}
		return true;
	}

	/** What the log let go of is removed later. */
	#leave({ state }: Log): void {
		const { id, cut, tail } = state;
		if (id !== undefined && cut < tail) {
			this.#putGarbage.run(id, tail);
			state.cut = tail;
		}
	}
}
