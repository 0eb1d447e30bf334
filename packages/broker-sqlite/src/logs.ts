/**
 * All channels' logs: found in memory or read from the file, appended to, trimmed, ended. Retention is exact in what a
 * reader sees (`tail`) and lazy in what the file still holds (`cut`): rows are removed a few hundred at a time.
 * Which logs are given up for room is `room.ts`.
 */
import type { Entry, Page, Position, ReadOptions, Retention, Snapshot } from "@tidewire/broker";
import { BYTES, type Database, type Query } from "./database.ts";
import { Entries, type Weight, weigh } from "./entries.ts";
import { epochOf } from "./epoch.ts";
import { Log, type LogState } from "./log.ts";
import { toNameBytes } from "./name-bytes.ts";

export interface LogsOptions {
	readonly database: Database;
	/** The file's identity, era and generation. */
	readonly id: Uint8Array;
	readonly era: number;
	readonly generation: number;
	/** The log ended, epoch and head too; where somebody is subscribed, `next` goes on. */
	readonly dropped: (log: Log, next: Log | undefined) => void;
}

export interface LogRow extends LogState {
	readonly id: number;
	readonly life: number;
}

/** How many logs without subscribers stay in memory: about 600 bytes each. */
const MOST_CACHED = 20_000;
const FRONT = 64;
/** So many rows that nobody can see any more are worth removing. */
const TRIM_AT = 64;
const MINUTE_MS = 60_000;

const LOG_COLUMNS = "id, life, head, tail, cut, bytes, touchedMs, ageMs, used";

export class Logs {
	readonly entries: Entries;
	readonly #options: LogsOptions;
	readonly #database: Database;
	/** Logs that somebody is subscribed to. */
	readonly #watched = new Map<string, Log>();
	/** Others, in the order of last use. */
	readonly #cache = new Map<string, Log>();
	readonly #dirty = new Set<Log>();
	/** Logs that were read since their row says; written with the next transaction, whenever that is. */
	readonly #read = new Set<Log>();
	/** The transaction's newest snapshots. */
	readonly #snapshots = new Map<Log, { readonly offset: number; readonly data: Uint8Array }>();
	readonly #find: Query<LogRow>;
	readonly #create: Query<never>;
	readonly #update: Query<never>;
	readonly #delete: Query<never>;
	readonly #findSnapshot: Query<{ readonly place: number; readonly data: Uint8Array }>;
	readonly #putSnapshot: Query<never>;
	readonly #deleteSnapshot: Query<never>;
	readonly #putGarbage: Query<never>;
	readonly #putGeneration: Query<never>;
	#generation: number;

