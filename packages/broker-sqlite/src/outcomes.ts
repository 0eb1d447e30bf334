/**
 * What the first publish under an idempotency key came to, for as long as the key is remembered. Written in the same
 * transaction as the entry, so that a key and its entry are there together or not at all. Keys that ended are removed
 * with the next ones that are written, twice as many as come in.
 */
import type { Position } from "@tidewire/broker";
import type { Database, Query } from "./database.ts";
import { toNameBytes } from "./name-bytes.ts";

/** What a repeat is answered with: what the first was, whatever has become of it since. */
export type Outcome = { readonly status: "accepted"; readonly position: Position } | { readonly status: "scheduled" };

interface Row {
	readonly endsMs: number;
	readonly epoch: string | null;
	readonly place: number | null;
}

const SCHEDULED = { status: "scheduled" } as const;

export class Outcomes {
	readonly #database: Database;
	readonly #most: number;
	readonly #find: Query<Row>;
	readonly #put: Query<never>;
	readonly #delete: Query<never>;
	readonly #removeEnded: Query<never>;
	readonly #removeOldest: Query<never>;
	#count: number;
	#added = 0;
	forgotten = 0;

	constructor(database: Database, most: number) {
		this.#database = database;
		this.#most = most;
		this.#find = database.query("SELECT endsMs, epoch, place FROM outcome WHERE key = ?");
		this.#put = database.query("INSERT INTO outcome VALUES (?, ?, ?, ?)");
		this.#delete = database.query("DELETE FROM outcome WHERE key = ?");
		this.#removeEnded = database.query(
			"DELETE FROM outcome WHERE key IN (SELECT key FROM outcome WHERE endsMs <= ? ORDER BY endsMs LIMIT ?)",
		);
		this.#removeOldest = database.query(
			"DELETE FROM outcome WHERE key IN (SELECT key FROM outcome ORDER BY endsMs LIMIT ?)",
		);
		this.#count = database.query<{ readonly count: number }>("SELECT count(*) AS count FROM outcome").get()?.count ?? 0;
	}

	get size(): number {
		return this.#count;
	}

	find(key: string, nowMs: number): Outcome | undefined {
		const row = this.#find.get(toNameBytes(key));
		if (row === undefined || row.endsMs <= nowMs) {
			return undefined;
		}
		if (row.epoch === null || row.place === null) {
			return SCHEDULED;
		}
		return { status: "accepted", position: { epoch: row.epoch, offset: row.place } };
	}

	/** Remembers, where `find` found nothing. In a transaction. */
	put(key: string, outcome: Outcome, endsMs: number): void {
		const bytes = toNameBytes(key);
		this.#changeCount(-this.#delete.run(bytes));
		const position = outcome.status === "accepted" ? outcome.position : undefined;
		this.#put.run(bytes, endsMs, position?.epoch ?? null, position?.offset ?? null);
		this.#changeCount(1);
		this.#added++;
	}

	/** At the end of a transaction that may have put keys. */
	flush(nowMs: number): void {
		if (this.#added === 0) {
			return;
		}
		this.removeEnded(nowMs, 2 * this.#added);
		this.#added = 0;
		const over = this.#count - this.#most;
		if (over > 0) {
			const removed = this.#removeOldest.run(over);
			this.#changeCount(-removed);
			this.forgotten += removed;
		}
	}

	/** Removes up to `limit` keys that ended; how many it were. In a transaction. */
	removeEnded(nowMs: number, limit: number): number {
		const removed = this.#removeEnded.run(nowMs, limit);
		this.#changeCount(-removed);
		return removed;
	}

	#changeCount(by: number): void {
		if (by !== 0) {
			this.#count += by;
			this.#database.onRollback(() => {
				this.#count -= by;
			});
		}
	}
}
