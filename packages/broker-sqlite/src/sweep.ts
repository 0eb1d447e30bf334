/**
 * Lets go of what has ended by itself, a few milliseconds at a time: keys, records, logs, entries that are too old, and
 * the room in the file that they took. It goes round the logs by their ids and goes on where it stopped.
 */
import type { Database, Query } from "./database.ts";
import { HEAD_LIFE_MS } from "./log.ts";
import type { Logs } from "./logs.ts";
import { toName } from "./name-bytes.ts";
import type { Outcomes } from "./outcomes.ts";
import { REMOVED_RECORDS, type StoredRecords } from "./records.ts";
import type { Room } from "./room.ts";

export interface SweepOptions {
	readonly database: Database;
	readonly logs: Logs;
	readonly outcomes: Outcomes;
	readonly records: StoredRecords;
	readonly room: Room;
}

interface Row {
	readonly id: number;
	readonly name: Uint8Array;
	readonly head: number;
	readonly tail: number;
	readonly cut: number;
	readonly touchedMs: number;
	readonly ageMs: number;
}

const STEP_MS = 4;
const REMOVED_KEYS = 500;
const LOGS_READ = 100;
/** The file gives pages back to the disk once so many are free, and they are this part of it. */
const FREE_PAGES = 256;
const FREE_SHARE = 8;
const VACUUMED_PAGES = 64;

export class Sweep {
	readonly #options: SweepOptions;
	readonly #rows: Query<Row>;
	#after = 0;

	constructor(options: SweepOptions) {
		this.#options = options;
		this.#rows = options.database.query(
			"SELECT id, name, head, tail, cut, touchedMs, ageMs FROM log WHERE id > ? ORDER BY id LIMIT ?",
		);
	}

	/** The next steps go round all logs. */
	restart(): void {
		this.#after = 0;
	}

	/** One bounded step; whether there is more to do. In a transaction. */
	step(nowMs: number): boolean {
		const { outcomes, records, room } = this.#options;
		const endMs = performance.now() + STEP_MS;
		let isMore = outcomes.removeEnded(nowMs, REMOVED_KEYS) === REMOVED_KEYS;
		isMore = records.removeEnded(nowMs) === REMOVED_RECORDS || isMore;
		isMore = this.#sweepLogs(nowMs, endMs) || isMore;
		let isLeft = room.collect();
		while (isLeft && performance.now() < endMs) {
			isLeft = room.collect();
		}
		isMore ||= isLeft;
		return this.#vacuum() || isMore;
	}

	#sweepLogs(nowMs: number, endMs: number): boolean {
		const { logs } = this.#options;
		do {
			const rows = this.#rows.all(this.#after, LOGS_READ);
			for (const row of rows) {
				this.#after = row.id;
				const hasEnded = nowMs >= row.touchedMs + row.ageMs + HEAD_LIFE_MS;
				if (hasEnded || row.cut < row.tail || this.#isAged(row, nowMs)) {
					logs.tidy(toName(row.name), nowMs);
				}
				if (performance.now() >= endMs) {
					return true;
				}
			}
			if (rows.length < LOGS_READ) {
				this.#after = 0;
				return false;
			}
		} while (performance.now() < endMs);
		return true;
	}

	#isAged({ id, head, tail, ageMs }: Row, nowMs: number): boolean {
		const oldest = tail < head ? this.#options.logs.entries.weights(id, tail, 1)[0] : undefined;
		return oldest !== undefined && oldest.timeMs <= nowMs - ageMs;
	}

	#vacuum(): boolean {
		const { database } = this.#options;
		const { freePages } = database;
		if (freePages < FREE_PAGES || freePages * FREE_SHARE < database.pages) {
			return false;
		}
		database.exec(`PRAGMA incremental_vacuum(${VACUUMED_PAGES})`);
		database.written += VACUUMED_PAGES;
		return true;
	}
}
