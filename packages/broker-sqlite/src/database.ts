/**
 * One open SQLite file: typed queries, transactions that take memory back with them, and its size. It knows no broker.
 * All of it happens at once, on the caller's thread; how much a caller does in one turn is the caller's business.
 */
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";

/** What a column may hold. */
export type Value = SQLInputValue;

/** A parameter for bytes, of which there may be none: Node 22 hands an empty array to SQLite as NULL. */
export const BYTES = "coalesce(?, x'')";

/** A prepared statement whose rows have the shape that its text gives them. */
export interface Query<Row> {
	get(...values: readonly Value[]): Row | undefined;
	all(...values: readonly Value[]): readonly Row[];
	/** How many rows changed. */
	run(...values: readonly Value[]): number;
	/** Inserts, and gives the new row's id. */
	insert(...values: readonly Value[]): number;
}

export class Database {
	readonly #sqlite: DatabaseSync;
	readonly #begin: StatementSync;
	readonly #commit: StatementSync;
	readonly #pageCount: StatementSync;
	readonly #freeCount: StatementSync;
	readonly #pageBytes: number;
	#undo: (() => void)[] = [];
	#inside = false;
	/** About how many pages were written since the last checkpoint; `Wal` sets it back. */
	written = 0;

	constructor(sqlite: DatabaseSync) {
		this.#sqlite = sqlite;
		this.#begin = sqlite.prepare("BEGIN IMMEDIATE");
		this.#commit = sqlite.prepare("COMMIT");
		this.#pageCount = sqlite.prepare("PRAGMA page_count");
		this.#freeCount = sqlite.prepare("PRAGMA freelist_count");
		this.#pageBytes = numberIn(sqlite.prepare("PRAGMA page_size").get());
	}

	get pageBytes(): number {
		return this.#pageBytes;
	}

	/** Pages that are free for new data inside the file. */
	get freePages(): number {
		return numberIn(this.#freeCount.get());
	}

	get pages(): number {
		return numberIn(this.#pageCount.get());
	}

	/** What the file's content takes. */
	get usedBytes(): number {
		return (this.pages - this.freePages) * this.#pageBytes;
	}

	/** `Row` is what the statement's text yields; nothing checks it at run time. */
	query<Row>(sql: string): Query<Row> {
		const statement = this.#sqlite.prepare(sql);
		return {
			get: (...values) => statement.get(...values) as Row | undefined,
			all: (...values) => statement.all(...values) as unknown as readonly Row[],
			run: (...values) => {
				const changes = Number(statement.run(...values).changes);
				this.written += changes > 0 ? 1 : 0;
				return changes;
			},
			insert: (...values) => {
				this.written++;
				return Number(statement.run(...values).lastInsertRowid);
			},
		};
	}

	exec(sql: string): void {
		this.#sqlite.exec(sql);
	}

	/**
	 * Does `work` whole or not at all: where it throws, the file is as before, and so is what `onRollback` was
	 * told of.
	 */
	transact<Result>(work: () => Result): Result {
		this.#begin.run();
		this.#inside = true;
		try {
			const result = work();
			this.#commit.run();
			return result;
		} catch (error) {
			this.#rollBack();
			throw error;
		} finally {
			this.#inside = false;
			this.#undo = [];
		}
	}

	/** The same, as a part of the transaction under way where there is one. */
	within<Result>(work: () => Result): Result {
		return this.#inside ? work() : this.transact(work);
	}

	/** `undo` puts back what was changed in memory, should the transaction under way fail. */
	onRollback(undo: () => void): void {
		this.#undo.push(undo);
	}

	close(): void {
		this.#sqlite.close();
	}

	#rollBack(): void {
		try {
			this.#sqlite.exec("ROLLBACK");
		} catch {
			// SQLite has rolled back by itself: so it does where the disk is full.
		}
		for (const undo of this.#undo.reverse()) {
			undo();
		}
	}
}

function numberIn(row: Record<string, SQLOutputValue> | undefined): number {
	return Number(Object.values(row ?? {})[0] ?? 0);
}
