/**
 * The rules that ARCHITECTURE.md states in its tables, and what breaks them. Pure: texts and lists in, sentences out.
 */
import { isBuiltin } from "node:module";
import { posix } from "node:path";
import type { SourceFile } from "./imports.ts";

/** What one package may import: names, each with the places (below the package's folder) where it may stand. */
export interface Allowed {
	/** `node:*`, `node:crypto`, `@tidewire/broker`, `commander`. */
	readonly name: string;
	/** A file or a folder ending with a slash, such as `src/node/`; empty for anywhere. */
	readonly places: readonly string[];
}

export type Rules = ReadonlyMap<string, readonly Allowed[]>;

/** The rows of the table under a `## heading`, without its head; cells trimmed. */
export function readTable(markdown: string, heading: string): readonly (readonly string[])[] {
	const section = markdown.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
	return section
		.split("\n")
		.filter((line) => line.startsWith("|"))
		.slice(2)
		.map((line) =>
			line
				.split("|")
				.slice(1, -1)
				.map((cell) => cell.trim()),
		);
}

/** Reads rows such as: | `websocket` | `node:*` (src/node/, src/shell.ts) `other` |. */
export function readRules(markdown: string): Rules {
	return new Map(
		readTable(markdown, "Import rules").map(([name = "", cell = ""]) => [
			name.replaceAll("`", ""),
			[...cell.matchAll(/`([^`]+)`(?:\s*\(([^)]*)\))?/g)].map(([, allowed = "", places = ""]) => ({
				name: allowed,
				places: places.split(/[\s,]+/).filter((place) => place !== ""),
			})),
		]),
	);
}

/** One sentence for each import of a package's file that the rules do not allow. */
export function findForbidden(file: SourceFile, rules: Rules, exported: ReadonlySet<string>): readonly string[] {
	const [, name = ""] = file.path.split("/");
	const inside = file.path.split("/").slice(2).join("/");
	const allowed = rules.get(name) ?? [];
	return file.imports.flatMap(({ specifier, line }) => {
		const fault = judge(specifier, file.path, inside, allowed, exported);
		return fault === undefined ? [] : [`${file.path}:${line}: ${specifier} ${fault}`];
	});
}

function judge(
	specifier: string,
	path: string,
	inside: string,
	allowed: readonly Allowed[],
	exported: ReadonlySet<string>,
): string | undefined {
	if (specifier.startsWith(".")) {
		const target = posix.join(posix.dirname(path), specifier);
		const source = `${path.split("/").slice(0, 3).join("/")}/`;
		return target.startsWith(source) ? undefined : "leaves the package's source";
	}
	if (isBuiltin(specifier) && !specifier.startsWith("node:")) {
		return `is written node:${specifier}`;
	}
	const base = baseName(specifier);
	const rule = allowed.find(({ name }) => name === base || (name === "node:*" && specifier.startsWith("node:")));
	if (rule === undefined) {
		return "is not in the package's row of the import table";
	}
	if (rule.places.length > 0 && !rule.places.some((place) => inside === place || isUnder(inside, place))) {
		return `may stand only in ${rule.places.join(", ")}`;
	}
	if (isOwn(specifier) && !exported.has(specifier)) {
		return "is not an entry of that package's exports";
	}
	return undefined;
}

/** `@tidewire/protocol/server` → `@tidewire/protocol`; built-in modules stay as they are. */
function baseName(specifier: string): string {
	if (specifier.startsWith("node:")) {
		return specifier;
	}
	return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

function isOwn(specifier: string): boolean {
	return specifier.startsWith("@tidewire/") || specifier === "tidewire" || specifier.startsWith("tidewire/");
}

function isUnder(path: string, folder: string): boolean {
	return folder.endsWith("/") && path.startsWith(folder);
}

/**
 * Groups of files that import each other in a circle and lie in more than one folder. A circle inside one folder is that
 * folder's own affair; one between folders means that neither can be understood first.
 */
export function findCircles(files: readonly SourceFile[]): readonly (readonly string[])[] {
	const targets = new Map(
		files.map(({ path, imports }) => [
			path,
			imports
				.filter(({ specifier }) => specifier.startsWith("."))
				.map(({ specifier }) => posix.join(posix.dirname(path), specifier)),
		]),
	);
	const reached = new Map(files.map(({ path }) => [path, reach(path, targets)]));
	const circles = new Map<string, readonly string[]>();
	for (const [path, forward] of reached) {
		const circle = [...forward].filter((other) => reached.get(other)?.has(path)).sort();
		if (new Set(circle.map((member) => posix.dirname(member))).size > 1) {
			circles.set(circle.join(), circle);
		}
	}
	return [...circles.values()];
}

/** All files that a file leads to; itself only where there is a way back. */
function reach(from: string, targets: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
	const seen = new Set<string>();
	const next = [...(targets.get(from) ?? [])];
	for (let path = next.pop(); path !== undefined; path = next.pop()) {
		if (!seen.has(path)) {
			seen.add(path);
			next.push(...(targets.get(path) ?? []));
		}
	}
	return seen;
}
