/**
 * Writes to a store, in order and one at a time: what is asked for while a write is under way goes into the next one
 * together. A write that fails fails for all that asked for it; removals are then tried again with the next.
 */
import type { Changes, OutboxStore } from "./store.ts";

export interface Journal {
	load(): Promise<ReadonlyMap<string, unknown>>;
	/** Resolves when it is there to stay, and in the order of the calls. */
	put(changes: Iterable<readonly [key: string, value: unknown]>): Promise<void>;
	/** Gives the store up, after what was put. */
	close(): Promise<void>;
}

export function createJournal(store: OutboxStore): Journal {
	let gathering = new Map<string, unknown>();
	let last: Promise<unknown> = Promise.resolve();
	/** The write that what is put now will be part of. */
	let next: Promise<void> | undefined;

	async function write(): Promise<void> {
		const changes: Changes = gathering;
		gathering = new Map();
		next = undefined;
		try {
			await store.write(changes);
		} catch (error) {
			for (const [key, value] of changes) {
				if (value === undefined && !gathering.has(key)) {
					gathering.set(key, undefined);
				}
			}
			throw error;
		}
	}

	let loaded = false;

	return {
		async load() {
			const records = await store.load();
			loaded = true;
			return records;
		},
		put(changes) {
			for (const [key, value] of changes) {
				gathering.set(key, value);
			}
			if (next === undefined) {
				next = last.then(write);
				last = next.catch(() => {});
			}
			return next;
		},
		async close() {
			while (next !== undefined) {
				await last;
			}
			await last;
			if (loaded) {
				store.close();
			}
		},
	};
}
