/**
 * A note beside the file that says who has it open, for the words of an error. It decides nothing: the lock is
 * SQLite's, ends with its process, and a note that a killed process left behind is overwritten by the next owner.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";

const MOST_SHOWN = 200;

function noteOf(path: string): string {
	return `${path}-owner`;
}

/** A note that cannot be written costs a later error its pid, and nothing else. */
export function writeOwner(path: string): void {
	try {
		writeFileSync(noteOf(path), `process ${process.pid} on ${hostname()}\n`, { mode: 0o600 });
	} catch {
		// The disk may be full or read-only; whoever writes to the file will hear of that.
	}
}

export function readOwner(path: string): string {
	try {
		return readFileSync(noteOf(path), "utf8").trim().slice(0, MOST_SHOWN) || "another process";
	} catch {
		return "another process";
	}
}

export function removeOwner(path: string): void {
	try {
		rmSync(noteOf(path), { force: true });
	} catch {
		// It is overwritten by the next owner.
	}
}