	constructor(options: LogsOptions) {
		const { database } = options;
		this.#options = options;
		this.#database = database;
		this.#generation = options.generation;
		this.entries = new Entries(database);
		this.#find = database.query(`SELECT ${LOG_COLUMNS} FROM log WHERE name = ?`);
		this.#create = database.query(
			"INSERT INTO log (name, life, head, tail, cut, bytes, touchedMs, ageMs, used) VALUES (?, ?, 0, 0, 0, 0, ?, ?, ?)",
		);
		this.#update = database.query(
			"UPDATE log SET head = ?, tail = ?, cut = ?, bytes = ?, touchedMs = ?, ageMs = ?, used = ? WHERE id = ?",
		);
		this.#delete = database.query("DELETE FROM log WHERE id = ?");
		this.#findSnapshot = database.query("SELECT place, data FROM snapshot WHERE log = ?");
		this.#putSnapshot = database.query(`INSERT OR REPLACE INTO snapshot VALUES (?, ?, ${BYTES})`);
		this.#deleteSnapshot = database.query("DELETE FROM snapshot WHERE log = ?");
		this.#putGarbage = database.query("INSERT OR REPLACE INTO garbage VALUES (?, ?)");
		this.#putGeneration = database.query("UPDATE file SET generation = ?");
	}

	/** The channel's log; a new one under a new epoch where there is none. */
	open(channel: string, nowMs: number): Log {
		let log = this.peek(channel) ?? this.#load(channel, nowMs);
		if (log.hasEnded(nowMs)) {
			this.drop(log, nowMs);
			log = this.#load(channel, nowMs);
		}
		if (!log.isSubscribed) {
			// Last use is last in the map.
			this.#cache.delete(channel);
			this.#cache.set(channel, log);
		}
		this.#markUsed(log, nowMs);
		return log;
	}

	/**
	 * Ends the log where it is over, and removes a part of what nobody can see any more. It is no use of the log.
	 * In a transaction.
	 */
	tidy(channel: string, nowMs: number): void {
		const log = this.peek(channel) ?? this.#load(channel, nowMs);
		if (log.hasEnded(nowMs)) {
			this.drop(log, nowMs);
		} else {
			this.prune(log, nowMs);
			this.trim(log);
		}
	}

	/** The channel's log as memory holds it: each that somebody is subscribed to is there. */
	peek(channel: string): Log | undefined {
		return this.#watched.get(channel) ?? this.#cache.get(channel);
	}

	/** Channels that somebody is subscribed to. */
	subscribed(): Iterable<string> {
		return this.#watched.keys();
	}

	setSubscriptions(log: Log, subscriptions: Log["subscriptions"]): void {
		log.subscriptions = subscriptions;
		this.#place(log);
		this.#shrink();
	}

	/**
	 * Appends the entry with offset `head + 1`, and lets go of what `retention` does not hold any more. In a
	 * transaction.
	 */
	append(log: Log, entry: Entry, retention: Retention, snapshot: Uint8Array | undefined): void {
		const id = this.#change(log, entry.timeMs);
		const { state } = log;
		state.touchedMs = entry.timeMs;
		state.ageMs = retention.ageMs;
		const weight = weigh(entry);
		if (retention.messages < 1 || retention.ageMs === 0 || weight > retention.bytes) {
			this.clear(log);
			state.head++;
			state.tail = state.head;
		} else {
			this.#makeRoom(log, id, retention.messages - 1, retention.bytes - weight);
			this.entries.insert(id, entry, weight);
			state.head++;
			state.bytes += weight;
			this.#database.written += weight / this.#database.pageBytes;
		}
		if (state.tail - state.cut >= TRIM_AT) {
			this.trim(log);
		}
		if (snapshot !== undefined) {
			this.#snapshots.set(log, { offset: entry.offset, data: snapshot });
		}
	}

	read(log: Log, options: ReadOptions, nowMs: number): Page {
		this.prune(log, nowMs);
		const { id, head, tail, bytes } = log.state;
		if (id === undefined || tail === head) {
			return { epoch: log.epoch, head, tail, entries: [] };
		}
		const extent = { log: id, tail, head, weight: bytes / (head - tail) };
		return { epoch: log.epoch, head, tail, entries: this.entries.read(extent, options, nowMs) };
	}

	snapshot(log: Log): Snapshot {
		const { id, head } = log.state;
		const row = id === undefined ? undefined : this.#findSnapshot.get(id);
		return { epoch: log.epoch, head, ...(row !== undefined && { offset: row.place, data: row.data }) };
	}

	hasSnapshot({ state }: Log): boolean {
		return state.id !== undefined && this.#findSnapshot.get(state.id) !== undefined;
	}

	position({ epoch, state }: Log): Position {
		return { epoch, offset: state.head };
	}

	/** Lets go of entries that are too old, in memory; the row learns of it when it is written next. */
	prune(log: Log, nowMs: number): void {
		const { state } = log;
		const { id, head, tail, ageMs } = state;
		if (id === undefined || tail === head || ageMs === Infinity) {
			return;
		}
		const sinceMs = nowMs - ageMs;
		if (this.#oldest(log, id) > sinceMs) {
			return;
		}
		state.tail = (this.entries.firstYoung(id, tail, sinceMs) ?? head + 1) - 1;
		state.bytes = Math.max(0, state.bytes - this.entries.sum(id, tail, state.tail));
		log.front = [];
	}

	/** Lets go of all entries; epoch and head stay. In a transaction. */
	clear(log: Log): void {
		const { state } = log;
		this.#change(log, state.touchedMs);
		state.tail = state.head;
		state.bytes = 0;
		log.front = [];
	}

	/** Lets go of the `count` oldest entries. In a transaction. */
	shorten(log: Log, count: number): void {
		const id = this.#change(log, log.state.touchedMs);
		const { state } = log;
		const tail = Math.min(state.head, state.tail + count);
		state.bytes -= this.entries.sum(id, state.tail, tail);
		state.tail = tail;
		log.front = [];
	}

	/** Removes a bounded part of the rows that nobody can see any more. In a transaction. */
	trim(log: Log): void {
		const { state } = log;
		if (state.id !== undefined && state.cut < state.tail) {
			this.#change(log, state.touchedMs);
			state.cut = this.entries.remove(state.id, state.tail);
		}
	}

	/** Puts the log behind all others in the order in which they are given up. In a transaction. */
	spare(log: Log, nowMs: number): void {
		this.#change(log, log.state.touchedMs);
		log.state.used = Math.floor(nowMs / MINUTE_MS) + 1;
	}

	/** Ends a log, epoch and head too. What it held is removed later. */
	drop(log: Log, nowMs: number): void {
		const { id, head, cut } = log.state;
		this.#database.within(() => {
			const generation = this.#generation++;
			const { subscriptions } = log;
			const wasDirty = this.#dirty.delete(log);
			this.#watched.delete(log.channel);
			this.#cache.delete(log.channel);
			this.#database.onRollback(() => {
				this.#generation = generation;
				log.subscriptions = subscriptions;
				this.#place(log);
				if (wasDirty) {
					this.#dirty.add(log);
				}
			});
			this.#snapshots.delete(log);
			this.#read.delete(log);
			this.#putGeneration.run(this.#generation);
			if (id !== undefined) {
				this.#delete.run(id);
				this.#deleteSnapshot.run(id);
				if (cut < head && this.entries.remove(id, head) < head) {
					this.#putGarbage.run(id, head);
				}
			}
			const next = log.isSubscribed ? this.#load(log.channel, nowMs) : undefined;
			if (next !== undefined) {
				next.subscriptions = subscriptions;
				this.#place(next);
			}
			log.subscriptions = [];
			this.#options.dropped(log, next);
		});
	}

	/** Writes the rows of the logs that changed. At the end of each transaction. */
	flush(): void {
		for (const log of this.#read) {
			if (log.state.id !== undefined) {
				this.#change(log, log.state.touchedMs);
			}
		}
		for (const log of this.#dirty) {
			const { id = 0, head, tail, cut, bytes, touchedMs, ageMs, used } = log.state;
			this.#update.run(head, tail, cut, bytes, touchedMs, ageMs, used, id);
		}
		for (const [{ state }, { offset, data }] of this.#snapshots) {
			this.#putSnapshot.run(state.id ?? 0, offset, data);
			this.#database.written += data.byteLength / this.#database.pageBytes;
		}
	}

	/** The transaction ended, one way or the other. */
	settle(): void {
		for (const log of this.#dirty) {
			log.isDirty = false;
		}
		this.#dirty.clear();
		this.#snapshots.clear();
		this.#read.clear();
		this.#shrink();
	}

	#load(channel: string, nowMs: number): Log {
		const name = toNameBytes(channel);
		const row = this.#find.get(name);
		const life = row?.life ?? this.#generation;
		const { id, era } = this.#options;
		const used = Math.floor(nowMs / MINUTE_MS);
		const state: LogState =
			row === undefined
				? { id: undefined, head: 0, tail: 0, cut: 0, bytes: 0, touchedMs: nowMs, ageMs: 0, used }
				: { ...row };
		const log = new Log(channel, name, life, epochOf(id, era, life, name), state);
		this.#cache.set(channel, log);
		return log;
	}

	/** Puts the log where it belongs, in the place of another of its name. */
	#place(log: Log): void {
		const { channel, isSubscribed } = log;
		(isSubscribed ? this.#cache : this.#watched).delete(channel);
		(isSubscribed ? this.#watched : this.#cache).set(channel, log);
	}

	/** Remembers how the log was, for the case that the transaction fails; gives its id. */
	#change(log: Log, nowMs: number): number {
		const { state } = log;
		if (!log.isDirty) {
			const before = { ...state };
			log.isDirty = true;
			this.#dirty.add(log);
			this.#database.onRollback(() => {
				log.state = before;
				log.front = [];
			});
		}
		state.id ??= this.#create.insert(log.name, log.life, nowMs, state.ageMs, state.used);
		return state.id;
	}

	#markUsed(log: Log, nowMs: number): void {
		const minute = Math.floor(nowMs / MINUTE_MS);
		if (log.state.used < minute) {
			log.state.used = minute;
			this.#read.add(log);
		}
	}

	/** Lets go of the oldest entries until at most so many, and so many bytes, are left. */
	#makeRoom(log: Log, id: number, messages: number, bytes: number): void {
		const { state } = log;
		const over = state.head - state.tail - messages;
		if (over > 2 * FRONT) {
			// Retention was cut: one query instead of one for each few.
			this.shorten(log, over);
		}
		while (state.tail < state.head && (state.head - state.tail > messages || state.bytes > bytes)) {
			const oldest = this.#front(log, id).shift();
			if (oldest === undefined) {
				this.clear(log);
				return;
			}
			state.tail = oldest.place;
			state.bytes -= oldest.weight;
		}
	}

	#front(log: Log, id: number): Weight[] {
		if (log.front.length === 0) {
			log.front = [...this.entries.weights(id, log.state.tail, FRONT)];
		}
		return log.front;
	}

	/** When the oldest kept entry was appended. */
	#oldest(log: Log, id: number): number {
		return this.#front(log, id)[0]?.timeMs ?? -Infinity;
	}

	/** Lets go of logs that nobody is subscribed to, those that were used longest ago first. */
	#shrink(): void {
		for (const [channel, log] of this.#cache) {
			if (this.#cache.size <= MOST_CACHED || log.isDirty) {
				return;
			}
			this.#cache.delete(channel);
			this.#read.delete(log);
		}
	}
}
