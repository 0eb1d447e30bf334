/**
 * One channel's log in memory: where its entries are in the slabs, in a ring by their offset, under one epoch. Appending
 * is O(1), reading is O(page). It has no clock, no timer and no closure of its own, because there may be a million of
 * them (`test/heap-per-channel.ts` weighs them).
 *
 * `MemoryLogs` decides which logs live; the fields it needs for that stand here, so that no second object is needed.
 */
import type { Entry, Page, ReadOptions, Retention } from "./broker.ts";
import type { Subscription } from "./memory-node.ts";
import { weigh } from "./slab-record.ts";
import type { RecordOwner, SlabStore } from "./slab-store.ts";

/** How long epoch and head outlive the last entry. */
const HEAD_LIFE_MS = 24 * 60 * 60 * 1000;
/** What an entry is taken to cost beside its record: a slot in a ring that doubles when it grows. */
const SLOT_COST = 12;
/** What a snapshot is taken to cost beside its bytes. */
const SNAPSHOT_COST = 200;

const NO_RETENTION: Retention = { messages: 0, bytes: 0, ageMs: 0 };
const NO_POSITIONS: number[] = [];
const NO_SUBSCRIPTIONS: readonly Subscription[] = [];
/** The store's number for those who have nothing in it. */
const NOBODY = 0;

export class MemoryLog implements RecordOwner {
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
	readonly #store: SlabStore;
	/** The store's number for this log, while there is a ring. */
	#owner = NOBODY;
	/** What the entries weigh against `Retention.bytes`, and what their records cost. */
	#weight = 0;
	#cost = 0;
	#touchedMs: number;
	/** No entry is older: so that an append need not look at the oldest, which lies far away in memory. */
	#oldestMs = 0;
	#retention = NO_RETENTION;
	/** The position of the entry with offset `o` is at `o % length`. */
	#ring = NO_POSITIONS;

	constructor(channel: string, epoch: string, nowMs: number, store: SlabStore) {
		this.channel = channel;
		this.epoch = epoch;
		this.#touchedMs = nowMs;
		this.#store = store;
	}

	/** What the entries and the snapshot cost in memory. */
	get cost(): number {
		const snapshot = this.snapshot === undefined ? 0 : this.snapshot.data.byteLength + SNAPSHOT_COST;
		return this.#cost + (this.head - this.tail) * SLOT_COST + snapshot;
	}

	/** When nobody needs the epoch and the head any more. */
	get endsMs(): number {
		return this.#touchedMs + this.#retention.ageMs + HEAD_LIFE_MS;
	}

	// `concat` and `slice` make lists without spare room; `[...]` and `filter` leave 16 slots of it.

	attach(subscription: Subscription): void {
		this.subscriptions = this.subscriptions.concat(subscription);
	}

	detach(subscription: Subscription): void {
		const others = this.subscriptions.filter((other) => other !== subscription);
		this.subscriptions = others.length === 0 ? NO_SUBSCRIPTIONS : others.slice();
	}

	/** Appends the entry with offset `head + 1`, and lets go of what `retention` does not hold any more. */
	append(entry: Entry, retention: Retention): void {
		// What was over is over, swept or not: a longer age does not bring it back.
		this.#dropAged(entry.timeMs);
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
			(this.head - this.tail + 1 > retention.messages || this.#weight + weight > retention.bytes)
		) {
			this.dropOldest();
		}
		const count = this.head - this.tail;
		if (count === 0) {
			this.#oldestMs = entry.timeMs;
		}
		if (count === this.#ring.length) {
			this.#resize(Math.max(1, count * 2));
		}
		const position = this.#store.append(this.#owner, entry, weight);
		this.head++;
		this.#ring[this.head % this.#ring.length] = position;
		this.#weight += weight;
		this.#cost += this.#store.cost(position);
	}

	/** Lets go of the oldest entry. There must be one. */
	dropOldest(): void {
		this.tail++;
		const position = this.#positionOf(this.tail);
		this.#weight -= this.#store.weight(position);
		this.#cost -= this.#store.cost(position);
		this.#store.free(position);
	}

	/** Lets go of all entries; epoch and head stay. */
	clear(): void {
		while (this.tail < this.head) {
			this.dropOldest();
		}
		this.#resize(0);
	}

	/** Lets go of entries that are too old, and of the room they took. */
	prune(nowMs: number): void {
		this.#dropAged(nowMs);
		const count = this.head - this.tail;
		if (count * 4 < this.#ring.length) {
			this.#resize(count * 2);
		}
	}

	/** Entries past their `ttlMs` are left out; they stay counted until retention lets go of them. */
	read(options: ReadOptions, nowMs: number): Page {
		this.prune(nowMs);
		const { after, limit, maxBytes = Infinity, reverse = false } = options;
		const step = reverse ? -1 : 1;
		let offset = reverse ? Math.min(after - 1, this.head) : Math.max(after, this.tail) + 1;
		const offsets: number[] = [];
		let bytes = 0;
		for (; offset > this.tail && offset <= this.head && offsets.length < limit; offset += step) {
			const position = this.#positionOf(offset);
			if (this.#store.isExpired(position, nowMs)) {
				continue;
			}
			const length = this.#store.dataLength(position);
			if (bytes + length > maxBytes && offsets.length > 0) {
				break;
			}
			bytes += length;
			offsets.push(offset);
		}
		return { epoch: this.epoch, head: this.head, tail: this.tail, entries: this.#copy(offsets, bytes) };
	}

	/** The store wrote a record elsewhere. */
	moved(lowOffset: number, position: number): void {
		const offset = this.head - ((this.head - lowOffset) >>> 0);
		this.#ring[offset % this.#ring.length] = position;
	}

	/** The entries, with one buffer for the data of them all. */
	#copy(offsets: readonly number[], bytes: number): Entry[] {
		const page = new Uint8Array(bytes);
		let used = 0;
		return offsets.map((offset) => {
			const position = this.#positionOf(offset);
			const data = page.subarray(used, used + this.#store.dataLength(position));
			used += data.byteLength;
			return this.#store.read(position, offset, data);
		});
	}

	#positionOf(offset: number): number {
		return this.#ring[offset % this.#ring.length]!;
	}

	#dropAged(nowMs: number): void {
		const untilMs = nowMs - this.#retention.ageMs;
		if (this.#oldestMs > untilMs) {
			return;
		}
		while (this.tail < this.head) {
			this.#oldestMs = this.#store.timeMs(this.#positionOf(this.tail + 1));
			if (this.#oldestMs > untilMs) {
				return;
			}
			this.dropOldest();
		}
	}

	/** A ring of this length; without one, the log has no number in the store either. */
	#resize(length: number): void {
		if (length === 0) {
			if (this.#owner !== NOBODY) {
				this.#store.leave(this.#owner);
				this.#owner = NOBODY;
			}
			this.#ring = NO_POSITIONS;
			return;
		}
		if (this.#owner === NOBODY) {
			this.#owner = this.#store.enter(this);
		}
		const ring: number[] = new Array(length);
		for (let offset = this.tail + 1; offset <= this.head; offset++) {
			ring[offset % length] = this.#positionOf(offset);
		}
		this.#ring = ring;
	}
}
