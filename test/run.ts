/**
 * `npm test`: every check of the repository in one run, a line for each step, and at the end one line to read:
 * `N passed, N failed`. Each vitest test counts as one, and so does each other step.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packages } from "./runner/packed.ts";
import { command, type Step, verdict } from "./runner/step.ts";
import { suites } from "./runner/suites.ts";

const root = dirname(import.meta.dirname);
process.chdir(root);
if (!process.stdout.isTTY) {
	// Some programs colour whatever they say on CI; a log is easier to read and to search without.
	process.env.NO_COLOR = "1";
}

/** The script behind a dependency's command, so that this very Node runs it and not another one on the path. */
function script(dependency: string, name: string = dependency): string {
	const manifest = JSON.parse(readFileSync(join(root, "node_modules", dependency, "package.json"), "utf8")) as {
		readonly bin: string | Readonly<Record<string, string>>;
	};
	const file = typeof manifest.bin === "string" ? manifest.bin : manifest.bin[name];
	if (file === undefined) {
		throw new Error(`${dependency} has no command ${name}`);
	}
	return join(root, "node_modules", dependency, file);
}

const tsc = script("typescript", "tsc");

const steps: readonly Step[] = [
	command("style (biome)", process.execPath, script("@biomejs/biome", "biome"), "check", "--error-on-warnings", "."),
	command("packages compile (tsc -b)", process.execPath, tsc, "-b"),
	command("sources, tests and type tests check (tsc)", process.execPath, tsc, "-p", "tsconfig.test.json"),
	command("nothing dead or undeclared (knip)", process.execPath, script("knip"), "--no-config-hints"),
	packages(tsc),
	suites(script("vitest")),
];

const startedAt = performance.now();
let passed = 0;
let failed = 0;
const skipped: string[] = [];
const failures: string[] = [];
for (const [index, step] of steps.entries()) {
	process.stdout.write(`[${index + 1}/${steps.length}] ${step.name} …\n`);
	const stepStartedAt = performance.now();
	const outcome = await step.run().catch((error: unknown) => verdict(false, String(error)));
	passed += outcome.passed;
	failed += outcome.failed;
	skipped.push(...outcome.skipped);
	const word = outcome.failed === 0 ? "ok" : "FAILED";
	process.stdout.write(`      ${word}, ${seconds(stepStartedAt)}\n`);
	if (outcome.failed > 0) {
		failures.push(`${step.name}:\n${outcome.output.trim().replaceAll(/^/gm, "    ")}`);
		process.stdout.write(`${failures.at(-1)}\n`);
	}
}

// On CI everything is installed, so whatever was skipped was forgotten.
if (process.env.CI && skipped.length > 0) {
	failed += skipped.length;
	failures.push(`CI skips nothing, but these were skipped:\n${skipped.join("\n").replaceAll(/^/gm, "    ")}`);
}

process.stdout.write(`\nSummary, after ${seconds(startedAt)}\n`);
for (const title of skipped) {
	process.stdout.write(`  skipped: ${title}\n`);
}
for (const failure of failures) {
	process.stdout.write(`  failed: ${failure.replaceAll("\n", "\n  ")}\n`);
}
process.stdout.write(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}\n`);
process.exitCode = failed === 0 ? 0 : 1;

function seconds(since: number): string {
	return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
