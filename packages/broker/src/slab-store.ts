/**
 * Where all logs of a memory cluster keep their entries: records in slabs, one behind the other whoever they belong
 * to, so that a million quiet channels cost what their bytes cost and no garbage collector walks them. A log holds
 * positions, which are numbers. It decides what is kept; nothing is lost here.
 *
 * A slab without a live record is dropped. As channels let go at different paces, holes come about: when they are more
 * than a quarter of what lives, the slab with the most of them is cleaned, which is to say that its live records are
 * written again elsewhere and their owners told. That work is done by those who append, in proportion to what they
 * append, so that no call is long. What survived is likely to stay, so it goes into slabs of its own.
 *
 * Nobody outside sees a slab's memory: what is read is copied.
 */
import type { Entry } from "./broker.ts";
import { Slab } from "./slab.ts";
import {
	dataLengthAt,
	lengthAt,
	lowOffsetAt,
	markDead,
	ownerAt,
	readEntry,
	recordLength,
	timeAt,
	ttlAt,
	weightAt,
	writeRecord,
} from "./slab-record.ts";

/** A position is `number of the slab * STRIDE + place in the slab`: a small integer up to 2 GiB, exact beyond. */
const STRIDE = 2 ** 20;
const MAX_SLAB_BYTES = STRIDE;
/** A record longer than this part of a slab gets one of its own, so that little is wasted at a slab's end. */
const SHARED_PART = 16;
/** Dead bytes are at most this part of the live ones (and what the slabs being written leave). */
const DEAD_PART = 4;
/** Looked at while cleaning, for each byte appended. A slab gives a fifth or more, so this outruns what is appended. */
const CLEANED_PER_BYTE = 16;
/** What a slab costs beside its bytes (the object, its two views and its buffer), where that counts: with one record. */
const SLAB_COST = 400;
/** Emptied slabs that are kept for the next time, as the collector is slow to give memory back. */
const SPARE_SLABS = 2;
/** The two slabs being written, the one being cleaned, one for what cleaning moves, and the spare ones. */
const RESERVED_SLABS = 4 + SPARE_SLABS;

/** Whose records move when a slab is cleaned. */
export interface RecordOwner {
	/** The record of the entry whose offset has these low 32 bits is at `position` now. */
	moved(lowOffset: number, position: number): void;
}

export class SlabStore {
	readonly #slabBytes: number;
	readonly #slabs: (Slab | undefined)[] = [];
	readonly #freeNumbers: number[] = [];
	/** By number; number 0 is nobody's. */
	readonly #owners: (RecordOwner | undefined)[] = [undefined];
	readonly #freeOwners: number[] = [];
	/** The slab for new records, and the one for those that survived a cleaning. */
	#fresh: Slab | undefined;
	#survivors: Slab | undefined;
	/** The slab that is being cleaned, and how far. */
	#victim: Slab | undefined;
	#cleaned = 0;
	readonly #spare: Slab[] = [];
	/** What shared slabs take, spare ones apart, and how much of that lives. */
	#sharedBytes = 0;
	#sharedLive = 0;
	#ownBytes = 0;

	/** `maxBytes` is all that the owners mean to keep, by `cost`; it makes the slabs smaller where it is small. */
	constructor(maxBytes: number, slabBytes = Math.max(1, Math.min(MAX_SLAB_BYTES, Math.floor(maxBytes / 128)))) {
		this.#slabBytes = slabBytes;
	}

	/** What it takes at the moment. At most the sum of what `cost` said of the records, and `reserve`. */
	get bytes(): number {
		return this.#sharedBytes + this.#spare.length * this.#slabBytes + this.#ownBytes;
	}

	get reserve(): number {
		return RESERVED_SLABS * this.#slabBytes;
	}

	/** A number for somebody who is going to append. */
	enter(owner: RecordOwner): number {
		const number = this.#freeOwners.pop() ?? this.#owners.length;
		this.#owners[number] = owner;
		return number;
	}

	/** Gives the number back. There must be no record of it. */
	leave(owner: number): void {
		this.#owners[owner] = undefined;
		this.#freeOwners.push(owner);
	}

	/** Keeps the entry, and gives its position, which is the owner's until `free`. Others may move before. */
	append(owner: number, entry: Entry, weight: number): number {
		const length = recordLength(entry, weight);
		let slab: Slab;
		if (this.#isShared(length)) {
			this.clean(CLEANED_PER_BYTE * length);
			slab = this.#roomIn(this.#fresh, length);
			this.#fresh = slab;
			this.#sharedLive += length;
		} else {
			slab = this.#add(length);
			this.#ownBytes += length + SLAB_COST;
		}
		const at = slab.take(length);
		writeRecord(slab, at, length, owner, entry);
		return slab.number * STRIDE + at;
	}

