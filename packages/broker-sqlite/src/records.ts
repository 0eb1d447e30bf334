/**
 * The small records in the file: bounded in number and bytes, since to forget one before its time would break a
 * promise. What is wrong with a call, the node has found before. Writes happen in a transaction.
 */
import { BrokerError, type KeyedRecord } from "@tidewire/broker";
import { BYTES, type Database, type Query } from "./database.ts";
import { endOfPrefix, toName, toNameBytes } from "./name-bytes.ts";

export interface RecordsOptions {
	readonly database: Database;
	readonly now: () => number;
	readonly maxRecords: number;
	/** What all keys and values may take together. */
	readonly maxBytes: number;
}

interface Row {
	readonly value: Uint8Array;
	readonly endsMs: number;
}

interface KeyRow {
	readonly key: Uint8Array;
	readonly value: Uint8Array;
}

interface Totals {
	readonly count: number;
	readonly bytes: number | null;
}

/** How many ended records are removed at once. */
export const REMOVED_RECORDS = 256;
/** After all keys: no name has this byte. */
const LAST = Uint8Array.of(0xff);

function alike(left: Uint8Array, right: Uint8Array): boolean {
	return left.byteLength === right.byteLength && left.every((byte, index) => byte === right[index]);
}

export class StoredRecords {
	readonly #options: RecordsOptions;
	readonly #database: Database;
	readonly #find: Query<Row>;
	readonly #put: Query<never>;
	readonly #delete: Query<never>;
	/** From a key on, and after a key: one condition each, since SQLite starts at the first that it is given. */
	readonly #from: Query<KeyRow>;
	readonly #after: Query<KeyRow>;
	readonly #removeEnded: Query<{ readonly bytes: number }>;
	#count: number;
	#bytes: number;

	constructor(options: RecordsOptions) {
		const { database } = options;
		this.#options = options;
		this.#database = database;
		this.#find = database.query(`SELECT value, endsMs FROM record WHERE key = ${BYTES}`);
		this.#put = database.query(`INSERT OR REPLACE INTO record VALUES (${BYTES}, ${BYTES}, ?)`);
		this.#delete = database.query(`DELETE FROM record WHERE key = ${BYTES}`);
		const list = (begins: string): Query<KeyRow> =>
			database.query(`SELECT key, value FROM record WHERE ${begins} AND key < ? AND endsMs > ? ORDER BY key LIMIT ?`);
		this.#from = list(`key >= ${BYTES}`);
		this.#after = list(`key > ${BYTES}`);
		this.#removeEnded = database.query(
			`DELETE FROM record WHERE key IN (SELECT key FROM record WHERE endsMs <= ? ORDER BY endsMs LIMIT ?)
			RETURNING length(key) + length(value) AS bytes`,
		);
		const totals = database
			.query<Totals>("SELECT count(*) AS count, sum(length(key) + length(value)) AS bytes FROM record")
			.get();
		this.#count = totals?.count ?? 0;
		this.#bytes = totals?.bytes ?? 0;
	}

	get size(): number {
		return this.#count;
	}

	get(key: string): Uint8Array | undefined {
		const row = this.#find.get(toNameBytes(key));
		return row !== undefined && row.endsMs > this.#options.now() ? row.value : undefined;
	}

	/** Throws `unavailable` where there is no room; then the value that was there stays. */
	set(key: string, value: Uint8Array, ttlMs: number): void {
		const bytes = toNameBytes(key);
		const nowMs = this.#options.now();
		const cost = bytes.byteLength + value.byteLength;
		const row = this.#find.get(bytes);
		if (row !== undefined && row.endsMs <= nowMs) {
			this.#remove(bytes);
		}
		const present = row === undefined || row.endsMs <= nowMs ? undefined : row.value;
		const more = present === undefined ? 1 : 0;
		const moreBytes = cost - (present === undefined ? 0 : bytes.byteLength + present.byteLength);
		if (!this.#hasRoom(more, moreBytes)) {
			this.removeEnded(nowMs);
			if (!this.#hasRoom(more, moreBytes)) {
				throw new BrokerError("unavailable", "there is no room for more records");
			}
		}
		this.#remove(bytes);
		this.#put.run(bytes, value, nowMs + ttlMs);
		this.#change(1, cost);
	}

	setIfAbsent(key: string, value: Uint8Array, ttlMs: number): Uint8Array | undefined {
		const present = this.get(key);
		if (present === undefined) {
			this.set(key, value, ttlMs);
		}
		return present;
	}

	delete(key: string): void {
		this.#remove(toNameBytes(key));
	}

	replace(key: string, expected: Uint8Array | undefined, value: Uint8Array | undefined, ttlMs: number): boolean {
		const present = this.get(key);
		const holds = present === undefined || expected === undefined ? present === expected : alike(present, expected);
		if (!holds) {
			return false;
		}
		if (value === undefined) {
			this.delete(key);
		} else {
			this.set(key, value, ttlMs);
		}
		return true;
	}

	list(prefix: string, after: string | undefined, limit: number): readonly KeyedRecord[] {
		const first = toNameBytes(prefix);
		const most = Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER);
		const end = endOfPrefix(first) ?? LAST;
		const nowMs = this.#options.now();
		const rows =
			after !== undefined && after >= prefix
				? this.#after.all(toNameBytes(after), end, nowMs, most)
				: this.#from.all(first, end, nowMs, most);
		return rows.map(({ key, value }) => ({ key: toName(key), value }));
	}

	/** Removes a bounded part of the records that ended; how many it were. In a transaction. */
	removeEnded(nowMs: number): number {
		const removed = this.#removeEnded.all(nowMs, REMOVED_RECORDS);
		for (const { bytes } of removed) {
			this.#change(-1, -bytes);
		}
		this.#database.written += removed.length;
		return removed.length;
	}

	#remove(key: Uint8Array): void {
		const present = this.#find.get(key);
		if (present !== undefined) {
			this.#delete.run(key);
			this.#change(-1, -(key.byteLength + present.value.byteLength));
		}
	}

	#hasRoom(count: number, bytes: number): boolean {
		const { maxRecords, maxBytes } = this.#options;
		return this.#count + count <= maxRecords && this.#bytes + bytes <= maxBytes;
	}

	#change(count: number, bytes: number): void {
		this.#count += count;
		this.#bytes += bytes;
		this.#database.onRollback(() => {
			this.#count -= count;
			this.#bytes -= bytes;
		});
	}
}
