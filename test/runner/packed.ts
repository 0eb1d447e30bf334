/**
 * What a user of the packages would get: each public package is packed as for publishing, the tarball's files and its
 * manifest are judged (publint), and then all of them are unpacked into an empty project, where every entry is imported,
 * the command is started and a program is type-checked against the declarations. Nothing there knows the sources, nor
 * the condition that finds them.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import type { Outcome, Step } from "./step.ts";
import { start } from "./step.ts";

interface Manifest {
	readonly name: string;
	readonly version: string;
	readonly private?: boolean;
	readonly exports?: Readonly<Record<string, unknown>>;
	readonly dependencies?: Readonly<Record<string, string>>;
	readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** One row of `npm pack --json`. */
interface Packed {
	readonly name: string;
	readonly filename: string;
	readonly files: readonly { readonly path: string }[];
}

const PUBLISHED = /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|(bin|dist|src)\/.*)$/;
const NEVER_PUBLISHED = /(\.tsbuildinfo|\.test\.|\.test-d\.)/;

/** Runs after `tsc -b`, which makes the `dist` folders. */
export function packages(tsc: string): Step {
	return {
		name: "packages as published (npm pack, publint, import, types)",
		run: async () => {
			const folder = await mkdtemp(join(tmpdir(), "tidewire-packed-"));
			try {
				return await judge(await readManifests(), folder, tsc);
			} finally {
				await rm(folder, { recursive: true });
			}
		},
	};
}

async function readManifests(): Promise<readonly Manifest[]> {
	const manifests: Manifest[] = [];
	for (const name of await readdir("packages")) {
		const manifest = JSON.parse(await readFile(`packages/${name}/package.json`, "utf8")) as Manifest;
		if (manifest.private !== true) {
			manifests.push(manifest);
		}
	}
	return manifests;
}

async function judge(manifests: readonly Manifest[], folder: string, tsc: string): Promise<Outcome> {
	const faults: string[] = [];
	let passed = 0;
	const check = (found: readonly string[]): void => {
		faults.push(...found);
		passed += found.length === 0 ? 1 : 0;
	};

	for (const { name, filename, files } of await pack(manifests, folder)) {
		check([
			...files
				.filter(({ path }) => !PUBLISHED.test(path) || NEVER_PUBLISHED.test(path))
				.map(({ path }) => `${name}: ${path} would be published`),
			...findStale(files).map((path) => `${name}: ${path} has no source any more; remove the dist folder`),
			...(await lint(name, join(folder, filename))),
		]);
		await unpack(join(folder, filename), join(folder, "node_modules", name));
	}
	await linkLibraries(manifests, folder);

	const entries = manifests.flatMap(({ name, exports }) =>
		Object.keys(exports ?? {})
			.filter((path) => path !== "./package.json")
			.map((path) => name + path.slice(1)),
	);
	check(await importAll(entries, folder));
	check(await startCommand(folder));
	check(await checkTypes(entries, folder, tsc));
	return { passed, failed: faults.length, skipped: [], output: faults.join("\n") };
}

async function pack(manifests: readonly Manifest[], folder: string): Promise<readonly Packed[]> {
	const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
	const workspaces = manifests.flatMap(({ name }) => ["--workspace", name]);
	const { code, output } = await npm([...args, ...workspaces]);
	if (code !== 0) {
		throw new Error(`npm pack failed:\n${output}`);
	}
	const rows: unknown = JSON.parse(output.slice(output.search(/^[[{]/m)));
	return Object.values(rows as Readonly<Record<string, Packed>>);
}

/** `tsc -b` leaves behind what it made of a source that was renamed since. */
function findStale(files: Packed["files"]): readonly string[] {
	const sources = new Set(files.map(({ path }) => path).filter((path) => path.startsWith("src/")));
	return files
		.map(({ path }) => path)
		.filter((path) => path.startsWith("dist/") && path.endsWith(".js"))
		.filter((path) => !sources.has(path.replace(/^dist/, "src").replace(/js$/, "ts")));
}

function npm(args: readonly string[]): ReturnType<typeof start> {
	// npm names its own script to the programs that it runs.
	const script = process.env.npm_execpath;
	return script === undefined ? start("npm", args) : start(process.execPath, [script, ...args]);
}

async function lint(name: string, tarball: string): Promise<readonly string[]> {
	const { buffer, byteOffset, byteLength } = await readFile(tarball);
	const content = (buffer as ArrayBuffer).slice(byteOffset, byteOffset + byteLength);
	const { messages, pkg } = await publint({ pack: { tarball: content }, level: "warning", strict: true });
	return messages.map((message) => `${name}: ${formatMessage(message, pkg) ?? message.code}`);
}

async function unpack(tarball: string, target: string): Promise<void> {
	await mkdir(target, { recursive: true });
	const { code, output } = await start("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"]);
	if (code !== 0) {
		throw new Error(`${tarball} does not unpack: ${output}`);
	}
}

/** The libraries that the manifests declare, and no others: an undeclared one is not found. */
async function linkLibraries(manifests: readonly Manifest[], folder: string): Promise<void> {
	const declared = manifests.flatMap((manifest) => [
		...Object.keys(manifest.dependencies ?? {}),
		...Object.keys(manifest.peerDependencies ?? {}),
	]);
	const own = new Set(manifests.map(({ name }) => name));
	for (const name of new Set([...declared, "@types/node"])) {
		if (!own.has(name)) {
			const link = join(folder, "node_modules", name);
			await mkdir(dirname(link), { recursive: true });
			await symlink(join(process.cwd(), "node_modules", name), link, "junction");
		}
	}
}

async function importAll(entries: readonly string[], folder: string): Promise<readonly string[]> {
	const program = join(folder, "import-all.mjs");
	await writeFile(program, entries.map((entry) => `await import(${JSON.stringify(entry)});\n`).join(""));
	const { code, output } = await start(process.execPath, [program]);
	return code === 0 ? [] : [`the packed packages do not import:\n${output}`];
}

async function startCommand(folder: string): Promise<readonly string[]> {
	const bin = join(folder, "node_modules/tidewire/bin/tidewire.js");
	const { code, output } = await start(process.execPath, [bin, "--version"]);
	return code === 0 ? [] : [`the packed command does not start:\n${output}`];
}

/** Declarations must hold under both ways of resolving that users have: Node's own and a bundler's. */
async function checkTypes(entries: readonly string[], folder: string, tsc: string): Promise<readonly string[]> {
	const program = join(folder, "consumer.mts");
	await writeFile(program, entries.map((entry, index) => `export * as e${index} from "${entry}";\n`).join(""));
	const faults: string[] = [];
	for (const [module, moduleResolution] of [
		["nodenext", "nodenext"],
		["esnext", "bundler"],
	] as const) {
		const compilerOptions = {
			module,
			moduleResolution,
			noEmit: true,
			strict: true,
			target: "es2024",
			lib: ["es2024", "dom"],
			types: ["node"],
		};
		const project = join(folder, `tsconfig.${moduleResolution}.json`);
		await writeFile(project, JSON.stringify({ compilerOptions, files: [program] }));
		const { code, output } = await start(process.execPath, [tsc, "-p", project]);
		if (code !== 0) {
			faults.push(`the packed declarations do not check (${moduleResolution}):\n${output}`);
		}
	}
	return faults;
}
