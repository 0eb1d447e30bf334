/**
 * One channel's log in memory: a ring of entries, found by their offset, under one epoch. Appending is O(1), reading is
 * O(page). It has no clock, no timer and no closure of its own, because there may be a million of them: 100,000
 * channels with one 40-byte message each take 640 bytes of heap a channel (`node --expose-gc
 * --conditions=tidewire-source packages/broker/test/heap-per-channel.ts`).
 *
 * `MemoryLogs` decides which logs live; the fields it needs for that stand here, so that no second object is needed.
 */
import type { Entry, Page, ReadOptions, Retention } from "./broker.ts";
import type { Subscription } from "./memory-node.ts";

/** How long epoch and head outlive the last entry. */
const HEAD_LIFE_MS = 24 * 60 * 60 * 1000;
/** What an entry is taken to cost beside its bytes: two objects and a slot in the ring. */
const ENTRY_COST = 200;

const NO_RETENTION: Retention = { messages: 0, bytes: 0, ageMs: 0 };
const NO_ENTRIES: (Entry | undefined)[] = [];
const NO_SUBSCRIPTIONS: readonly Subscription[] = [];

/** What an entry weighs against `Retention.bytes` and the budget: its data and its attributes. */
function weigh(entry: Entry): number {
	return (
		entry.data.byteLength +
		(entry.name?.length ?? 0) +
		(entry.key?.length ?? 0) +
		(entry.from?.length ?? 0) +
		(entry.exclude?.length ?? 0)
	);
}

export class MemoryLog {
	readonly channel: string;
	readonly epoch: string;
	/** The newest offset ever given out. */
	head = 0;
	/** Entries after this offset are kept. */
	tail = 0;
	/** Who is to be told. Replaced, never changed: the tellings under way hold the list of their moment. */
	subscriptions = NO_SUBSCRIPTIONS;
	/** The neighbours in the order of last use, and what the log was last charged; `MemoryLogs` keeps them. */
	older: MemoryLog | undefined = undefined;
	newer: MemoryLog | undefined = undefined;
	charged = 0;
	/** The newest snapshot: stays until the next one or the log's end. */
	snapshot: { readonly offset: number; readonly data: Uint8Array } | undefined = undefined;
	#bytes = 0;
	#touchedMs: number;
	#retention = NO_RETENTION;
	/** The entry with offset `o` is at `o % length`. */
	#ring = NO_ENTRIES;

	constructor(channel: string, epoch: string, nowMs: number) {
		this.channel = channel;
		this.epoch = epoch;
		this.#touchedMs = nowMs;
	}

	/** What the entries and the snapshot cost in memory, about. */
	get cost(): number {
		const snapshot = this.snapshot === undefined ? 0 : this.snapshot.data.byteLength + ENTRY_COST;
		return this.#bytes + (this.head - this.tail) * ENTRY_COST + snapshot;
	}

	/** When nobody needs the epoch and the head any more. */
	get endsMs(): number {
		return this.#touchedMs + this.#retention.ageMs + HEAD_LIFE_MS;
	}

	/** Appends the entry with offset `head + 1`, and lets go of what `retention` does not hold any more. */
	append(entry: Entry, retention: Retention): void {
		this.#retention = retention;
		this.#touchedMs = entry.timeMs;
		const weight = weigh(entry);
		if (retention.messages < 1 || retention.ageMs === 0 || weight > retention.bytes) {
			this.clear();
			this.head++;
			this.tail = this.head;
			return;
		}
		// Room first, so that the ring never grows beyond what is kept.
		this.#dropAged(entry.timeMs);
		while (
			this.tail < this.head &&
			(this.head - this.tail + 1 > retention.messages || this.#bytes + weight > retention.bytes)
		) {
			this.dropOldest();
		}
		const count = this.head - this.tail;
		if (count === this.#ring.length) {
			this.#resize(Math.max(1, count * 2));
		}
		this.head++;
		this.#ring[this.head % this.#ring.length] = entry;
		this.#bytes += weight;
	}

	/** Lets go of the oldest entry. There must be one. */
	dropOldest(): void {
		this.tail++;
		const slot = this.tail % this.#ring.length;
		this.#bytes -= weigh(this.#ring[slot]!);
		this.#ring[slot] = undefined;
	}

	/** Lets go of all entries; epoch and head stay. */
	clear(): void {
		this.tail = this.head;
		this.#bytes = 0;
		this.#ring = NO_ENTRIES;
	}

	/** Lets go of entries that are too old, and of the room they took. */
	prune(nowMs: number): void {
		this.#dropAged(nowMs);
		const count = this.head - this.tail;
		if (count === 0) {
			this.#ring = NO_ENTRIES;
		} else if (count * 4 < this.#ring.length) {
			this.#resize(count * 2);
		}
	}

	/** Entries past their `ttlMs` are left out; they stay counted until retention lets go of them. */
	read(options: ReadOptions, nowMs: number): Page {
		this.prune(nowMs);
		const { after, limit, maxBytes = Infinity, reverse = false } = options;
		const step = reverse ? -1 : 1;
		let offset = reverse ? Math.min(after - 1, this.head) : Math.max(after, this.tail) + 1;
		const entries: Entry[] = [];
		let bytes = 0;
		for (; offset > this.tail && offset <= this.head && entries.length < limit; offset += step) {
			const entry = this.#ring[offset % this.#ring.length]!;
			if (entry.ttlMs !== undefined && nowMs - entry.timeMs >= entry.ttlMs) {
				continue;
			}
			bytes += entry.data.byteLength;
			if (bytes > maxBytes && entries.length > 0) {
				break;
			}
			entries.push(entry);
		}
		return { epoch: this.epoch, head: this.head, tail: this.tail, entries };
	}

	#dropAged(nowMs: number): void {
		const oldestMs = nowMs - this.#retention.ageMs;
		while (this.tail < this.head && this.#ring[(this.tail + 1) % this.#ring.length]!.timeMs <= oldestMs) {
			this.dropOldest();
		}
	}

	#resize(length: number): void {
		const ring: (Entry | undefined)[] = new Array(length);
		for (let offset = this.tail + 1; offset <= this.head; offset++) {
			ring[offset % length] = this.#ring[offset % this.#ring.length];
		}
		this.#ring = ring;
	}
}
