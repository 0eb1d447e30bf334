/**
 * Holds ARCHITECTURE.md against the code: who imports whom, how long a file may be, what it may be called. The rules
 * are tried on planted faults first, so that a rule that sees nothing is noticed.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { COMPUTED, readSource, readSources, type SourceFile } from "./architecture/imports.ts";
import { findCircles, findForbidden, readRules, readTable } from "./architecture/rules.ts";

const root = dirname(import.meta.dirname);
const architecture = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
const rules = readRules(architecture);
const names = readdirSync(join(root, "packages")).filter((name) => existsSync(join(root, "packages", name, "src")));
const sources = new Map(names.map((name) => [name, readSources(root, `packages/${name}/src`)]));
const files = [...sources.values()].flat();
const exported = new Set(names.flatMap(readEntries));

const MOST_LINES = 400;
const VAGUE_NAME = /^(utils?|helpers?|common|managers?|types|misc|shared)(\.|$)/;

interface Manifest {
	readonly name: string;
	readonly exports?: Readonly<Record<string, unknown>>;
	readonly scripts?: Readonly<Record<string, string>>;
	readonly dependencies?: Readonly<Record<string, string>>;
	readonly peerDependencies?: Readonly<Record<string, string>>;
}

function readManifest(path: string): Manifest {
	return JSON.parse(readFileSync(join(root, path), "utf8")) as Manifest;
}

/** The specifiers under which a package may be imported. */
function readEntries(name: string): readonly string[] {
	const manifest = readManifest(`packages/${name}/package.json`);
	return Object.keys(manifest.exports ?? {}).map((path) => manifest.name + path.slice(1));
}

describe("the rules see what they are made for", () => {
	const table = "# A\n\n## Import rules\n\n| package | may import |\n| --- | --- |\n";
	const planted = readRules(`${table}| \`a\` | \`node:crypto\` (src/shell/) \`@tidewire/b\` \`lib\` |\n## Next\n`);
	const entries = new Set(["@tidewire/b", "@tidewire/b/sub"]);
	const find = (text: string, path = "packages/a/src/core.ts"): readonly string[] =>
		findForbidden(readSource(path, text), planted, entries).map((fault) => fault.replace(/^\S+ /, ""));

	it.each([
		['import { x } from "lib";'],
		['import "lib/deep";'],
		['import type { X } from "@tidewire/b";'],
		['export * from "@tidewire/b/sub";'],
		['import { y } from "./inside/file.ts";'],
	])("allows %s", (text) => {
		expect(find(text)).toEqual([]);
	});

	it.each([
		['import { x } from "other";', "other is not in the package's row of the import table"],
		['import type { X } from "@tidewire/c";', "@tidewire/c is not in the package's row of the import table"],
		['export { x } from "other";', "other is not in the package's row of the import table"],
		['const x = await import("other");', "other is not in the package's row of the import table"],
		['type X = import("other").X;', "other is not in the package's row of the import table"],
		['const x = require("other");', "other is not in the package's row of the import table"],
		["const x = await import(name);", `${COMPUTED} is not in the package's row of the import table`],
		['import "@tidewire/b/src/inner.ts";', "@tidewire/b/src/inner.ts is not an entry of that package's exports"],
		['import "../../b/src/inner.ts";', "../../b/src/inner.ts leaves the package's source"],
		['import "fs";', "fs is written node:fs"],
		['import "node:fs";', "node:fs is not in the package's row of the import table"],
		['import "node:crypto";', "node:crypto may stand only in src/shell/"],
	])("refuses %s", (text, fault) => {
		expect(find(text)).toEqual([fault]);
	});

	it("allows a limited import where its row says", () => {
		expect(find('import "node:crypto";', "packages/a/src/shell/socket.ts")).toEqual([]);
	});

	it("finds a circle between folders, and leaves one inside a folder alone", () => {
		const file = (path: string, ...targets: string[]): SourceFile => ({
			path,
			lines: 1,
			imports: targets.map((specifier) => ({ specifier, line: 1 })),
		});
		expect(findCircles([file("s/a.ts", "./x/b.ts"), file("s/x/b.ts", "./c.ts"), file("s/x/c.ts", "../a.ts")])).toEqual([
			["s/a.ts", "s/x/b.ts", "s/x/c.ts"],
		]);
		expect(findCircles([file("s/a.ts", "./b.ts"), file("s/b.ts", "./a.ts", "./x/c.ts"), file("s/x/c.ts")])).toEqual([]);
	});
});

describe("ARCHITECTURE.md against the code", () => {
	it("has a row for each package, and no other rows", () => {
		expect([...rules.keys()].sort()).toEqual([...names].sort());
	});

	it.each(names)("%s imports only what its row allows", (name) => {
		const faults = (sources.get(name) ?? []).flatMap((file) => findForbidden(file, rules, exported));
		expect(faults).toEqual([]);
	});

	it.each(names)("%s depends on nothing that its row does not name", (name) => {
		const { dependencies, peerDependencies } = readManifest(`packages/${name}/package.json`);
		const declared = Object.keys({ ...dependencies, ...peerDependencies });
		const allowed = (rules.get(name) ?? []).map((rule) => rule.name);
		expect(declared.filter((dependency) => !allowed.includes(dependency))).toEqual([]);
	});

	it.each(names)("%s has no circle of imports between its folders", (name) => {
		expect(findCircles(sources.get(name) ?? [])).toEqual([]);
	});

	it(`keeps files at ${MOST_LINES} lines, but for those listed as hot`, () => {
		const hot = new Set(readTable(architecture, "Hot files").map(([path = ""]) => path.replaceAll("`", "")));
		const long = files.filter(({ path, lines }) => lines > MOST_LINES && !hot.has(path));
		expect(long.map(({ path, lines }) => `${path}: ${lines} lines`)).toEqual([]);
	});

	it("lists only hot files that exist", () => {
		const hot = readTable(architecture, "Hot files").map(([path = ""]) => path.replaceAll("`", ""));
		expect(hot.filter((path) => !existsSync(join(root, path)))).toEqual([]);
	});

	it("names files and folders after something", () => {
		const vague = files.filter(({ path }) =>
			path
				.split("/")
				.slice(2)
				.some((part) => VAGUE_NAME.test(part)),
		);
		expect(vague.map(({ path }) => path)).toEqual([]);
	});
});

describe("the house", () => {
	it("starts and tests with the two commands of the README", () => {
		const readme = readFileSync(join(root, "README.md"), "utf8");
		expect([...readme.matchAll(/^npm ci && npm (.+)$/gm)].map(([, script]) => script)).toEqual(["start", "test"]);
		const scripts = readManifest("package.json").scripts ?? {};
		for (const script of ["start", "test"]) {
			const file = scripts[script]?.split(" ").at(-1) ?? "";
			expect(existsSync(join(root, file)), `${script} runs ${file}`).toBe(true);
		}
	});

	it("locks versions without naming a registry", () => {
		const lock = readFileSync(join(root, "package-lock.json"), "utf8");
		expect(lock.match(/"resolved": "https?:[^"]*"/g)).toBeNull();
	});
});
