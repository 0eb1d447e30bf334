/**
 * A map whose entries end at a time of their own. It has no clock and no timer: the time is an argument, an entry
 * past its end is not returned, and `sweep` removes such entries a slice at a time, so that no call is long however
 * many there are. How many there may be is the owner's decision.
 */
interface Held<Value> {
	readonly value: Value;
	readonly endsMs: number;
}

export class ExpiringMap<Value> {
	readonly #held = new Map<string, Held<Value>>();
	/** Where the last sweep stopped. A map's iterator stays valid while entries come and go. */
	#cursor: MapIterator<[string, Held<Value>]> | undefined;
	readonly #removed: ((key: string, value: Value) => void) | undefined;

	/** `removed` is told of each key that leaves with its value, for whatever reason but another value. */
	constructor(removed?: (key: string, value: Value) => void) {
		this.#removed = removed;
	}

	/** How many are held, ended ones that no sweep has met included. */
	get size(): number {
		return this.#held.size;
	}

	get(key: string, nowMs: number): Value | undefined {
		const held = this.#held.get(key);
		if (held === undefined) {
			return undefined;
		}
		if (held.endsMs <= nowMs) {
			this.delete(key);
			return undefined;
		}
		return held.value;
	}

	/** Sets, and counts as the newest. */
	set(key: string, value: Value, endsMs: number): void {
		this.#held.delete(key);
		this.#held.set(key, { value, endsMs });
	}

	delete(key: string): void {
		const held = this.#held.get(key);
		if (held !== undefined) {
			this.#held.delete(key);
			this.#removed?.(key, held.value);
		}
	}

	/** Removes the entry that was set first. */
	dropOldest(): void {
		for (const key of this.#held.keys()) {
			this.delete(key);
			return;
		}
	}

	/** Looks at up to `limit` entries, from where the last call stopped to the end, and removes those that ended. */
	sweep(nowMs: number, limit: number): void {
		this.#cursor ??= this.#held.entries();
		for (let looked = 0; looked < limit; looked++) {
			const next = this.#cursor.next();
			if (next.done === true) {
				this.#cursor = undefined;
				return;
			}
			const [key, held] = next.value;
			if (held.endsMs <= nowMs) {
				this.delete(key);
			}
		}
	}
}
