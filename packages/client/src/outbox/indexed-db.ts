/**
 * A store in a browser's IndexedDB. Each tab has a box of its own there: a reloaded page finds its own again, a duplicated
 * tab gets another, and what a closed tab left waits for the next that opens. Who has a box is a Web Lock; where
 * there are none (pages without TLS), a lease in the box.
 *
 * Between two pages of a tab, the box is named in the session's storage: from the end of one page to the beginning of the
 * next, and not in between, so that a duplicated tab, which gets a copy, is not taken for a reloaded one.
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
	/** This page, as the holder of a lease. Pages without TLS have no `randomUUID`. */
	let owner = String(crypto.getRandomValues(new BigUint64Array(1))[0]);
	let letGo = (): void => {};
	const remember = (): void => sessionStorage.setItem(remembered, JSON.stringify([box, owner]));

	async function load(): Promise<ReadonlyMap<string, unknown>> {
		const opening = indexedDB.open(`tidewire-outbox ${name}`, 1);
		opening.onupgradeneeded = () => opening.result.createObjectStore(RECORDS);
		database = await answerOf(opening);
		const [own, before] = readRemembered(sessionStorage.getItem(remembered));
		sessionStorage.removeItem(remembered);
		owner = before ?? owner;
		if (own !== undefined && (await take(own, OWN_PATIENCE_MS))) {
			return enter(own);
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
		addEventListener("pagehide", remember);
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
		const key = [candidate, LEASE];
		const renew = (store: IDBObjectStore): unknown => store.put({ owner, until: Date.now() + LEASE_MS }, key);
		const { store, done } = begin("readwrite");
		const lease = (await answerOf(store.get(key))) as { readonly owner: string; readonly until: number } | undefined;
		const isFree = lease === undefined || lease.owner === owner || !(lease.until > Date.now());
		if (isFree) {
			renew(store);
			const renewing = setInterval(() => renew(begin("readwrite").store), RENEW_MS);
			letGo = () => {
				clearInterval(renewing);
				begin("readwrite").store.delete(key);
			};
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
			removeEventListener("pagehide", remember);
			letGo();
			database?.close();
		},
	};
}

/** The box of the tab's page before, and who that was. */
function readRemembered(text: string | null): readonly [box?: number, owner?: string] {
	const found: unknown = JSON.parse(text ?? "[]");
	return Array.isArray(found) && Number.isSafeInteger(found[0]) && typeof found[1] === "string"
		? [found[0] as number, found[1]]
		: [];
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}
