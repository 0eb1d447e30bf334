/**
 * An outbox in a file, for Node: one line of JSON for each write, made durable before it counts, and written anew when
 * most of it is past. A process that is killed in the middle of a line loses that line, which was not promised yet.
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { createOutbox, type KeepingOutbox, type OutboxOptions } from "./outbox.ts";
import type { Changes, OutboxStore } from "./store.ts";

/** A file below this is not written anew, however much of it is past. */
const MIN_COMPACT_BYTES = 1_048_576;

/** Keeps messages in the file `path`, which one process at a time may have. Beside it stands `path.lock`. */
export function fileOutbox(path: string, options: OutboxOptions = {}): KeepingOutbox {
	return createOutbox(fileStore(path), options);
}

export function fileStore(path: string): OutboxStore {
	const records = new Map<string, unknown>();
	const lock = `${path}.lock`;
	let file: FileHandle | undefined;
	let bytes = 0;
	/** A write has failed, perhaps in the middle of a line: nothing may be written behind it. */
	let torn = false;

	function apply(changes: Iterable<readonly [string, unknown]>): void {
		for (const [key, value] of changes) {
			if (value === undefined || value === null) {
				records.delete(key);
			} else {
				records.set(key, value);
			}
		}
	}

	/** All that is not past, in a new file that takes the old one's place at once. */
	async function compact(): Promise<void> {
		const text = lineOf(records);
		const fresh = `${path}.new`;
		const writing = await open(fresh, "w", 0o600);
		await writing.writeFile(text);
		await writing.sync();
		await writing.close();
		renameSync(fresh, path);
		await file?.close();
		file = await open(path, "a", 0o600);
		bytes = Buffer.byteLength(text);
		torn = false;
	}

	return {
		async load() {
			takeLock(lock);
			try {
				for (const line of readText(path).split("\n")) {
					const changes = parse(line);
					if (changes === undefined) {
						break;
					}
					apply(changes);
				}
				await compact();
			} catch (error) {
				letGo(lock);
				throw error;
			}
			return new Map(records);
		},
		async write(changes: Changes) {
			const text = lineOf(changes);
			if (torn) {
				await compact();
			}
			torn = true;
			await file!.appendFile(text);
			await file!.datasync();
			torn = false;
			apply(changes);
			bytes += Buffer.byteLength(text);
			if (bytes > MIN_COMPACT_BYTES && bytes > 4 * Buffer.byteLength(lineOf(records))) {
				await compact();
			}
		},
		close() {
			void file?.close();
			letGo(lock);
		},
	};
}

/** JSON has no undefined: null removes. */
function lineOf(changes: Changes): string {
	return `${JSON.stringify([...changes].map(([key, value]) => [key, value ?? null]))}\n`;
}

/** Undefined for what is no whole line: the process was killed while it was written. */
function parse(line: string): readonly (readonly [string, unknown])[] | undefined {
	try {
		return JSON.parse(line) as readonly (readonly [string, unknown])[];
	} catch {
		return undefined;
	}
}

function readText(path: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") {
			return "";
		}
		throw error;
	}
}

/** The locks of this process: a restarted container may have the number of the process before it. */
const held = new Set<string>();

/** Throws where another process that lives has it; so does a second outbox of this process. */
function takeLock(lock: string): void {
	const holder = Number(readText(lock));
	if (held.has(lock) || (holder > 0 && holder !== process.pid && runs(holder))) {
		throw new Error(`${lock} belongs to process ${holder}`);
	}
	if (holder > 0) {
		// Of two that find it left behind, one moves it away; the other may move the first one's new lock, and sees it.
		const past = `${lock}.${process.pid}`;
		renameSync(lock, past);
		if (Number(readText(past)) !== holder) {
			renameSync(past, lock);
			throw new Error(`${lock} was taken at this moment`);
		}
		unlinkSync(past);
	}
	const taken = openSync(lock, "wx", 0o600);
	writeFileSync(taken, String(process.pid));
	closeSync(taken);
	held.add(lock);
}

function letGo(lock: string): void {
	held.delete(lock);
	rmSync(lock, { force: true });
}

function runs(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return (error as NodeJS.ErrnoException).code === "EPERM";
	}
}
