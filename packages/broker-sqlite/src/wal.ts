/**
 * Waiting for the disk without waiting: SQLite writes its WAL into the kernel's memory, and whether the disk has it is
 * asked in libuv's thread pool. This is what SQLite does itself under `synchronous=FULL`, in the same order, but
 * for the thread: there the event loop would stand still for each commit.
 *
 * A checkpoint (the WAL's pages go into the file, and the WAL starts anew) needs three steps in order: the WAL is
 * on the disk, its pages are written to the file, the file is on the disk. Nothing may be committed from the first
 * to the last; `Committer` sees to that.
 */
import { closeSync, fdatasync, openSync } from "node:fs";
import type { Database } from "./database.ts";

/** Asks the disk for what was written to this descriptor. Tests hand in disks that fail. */
export type Sync = (descriptor: number, done: (error: Error | null) => void) => void;

export const syncDescriptor: Sync = (descriptor, done) => fdatasync(descriptor, done);

/** The WAL's size at which its pages go into the file: 8 MiB. It is copied in one go, on this thread. */
const PAGES_PER_CHECKPOINT = 2_000;

interface CheckpointRow {
	readonly busy: number;
	/** Pages in the WAL. */
	readonly log: number;
}

export class Wal {
	readonly #database: Database;
	readonly #sync: Sync;
	readonly #wal: number;
	readonly #file: number;
	/** How many pages a write takes, by the last checkpoint's count. */
	#pagesPerWrite = 1;
	checkpoints = 0;

	/** The file must be open, and its WAL begun. */
	constructor(path: string, database: Database, sync: Sync) {
		this.#database = database;
		this.#sync = sync;
		this.#wal = openSync(`${path}-wal`, "r+");
		try {
			// Closed after SQLite has closed its own: closing any descriptor of the file ends the process's locks on it.
			this.#file = openSync(path, "r+");
		} catch (error) {
			closeSync(this.#wal);
			throw error;
		}
	}

	/** Whether enough has been written for a checkpoint. */
	get isLong(): boolean {
		return this.#database.written * this.#pagesPerWrite >= PAGES_PER_CHECKPOINT;
	}

	/** `done` when everything that was committed before is on the disk. */
	settle(done: (error: Error | null) => void): void {
		this.#sync(this.#wal, done);
	}

	/** `done` when all of the WAL is in the file. Nothing may be committed meanwhile. */
	checkpoint(done: (error: Error | null) => void): void {
		this.#sync(this.#wal, (error) => {
			if (error !== null) {
				done(error);
				return;
			}
			this.#moveToFile();
			this.#sync(this.#file, done);
		});
	}

	close(): void {
		// At once: closed later, the file's would end the locks of whoever in this process opens the file next.
		closeSync(this.#wal);
		closeSync(this.#file);
	}

	#moveToFile(): void {
		const database = this.#database;
		database.exec("PRAGMA synchronous = OFF");
		try {
			const row = database.query<CheckpointRow>("PRAGMA wal_checkpoint(PASSIVE)").get();
			if (row !== undefined && database.written > 0) {
				this.#pagesPerWrite = Math.min(4, Math.max(0.05, row.log / database.written));
			}
			this.checkpoints++;
		} catch {
			// The disk is full, most likely. The WAL still holds everything and grows until the next try.
		} finally {
			database.written = 0;
			database.exec("PRAGMA synchronous = NORMAL");
		}
	}
}
