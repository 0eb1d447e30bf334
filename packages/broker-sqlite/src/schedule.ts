/**
 * Publishes that wait for their time, in the file, so that they outlive the process; and one timer for the first of
 * them. A publish leaves the table in the transaction that appends it, so it is appended once. What came due while no
 * process was running is appended at the next start.
 */
import { BrokerError, type Publication, type Retention } from "@tidewire/broker";
import { BYTES, type Database, type Query } from "./database.ts";
import { packAttributes, unpackAttributes } from "./entries.ts";
import { toName, toNameBytes } from "./name-bytes.ts";

/** Calls `task` once after `delayMs`, unless the returned function was called. */
export type After = (delayMs: number, task: () => void) => () => void;

export interface Scheduled {
	readonly channel: string;
	readonly publication: Publication;
	readonly retention: Retention;
}

export interface ScheduleOptions {
	readonly database: Database;
	readonly now: () => number;
	readonly after: After;
	readonly maxScheduled: number;
	readonly maxBytes: number;
	/** Some are due: to be answered with a call of `takeDue` in a transaction, and one of `arm` after it. */
	readonly due: () => void;
}

interface Row extends Retention {
	readonly id: number;
	readonly name: Uint8Array;
	readonly isBinary: number;
	readonly attributes: string | null;
	readonly data: Uint8Array;
}

/**
 * The timer is set anew at least so often: timers do not follow a wall clock that is set or a machine that slept, and
 * Node fires a timer of more than 2^31 ms at once.
 */
const MAX_DELAY_MS = 60_000;
/** How long what could not be appended waits for the next try: the disk may be full. */
const RETRY_MS = 1_000;
/** How many are appended in one transaction: a burst set for one moment must not hold up everybody. */
const DUE_AT_ONCE = 200;

const COST = "(length(name) + length(data) + coalesce(length(attributes), 0) + 100)";

export class Schedule {
	readonly #options: ScheduleOptions;
	readonly #put: Query<never>;
	readonly #delete: Query<never>;
	readonly #first: Query<{ readonly atMs: number | null }>;
	readonly #due: Query<Row & { readonly cost: number }>;
	#count: number;
	#bytes: number;
	#cancel: (() => void) | undefined;
	#armedMs = Infinity;
	#isOpen = true;

	constructor(options: ScheduleOptions) {
		const { database } = options;
		this.#options = options;
		this.#put = database.query(
			`INSERT INTO scheduled (atMs, name, isBinary, attributes, data, messages, bytes, ageMs)
			VALUES (?, ?, ?, ?, ${BYTES}, ?, ?, ?)`,
		);
		this.#delete = database.query("DELETE FROM scheduled WHERE id = ?");
		this.#first = database.query("SELECT min(atMs) AS atMs FROM scheduled");
		this.#due = database.query(
			`SELECT id, name, isBinary, attributes, data, messages, bytes, ageMs, ${COST} AS cost
			FROM scheduled WHERE atMs <= ? ORDER BY atMs, id LIMIT ?`,
		);
		const totals = database
			.query<{ readonly count: number; readonly bytes: number | null }>(
				`SELECT count(*) AS count, sum${COST} AS bytes FROM scheduled`,
			)
			.get();
		this.#count = totals?.count ?? 0;
		this.#bytes = totals?.bytes ?? 0;
	}

	get size(): number {
		return this.#count;
	}

	/** Throws `unavailable` where there is no room. In a transaction, and `arm` after it. */
	put(atMs: number, { channel, publication, retention }: Scheduled): void {
		const name = toNameBytes(channel);
		const attributes = packAttributes(publication);
		const { data, encoding } = publication;
		const cost = name.byteLength + data.byteLength + (attributes?.length ?? 0) + 100;
		const { maxScheduled, maxBytes } = this.#options;
		if (this.#count >= maxScheduled || this.#bytes + cost > maxBytes) {
			throw new BrokerError("unavailable", "there is no room for more scheduled publishes");
		}
		const { messages, bytes, ageMs } = retention;
		this.#put.run(atMs, name, encoding === "binary" ? 1 : 0, attributes, data, messages, bytes, ageMs);
		this.#change(1, cost);
	}

	/** Takes what is due out of the table, in order: a bounded part. In a transaction. */
	takeDue(): readonly Scheduled[] {
		const rows = this.#due.all(this.#options.now(), DUE_AT_ONCE);
		for (const { id, cost } of rows) {
			this.#delete.run(id);
			this.#change(-1, -cost);
		}
		return rows.map(({ name, isBinary, attributes, data, messages, bytes, ageMs }) => ({
			channel: toName(name),
			publication: { ...unpackAttributes(attributes), data, encoding: isBinary === 1 ? "binary" : "json" },
			retention: { messages, bytes, ageMs },
		}));
	}

	/** Sets the timer for the first that waits. `failed`: what was due could not be appended. */
	arm(failed = false): void {
		const firstMs = this.#isOpen && this.#count > 0 ? (this.#first.get()?.atMs ?? Infinity) : Infinity;
		if (firstMs === this.#armedMs && !failed) {
			return;
		}
		this.#cancel?.();
		this.#cancel = undefined;
		this.#armedMs = firstMs;
		if (firstMs === Infinity) {
			return;
		}
		const delayMs = Math.min(Math.max(failed ? RETRY_MS : 0, firstMs - this.#options.now()), MAX_DELAY_MS);
		this.#cancel = this.#options.after(delayMs, () => {
			this.#cancel = undefined;
			this.#armedMs = Infinity;
			// A timer may be early, or set for less than the whole time.
			if (firstMs <= this.#options.now()) {
				this.#options.due();
			} else {
				this.arm();
			}
		});
	}

	close(): void {
		this.#isOpen = false;
		this.#cancel?.();
		this.#cancel = undefined;
	}

	#change(count: number, bytes: number): void {
		this.#count += count;
		this.#bytes += bytes;
		this.#options.database.onRollback(() => {
			this.#count -= count;
			this.#bytes -= bytes;
		});
	}
}
