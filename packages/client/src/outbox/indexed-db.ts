/**
 * A store in a browser's IndexedDB. Each tab has a box of its own there, of those that nobody has now: a reloaded page
 * finds its own again, a duplicated tab gets an empty one, and what a closed tab left waits for the next that opens. Who has
 * a box is a Web Lock; where there are none (pages without TLS), a lease in the box.
 */
import { createOutbox, type KeepingOutbox, type OutboxOptions } from "./outbox.ts";
import { MESSAGE } from "./records.ts";
import type { Changes, OutboxStore } from "./store.ts";

/** More tabs than this at once, and the next keeps nothing. */
const MAX_BOXES = 64;
const RECORDS = "records";
const LEASE = "lease";
/** The page before may still be on its way out. */
const OWN_PATIENCE_MS = 500;
const LEASE_MS = 10_000;
const RENEW_MS = 3_000;

/** Keeps messages in the database `name`; use another one for another user. */
export function indexedDbOutbox(name: string, options: OutboxOptions = {}): KeepingOutbox {
	return createOutbox(indexedDbStore(name), options);
}

function indexedDbStore(name: string): OutboxStore {
	const remembered = `tidewire-outbox ${name}`;
	let database: IDBDatabase | undefined;
	let box = -1;
	let letGo = (): void => {};

	async function load(): Promise<ReadonlyMap<string, unknown>> {
		const opening = indexedDB.open(`tidewire-outbox ${name}`, 1);
		opening.onupgradeneeded = () => opening.result.createObjectStore(RECORDS);
		database = await answerOf(opening);
		// The tab's own box first: storage of the session survives a reload. A duplicated tab's is copied, and taken.
		const own = sessionStorage.getItem(remembered);
		if (own !== null && (await take(Number(own), OWN_PATIENCE_MS))) {
			return enter(Number(own));
		}
		for (const candidate of await othersFirst()) {
			if (await take(candidate, 0)) {
				return enter(candidate);
			}
		}
		throw new Error(`${MAX_BOXES} tabs have an outbox already`);
	}

	function enter(taken: number): Promise<ReadonlyMap<string, unknown>> {
		box = taken;
		sessionStorage.setItem(remembered, String(box));
		return readAll();
	}

	/** All boxes, but first those in which something was left. */
	async function othersFirst(): Promise<readonly number[]> {
		const keys = (await answerOf(begin("readonly").store.getAllKeys())) as [number, string][];
		const left = keys.filter(([, key]) => key.startsWith(MESSAGE)).map(([number]) => number);
		return [...new Set([...left, ...Array.from({ length: MAX_BOXES }, (_, index) => index)])];
	}

	function take(candidate: number, patienceMs: number): Promise<boolean> {
		// Not there in pages without TLS.
		const locks = navigator.locks as LockManager | undefined;
		return locks === undefined
			? takeLease(candidate)
			: takeLock(locks, `tidewire-outbox ${name} ${candidate}`, patienceMs);
	}

	function takeLock(locks: LockManager, lockName: string, patienceMs: number): Promise<boolean> {
		const how = patienceMs > 0 ? { signal: AbortSignal.timeout(patienceMs) } : { ifAvailable: true };
		return new Promise((resolve) => {
			const held = locks.request(lockName, how, (lock) => {
				resolve(lock !== null);
				return (
					lock &&
					new Promise<void>((end) => {
						letGo = end;
					})
				);
			});
			held.catch(() => resolve(false));
		});
	}

	/** Read and written in one transaction, so that of two tabs one gets it. */
	async function takeLease(candidate: number): Promise<boolean> {
		const { store, done } = begin("readwrite");
		const key = [candidate, LEASE];
		const until = (await answerOf(store.get(key))) as number | undefined;
		const isFree = typeof until !== "number" || until < Date.now();
		if (isFree) {
			store.put(Date.now() + LEASE_MS, key);
			const renewing = setInterval(() => begin("readwrite").store.put(Date.now() + LEASE_MS, key), RENEW_MS);
			letGo = () => {
				clearInterval(renewing);
				begin("readwrite").store.delete(key);
			};
			addEventListener("pagehide", letGo, { once: true });
		}
		await done;
		return isFree;
	}

	function begin(mode: IDBTransactionMode): { readonly store: IDBObjectStore; readonly done: Promise<void> } {
		const transaction = database!.transaction(RECORDS, mode, { durability: "strict" });
		const done = new Promise<void>((resolve, reject) => {
			transaction.oncomplete = () => resolve();
			transaction.onabort = () => reject(transaction.error);
		});
		return { store: transaction.objectStore(RECORDS), done };
	}

	async function readAll(): Promise<ReadonlyMap<string, unknown>> {
		const { store } = begin("readonly");
		const range = IDBKeyRange.bound([box], [box + 1], false, true);
		const [keys, values] = await Promise.all([answerOf(store.getAllKeys(range)), answerOf(store.getAll(range))]);
		return new Map(keys.map((key, index) => [(key as [number, string])[1], values[index] as unknown]));
	}

	return {
		load,
		write(changes: Changes) {
			const { store, done } = begin("readwrite");
			for (const [key, value] of changes) {
				if (value === undefined) {
					store.delete([box, key]);
				} else {
					store.put(value, [box, key]);
				}
			}
			return done;
		},
		close() {
			letGo();
			database?.close();
		},
	};
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}