	/** Nobody needs the record any more. */
	free(position: number): void {
		const slab = this.#slabOf(position);
		const at = position % STRIDE;
		markDead(slab, at);
		this.#release(slab, lengthAt(slab, at));
	}

	/** What keeping the record costs, its share of the holes included. */
	cost(position: number): number {
		const length = lengthAt(this.#slabOf(position), position % STRIDE);
		return this.#isShared(length) ? length + Math.ceil(length / DEAD_PART) : length + SLAB_COST;
	}

	weight(position: number): number {
		return weightAt(this.#slabOf(position), position % STRIDE);
	}

	dataLength(position: number): number {
		return dataLengthAt(this.#slabOf(position), position % STRIDE);
	}

	timeMs(position: number): number {
		return timeAt(this.#slabOf(position), position % STRIDE);
	}

	/** Whether the entry is past its `ttlMs`. */
	isExpired(position: number, nowMs: number): boolean {
		const slab = this.#slabOf(position);
		const at = position % STRIDE;
		return nowMs - timeAt(slab, at) >= ttlAt(slab, at);
	}

	/** The entry; its data is written into `data`, which has its length. */
	read(position: number, offset: number, data: Uint8Array): Entry {
		return readEntry(this.#slabOf(position), position % STRIDE, offset, data);
	}

	/** Where there are too many holes, looks at `limit` bytes or a little more of slabs that have them. */
	clean(limit: number): void {
		for (let left = limit; left > 0; ) {
			this.#victim ??= this.#chooseVictim();
			const slab = this.#victim;
			if (slab === undefined) {
				return;
			}
			// There is a live record ahead: with the last one the slab is dropped, and is the victim no more.
			const at = this.#cleaned;
			const length = lengthAt(slab, at);
			this.#cleaned += length;
			left -= length;
			if (ownerAt(slab, at) !== 0) {
				this.#move(slab, at, length);
			}
		}
	}

	#move(from: Slab, at: number, length: number): void {
		const to = this.#roomIn(this.#survivors, length);
		this.#survivors = to;
		const place = to.take(length);
		to.bytes.set(from.bytes.subarray(at, at + length), place);
		this.#sharedLive += length;
		this.#owners[ownerAt(from, at)]!.moved(lowOffsetAt(from, at), to.number * STRIDE + place);
		this.#release(from, length);
	}

	/** The slab with the fewest live bytes, where there are too many holes in all. */
	#chooseVictim(): Slab | undefined {
		const dead = this.#sharedBytes - this.#sharedLive;
		if (dead <= this.#sharedLive / DEAD_PART + 2 * this.#slabBytes) {
			return undefined;
		}
		let victim: Slab | undefined;
		for (const slab of this.#slabs) {
			if (
				slab !== undefined &&
				slab.live > 0 &&
				slab !== this.#fresh &&
				slab !== this.#survivors &&
				slab.bytes.length === this.#slabBytes &&
				(victim === undefined || slab.live < victim.live)
			) {
				victim = slab;
			}
		}
		this.#cleaned = 0;
		return victim;
	}

	/** This many bytes of the slab do not live any more. */
	#release(slab: Slab, length: number): void {
		slab.live -= length;
		if (!this.#isShared(length)) {
			this.#ownBytes -= length + SLAB_COST;
			this.#drop(slab);
			return;
		}
		this.#sharedLive -= length;
		if (slab.live > 0) {
			return;
		}
		// Nobody else reads in it, so that it can be filled again.
		slab.used = 0;
		if (slab === this.#fresh || slab === this.#survivors) {
			return;
		}
		if (slab === this.#victim) {
			this.#victim = undefined;
		}
		this.#sharedBytes -= this.#slabBytes;
		if (this.#spare.length < SPARE_SLABS) {
			this.#spare.push(slab);
		} else {
			this.#drop(slab);
		}
	}

	/** `open`, where there is room in it, or an empty slab in its place. */
	#roomIn(open: Slab | undefined, length: number): Slab {
		if (open !== undefined && open.used + length <= this.#slabBytes) {
			return open;
		}
		this.#sharedBytes += this.#slabBytes;
		return this.#spare.pop() ?? this.#add(this.#slabBytes);
	}

	#add(size: number): Slab {
		const slab = new Slab(this.#freeNumbers.pop() ?? this.#slabs.length, size);
		this.#slabs[slab.number] = slab;
		return slab;
	}

	#drop(slab: Slab): void {
		this.#slabs[slab.number] = undefined;
		this.#freeNumbers.push(slab.number);
	}

	#isShared(length: number): boolean {
		return length * SHARED_PART <= this.#slabBytes;
	}

	#slabOf(position: number): Slab {
		return this.#slabs[Math.floor(position / STRIDE)]!;
	}
}
