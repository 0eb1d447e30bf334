/**
 * Reads what a source file imports, with a real parser: static imports and re-exports, type-only ones, dynamic imports,
 * `import("…")` types and `require`. It judges nothing.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

export interface Import {
	readonly specifier: string;
	readonly line: number;
}

export interface SourceFile {
	/** Relative to the repository, with slashes: `packages/server/src/hub/log.ts`. */
	readonly path: string;
	readonly lines: number;
	readonly imports: readonly Import[];
}

/** A computed specifier cannot be judged; a table may allow it under this name. */
export const COMPUTED = "import(…)";

/** All TypeScript files under a folder of the repository. */
export function readSources(root: string, folder: string): readonly SourceFile[] {
	return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
		.filter((name) => name.endsWith(".ts") || name.endsWith(".tsx"))
		.map((name) => join(folder, name).replaceAll("\\", "/"))
		.sort()
		.map((path) => readSource(path, readFileSync(join(root, path), "utf8")));
}

export function readSource(path: string, text: string): SourceFile {
	const { program, errors } = parseSync(path, text);
	if (errors.length > 0) {
		throw new Error(`${path} does not parse: ${errors[0]?.message}`);
	}
	const imports: Import[] = [];
	const add = (source: { readonly type: string; readonly value?: unknown; readonly start: number } | null): void => {
		if (source !== null) {
			const specifier = source.type === "Literal" && typeof source.value === "string" ? source.value : COMPUTED;
			imports.push({ specifier, line: lineOf(text, source.start) });
		}
	};
	new Visitor({
		ImportDeclaration: (node) => add(node.source),
		ExportNamedDeclaration: (node) => add(node.source),
		ExportAllDeclaration: (node) => add(node.source),
		ImportExpression: (node) => add(node.source),
		TSImportType: (node) => add(node.source),
		CallExpression: (node) => {
			if (node.callee.type === "Identifier" && node.callee.name === "require") {
				add(node.arguments[0] ?? null);
			}
		},
	}).visit(program);
	return { path, lines: text.trimEnd().split("\n").length, imports };
}

function lineOf(text: string, offset: number): number {
	return text.slice(0, offset).split("\n").length;
}
