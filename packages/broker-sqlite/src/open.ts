/**
 * From a path to an open file that is ours: who owns it, whose it is, which version, what may have been lost, and under
 * which epochs it goes on. A file that is not ours or is damaged is left as it was, and is never replaced by a new one.
 */
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Database } from "./database.ts";
import { SqliteBrokerError, toOpenError } from "./error.ts";
import { readOwner, removeOwner, writeOwner } from "./owner-note.ts";
import { APPLICATION_ID, SCHEMA, SCHEMA_VERSION } from "./schema.ts";
import { type Sync, Wal } from "./wal.ts";

export type Synchronous = "full" | "normal";

export interface OpenOptions {
	readonly path: string;
	readonly synchronous: Synchronous;
	/** Which start of the machine this is. */
	readonly boot: string;
	/** Whether the file may be older than what was promised of it: a restored copy. */
	readonly renewEpochs: boolean;
	/** The file's bound; beyond it, what would grow it fails. */
	readonly maxFileBytes: number;
	readonly cacheBytes: number;
	readonly sync: Sync;
}

/** An open file of ours. */
export interface OpenFile {
	readonly path: string;
	readonly database: Database;
	readonly wal: Wal;
	readonly id: Uint8Array;
	readonly era: number;
	/** The generation at opening; `Logs` counts on. */
	readonly generation: number;
	/** Closes it, and notes in it that nothing is missing, unless `trusted` is false. */
	close(trusted: boolean): void;
}

interface FileRow {
	readonly id: Uint8Array;
	readonly era: number;
	readonly generation: number;
	readonly boot: string;
	readonly synchronous: string;
	readonly clean: number;
}

/** Throws `SqliteBrokerError`. */
export function openFile(options: OpenOptions): OpenFile {
	const path = resolve(options.path);
	let sqlite: DatabaseSync | undefined;
	try {
		createPrivately(path);
		sqlite = new DatabaseSync(path);
		return takeOver(path, sqlite, options);
	} catch (error) {
		const reason = toOpenError(path, error, () => readOwner(path));
		try {
			sqlite?.close();
		} catch {
			// What hindered the opening is the news.
		}
		throw reason;
	}
}

/**
 * SQLite would create the file with the process's usual mode. A file that exists must not be opened here: closing any
 * descriptor of it would end the locks that this process holds on it.
 */
function createPrivately(path: string): void {
	try {
		closeSync(openSync(path, "wx", 0o600));
	} catch (error) {
		if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) {
			throw error;
		}
		return;
	}
	syncFolder(dirname(path));
}

/**
 * What is on the disk is of no use as long as its name is not: SQLite sees to that only for files that it makes
 * itself.
 */
function syncFolder(folder: string): void {
	try {
		const descriptor = openSync(folder, "r");
		try {
			fsyncSync(descriptor);
		} finally {
			closeSync(descriptor);
		}
	} catch {
		// Windows opens no folders, and needs none of this.
	}
}

function takeOver(path: string, sqlite: DatabaseSync, options: OpenOptions): OpenFile {
	// From the first access to the end no other process gets in, and the WAL's index is memory of this one.
	sqlite.exec("PRAGMA locking_mode = EXCLUSIVE");
	const isNew = judge(path, sqlite);
	sqlite.exec("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
	sqlite.exec(
		`PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -${options.cacheBytes >> 10}`,
	);
	if (isNew) {
		sqlite.exec(`BEGIN IMMEDIATE; ${SCHEMA}; PRAGMA application_id = ${APPLICATION_ID};
			PRAGMA user_version = ${SCHEMA_VERSION}`);
		sqlite
			.prepare("INSERT INTO file VALUES (?, 0, 0, ?, ?, 0)")
			.run(randomBytes(16), options.boot, options.synchronous);
		sqlite.exec("COMMIT");
	}
	const row = sqlite.prepare("SELECT * FROM file").get() as FileRow | undefined;
	if (row === undefined) {
		throw new SqliteBrokerError(
			"corrupt",
			`${path} is damaged: it does not say which file it is; it was left as it is`,
		);
	}
	const era = row.era + (isContinued(row, options) ? 0 : 1);
	sqlite
		.prepare("UPDATE file SET era = ?, boot = ?, synchronous = ?, clean = 0")
		.run(era, options.boot, options.synchronous);
	// What a killed process left in the WAL is in the file and on the disk before anybody is shown it again.
	sqlite.exec("PRAGMA wal_checkpoint(TRUNCATE)");
	// Waiting for the disk is `Wal`'s business from here on, off this thread.
	const database = new Database(sqlite);
	sqlite.exec(
		`PRAGMA synchronous = NORMAL; PRAGMA max_page_count = ${Math.ceil(options.maxFileBytes / database.pageBytes)}`,
	);
	const wal = new Wal(path, database, options.sync);
	writeOwner(path);
	return {
		path,
		database,
		wal,
		id: row.id,
		era,
		generation: row.generation,
		close: (trusted) => {
			try {
				if (trusted) {
					sqlite.exec("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE); UPDATE file SET clean = 1");
				}
			} catch {
				// The disk is full or gone: then the file does not say that it was closed, which is the careful answer.
			}
			removeOwner(path);
			sqlite.close();
			wal.close();
		},
	};
}

/** Whether it is a new file. Throws where it is not ours to use. */
function judge(path: string, sqlite: DatabaseSync): boolean {
	const read = (pragma: string): number => Number(Object.values(sqlite.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
	const application = read("application_id");
	const version = read("user_version");
	const tables = sqlite.prepare("SELECT count(*) AS count FROM sqlite_schema").get()?.count;
	if (application === 0 && version === 0 && tables === 0) {
		return true;
	}
	if (application !== APPLICATION_ID) {
		throw new SqliteBrokerError("foreign", `${path} is a database of another program; it was left as it is`);
	}
	if (version > SCHEMA_VERSION) {
		const newer = `${path} has schema ${version}, of a newer Tidewire; this one reads up to ${SCHEMA_VERSION}`;
		throw new SqliteBrokerError("newer", newer);
	}
	return false;
}

/**
 * Whether everything that was accepted is still there. A process that wrote without waiting for the disk loses nothing
 * by its own end, only by the machine's; and not even by that where it closed the file in order.
 */
function isContinued(row: FileRow, options: OpenOptions): boolean {
	if (options.renewEpochs) {
		return false;
	}
	return row.clean === 1 || row.synchronous === "full" || row.boot === options.boot;
}
