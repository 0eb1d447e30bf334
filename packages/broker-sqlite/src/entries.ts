/**
 * Entries as rows: put in, read in pages, weighed and removed a part at a time. It does not decide which entries are
 * kept (`Logs` does), and it never reads data that is not asked for.
 */
import type { Entry, Publication, ReadOptions } from "@tidewire/broker";
import { BYTES, type Database, type Query } from "./database.ts";

interface Row {
	readonly place: number;
	readonly timeMs: number;
	readonly isBinary: number;
	readonly attributes: string | null;
	readonly data: Uint8Array;
}

/** What of an entry matters to retention. */
export interface Weight {
	readonly place: number;
	readonly timeMs: number;
	readonly weight: number;
}

/** Where a log's kept entries lie, and what one of them weighs on average. */
export interface Extent {
	readonly log: number;
	readonly tail: number;
	readonly head: number;
	readonly weight: number;
}

type Attributes = Omit<Publication, "data" | "encoding">;

/** A page never holds more, however much is asked for: a turn of the event loop has other things to do. */
const MOST_ENTRIES = 1_000;
const MOST_BYTES = 1024 * 1024;

/** How many rows, and about how many bytes, are removed at once. */
const REMOVED_ENTRIES = 256;
const REMOVED_BYTES = 1024 * 1024;

/** What an entry weighs against `Retention.bytes`: its data and its attributes. */
export function weigh({ data, name, key, from, exclude }: Publication): number {
	return data.byteLength + (name?.length ?? 0) + (key?.length ?? 0) + (from?.length ?? 0) + (exclude?.length ?? 0);
}

/** The attributes that are there, as JSON; null for none. */
export function packAttributes({ name, key, from, exclude, ttlMs, patch, report }: Publication): string | null {
	if (
		name === undefined &&
		key === undefined &&
		from === undefined &&
		exclude === undefined &&
		ttlMs === undefined &&
		patch === undefined &&
		report === undefined
	) {
		return null;
	}
	// JSON has no Infinity, and an entry that never ends needs no end.
	const endless = ttlMs === Infinity ? undefined : ttlMs;
	return JSON.stringify({ name, key, from, exclude, ttlMs: endless, patch, report });
}

export function unpackAttributes(packed: string | null): Attributes {
	return packed === null ? {} : (JSON.parse(packed) as Attributes);
}

function toEntry({ place, timeMs, isBinary, attributes, data }: Row): Entry {
	const encoding = isBinary === 1 ? "binary" : "json";
	return { offset: place, timeMs, data, encoding, ...unpackAttributes(attributes) };
}

const COLUMNS = "place, timeMs, isBinary, attributes, data";
const IS_FRESH = "(endsMs IS NULL OR endsMs > ?)";

export class Entries {
	readonly #insert: Query<never>;
	readonly #forward: Query<Row>;
	readonly #backward: Query<Row>;
	readonly #weights: Query<Weight>;
	readonly #sum: Query<{ readonly sum: number | null }>;
	readonly #firstYoung: Query<{ readonly place: number }>;
	readonly #remove: Query<never>;

	constructor(database: Database) {
		this.#insert = database.query(`INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ${BYTES})`);
		this.#forward = database.query(
			`SELECT ${COLUMNS} FROM entry WHERE log = ? AND place > ? AND place <= ? AND ${IS_FRESH} ORDER BY place LIMIT ?`,
		);
		this.#backward = database.query(
			`SELECT ${COLUMNS} FROM entry WHERE log = ? AND place > ? AND place <= ? AND ${IS_FRESH}
			ORDER BY place DESC LIMIT ?`,
		);
		this.#weights = database.query(
			"SELECT place, timeMs, weight FROM entry WHERE log = ? AND place > ? ORDER BY place LIMIT ?",
		);
		this.#sum = database.query("SELECT sum(weight) AS sum FROM entry WHERE log = ? AND place > ? AND place <= ?");
		this.#firstYoung = database.query(
			"SELECT place FROM entry WHERE log = ? AND place > ? AND timeMs > ? ORDER BY place LIMIT 1",
		);
		this.#remove = database.query("DELETE FROM entry WHERE log = ? AND place <= ?");
	}

	insert(log: number, entry: Entry, weight: number): void {
		const { offset, timeMs, ttlMs, encoding, data } = entry;
		const endsMs = ttlMs === undefined ? null : timeMs + ttlMs;
		this.#insert.run(log, offset, timeMs, endsMs, weight, encoding === "binary" ? 1 : 0, packAttributes(entry), data);
	}

	/**
	 * A page of what lies after `tail` and up to `head`, without entries that ended before `nowMs`. Rows are fetched
	 * a few at a time by what they weigh on average (`weight`), which is three times faster than one by one and
	 * still reads no more than about what is asked for.
	 */
	read({ log, tail, head, weight }: Extent, options: ReadOptions, nowMs: number): readonly Entry[] {
		const { after, limit, maxBytes = Infinity, reverse = false } = options;
		const most = Math.min(Math.floor(limit), MOST_ENTRIES);
		const room = Math.min(maxBytes, MOST_BYTES);
		const entries: Entry[] = [];
		let low = reverse ? tail : Math.max(after, tail);
		let high = reverse ? Math.min(after - 1, head) : head;
		let bytes = 0;
		while (entries.length < most) {
			const count = Math.min(most - entries.length, Math.max(1, Math.ceil((room - bytes) / Math.max(weight, 1))));
			const rows = (reverse ? this.#backward : this.#forward).all(log, low, high, nowMs, count);
			for (const row of rows) {
				bytes += row.data.byteLength;
				if (bytes > room && entries.length > 0) {
					return entries;
				}
				entries.push(toEntry(row));
			}
			if (rows.length < count) {
				break;
			}
			const last = rows.at(-1)!.place;
			low = reverse ? low : last;
			high = reverse ? last - 1 : high;
		}
		return entries;
	}

	/** The oldest entries after `after`, up to `limit`. */
	weights(log: number, after: number, limit: number): readonly Weight[] {
		return this.#weights.all(log, after, limit);
	}

	/** What the entries after `after` weigh, up to and with `upTo`. */
	sum(log: number, after: number, upTo: number): number {
		return this.#sum.get(log, after, upTo)?.sum ?? 0;
	}

	/** The first entry after `after` that is younger than `sinceMs`. */
	firstYoung(log: number, after: number, sinceMs: number): number | undefined {
		return this.#firstYoung.get(log, after, sinceMs)?.place;
	}

	/** Removes a bounded part of the entries up to `upTo`, oldest first. Gives the place up to which none is left. */
	remove(log: number, upTo: number): number {
		let last = upTo;
		let bytes = 0;
		const rows = this.#weights.all(log, 0, REMOVED_ENTRIES);
		for (const [index, { place, weight }] of rows.entries()) {
			if (place > upTo) {
				last = upTo;
				break;
			}
			bytes += weight;
			if (bytes > REMOVED_BYTES || index === REMOVED_ENTRIES - 1) {
				last = place;
				break;
			}
		}
		if (rows.length > 0) {
			this.#remove.run(log, last);
		}
		return last;
	}
}
