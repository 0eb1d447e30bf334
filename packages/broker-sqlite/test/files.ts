/** Folders of a test's own, gone after it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export function makeFolder(): { readonly path: (name: string) => string; readonly remove: () => void } {
	const folder = mkdtempSync(join(tmpdir(), "tidewire-sqlite-"));
	return { path: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A path for a file that the test makes. */
export function makePath(): string {
	const folder = makeFolder();
	onTestFinished(folder.remove);
	return folder.path("channels.db");
}
