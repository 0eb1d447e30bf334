/**
 * The small records of a memory cluster: bounded in number and bytes, since to forget one before its time would break
 * a promise, and with their keys in order, so that a list costs what it gives. What is wrong with a call, the node has
 * found before; here everything happens at once.
 */
import { BrokerError, type KeyedRecord } from "./broker.ts";
import { ExpiringMap } from "./expiring-map.ts";
import { type ListOptions, SortedNames } from "./sorted-names.ts";

/** How many ended records are looked for when there is no room. Bounds the time that it takes. */
const SWEEP_LIMIT = 10_000;

export interface MemoryRecordsOptions {
	readonly now: () => number;
	readonly maxRecords: number;
	/** What all keys and values may take together. */
	readonly maxBytes: number;
}

function costOf(key: string, value: Uint8Array): number {
	return 2 * key.length + value.byteLength;
}

function alike(left: Uint8Array, right: Uint8Array): boolean {
	return left.byteLength === right.byteLength && left.every((byte, index) => byte === right[index]);
}

export class MemoryRecords {
	readonly #now: () => number;
	readonly #maxRecords: number;
	readonly #maxBytes: number;
	readonly #values = new ExpiringMap<Uint8Array>((key, value) => {
		this.#bytes -= costOf(key, value);
		this.#keys.delete(key);
	});
	readonly #keys = new SortedNames();
	#bytes = 0;

	constructor(options: MemoryRecordsOptions) {
		this.#now = options.now;
		this.#maxRecords = options.maxRecords;
		this.#maxBytes = options.maxBytes;
	}

	get size(): number {
		return this.#values.size;
	}

	get(key: string): Uint8Array | undefined {
		return this.#values.get(key, this.#now());
	}

	/** Throws `unavailable` where there is no room; then the value that was there stays. */
	set(key: string, value: Uint8Array, ttlMs: number): void {
		const nowMs = this.#now();
		if (!this.#hasRoom(key, value, nowMs)) {
			this.#values.sweep(nowMs, SWEEP_LIMIT);
			if (!this.#hasRoom(key, value, nowMs)) {
				throw new BrokerError("unavailable", "there is no room for more records");
			}
		}
		const present = this.#values.get(key, nowMs);
		this.#bytes += costOf(key, value) - (present === undefined ? 0 : costOf(key, present));
		if (present === undefined) {
			this.#keys.add(key);
		}
		this.#values.set(key, new Uint8Array(value), nowMs + ttlMs);
	}

	setIfAbsent(key: string, value: Uint8Array, ttlMs: number): Uint8Array | undefined {
		const present = this.get(key);
		if (present === undefined) {
			this.set(key, value, ttlMs);
		}
		return present;
	}

	delete(key: string): void {
		this.#values.delete(key);
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

	list(options: ListOptions): KeyedRecord[] {
		const nowMs = this.#now();
		// The second look at a value that was live at `nowMs` finds it.
		return this.#keys
			.list(options, (key) => this.#values.get(key, nowMs) !== undefined)
			.map((key) => ({ key, value: this.#values.get(key, nowMs)! }));
	}

	sweep(nowMs: number, limit: number): void {
		this.#values.sweep(nowMs, limit);
	}

	#hasRoom(key: string, value: Uint8Array, nowMs: number): boolean {
		const present = this.#values.get(key, nowMs);
		const count = this.#values.size + (present === undefined ? 1 : 0);
		const bytes = this.#bytes + costOf(key, value) - (present === undefined ? 0 : costOf(key, present));
		return count <= this.#maxRecords && bytes <= this.#maxBytes;
	}
}
