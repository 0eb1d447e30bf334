/**
 * A longer, coverage-guided run with Jazzer.js (libFuzzer):
 *
 *     npm install --no-save @jazzer.js/core@4.0.0
 *     node --conditions=tidewire-source packages/websocket/fuzz/run.ts connection --seconds 300
 *
 * Starts from the committed corpus and, with `--keep`, writes it anew: the least set of inputs that reaches all that was
 * reached. Exit code: 0 nothing found, 1 a finding (its input is printed in hexadecimal), 2 wrong arguments.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { rolldown } from "rolldown";
import { readCorpus, writeCorpus } from "./corpus.ts";
import { TARGETS, type TargetName } from "./targets.ts";

/** Longer inputs find nothing that shorter ones do not: all limits of the targets are below. */
const MAX_INPUT_BYTES = 8_192;

const usage = `Usage: run.ts <${Object.keys(TARGETS).join(" | ")}> [--seconds <number>] [--keep]\n`;

interface Options {
	readonly target: TargetName;
	readonly seconds: number;
	readonly keep: boolean;
}

function readOptions(): Options | undefined {
	try {
		const { values, positionals } = parseArgs({
			allowPositionals: true,
			options: { seconds: { type: "string", default: "60" }, keep: { type: "boolean", default: false } },
		});
		const [target] = positionals;
		const seconds = Number(values.seconds);
		if (positionals.length !== 1 || !isTarget(target) || !Number.isInteger(seconds) || seconds < 1) {
			throw new Error("a target, and seconds as a whole number");
		}
		return { target, seconds, keep: values.keep };
	} catch (error) {
		process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
		return undefined;
	}
}

function isTarget(name: string | undefined): name is TargetName {
	return name !== undefined && Object.hasOwn(TARGETS, name);
}

function findJazzer(): string | undefined {
	try {
		const main = createRequire(import.meta.url).resolve("@jazzer.js/core");
		return join(dirname(main), "cli.js");
	} catch {
		process.stderr.write("Jazzer.js is missing: npm install --no-save @jazzer.js/core@4.0.0\n");
		return undefined;
	}
}

/** One file of CommonJS, which is what Jazzer.js instruments. */
async function bundle(target: TargetName, file: string): Promise<void> {
	const build = await rolldown({
		input: join(import.meta.dirname, "targets", `${target}.ts`),
		platform: "node",
		logLevel: "silent",
	});
	await build.write({ file, format: "cjs" });
	await build.close();
}

function unpack(directory: string, inputs: readonly Uint8Array[]): void {
	mkdirSync(directory, { recursive: true });
	for (const [index, input] of inputs.entries()) {
		writeFileSync(join(directory, String(index)), input);
	}
}

function readInputs(directory: string): readonly Uint8Array[] {
	return readdirSync(directory).map((name) => readFileSync(join(directory, name)));
}

async function fuzz({ target, seconds, keep }: Options, jazzer: string): Promise<number> {
	const work = mkdtempSync(join(tmpdir(), "tidewire-fuzz-"));
	try {
		const program = join(work, `${target}.cjs`);
		const corpus = join(work, "corpus");
		const artifacts = join(work, "findings");
		await bundle(target, program);
		unpack(corpus, readCorpus(target));
		mkdirSync(artifacts);
		const run = (directories: readonly string[], ...options: readonly string[]): number => {
			const ours = ["-i", program, "--disableBugDetectors", ".*"];
			const theirs = [`-max_len=${MAX_INPUT_BYTES}`, `-artifact_prefix=${artifacts}/`, ...options];
			const args = [jazzer, program, ...directories, ...ours, "--", ...theirs];
			return spawnSync(process.execPath, args, { stdio: "inherit", cwd: work }).status ?? 1;
		};
		const status = run([corpus], `-max_total_time=${seconds}`, "-print_final_stats=1");
		for (const name of readdirSync(artifacts)) {
			process.stdout.write(`finding: ${readFileSync(join(artifacts, name)).toString("hex")}\n`);
		}
		if (status === 0 && keep) {
			const merged = join(work, "merged");
			mkdirSync(merged);
			run([merged, corpus], "-merge=1");
			writeCorpus(target, readInputs(merged));
		}
		return status === 0 ? 0 : 1;
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

const options = readOptions();
const jazzer = options === undefined ? undefined : findJazzer();
process.exitCode = options === undefined || jazzer === undefined ? 2 : await fuzz(options, jazzer);
