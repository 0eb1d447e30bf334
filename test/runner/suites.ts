/**
 * The vitest step: every test of the repository, counted one by one from vitest's JSON report. A file that does not even
 * load, an error outside all tests, and a run that found no tests are failures too.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import type { Outcome, Step } from "./step.ts";
import { start, verdict } from "./step.ts";

/** The part of vitest's JSON report that is read here. */
export interface Report {
	readonly testResults: readonly {
		readonly name: string;
		readonly status: string;
		readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
	}[];
}

export function suites(vitest: string): Step {
	return {
		name: "tests (vitest)",
		run: async () => {
			const folder = await mkdtemp(join(tmpdir(), "tidewire-tests-"));
			try {
				const file = join(folder, "report.json");
				const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
				const { code } = await start(process.execPath, [vitest, "run", ...reporters], true);
				return count(JSON.parse(await readFile(file, "utf8")) as Report, code);
			} catch (error) {
				return verdict(false, `vitest left no report: ${String(error)}`);
			} finally {
				await rm(folder, { recursive: true });
			}
		},
	};
}

/** `code` is vitest's exit code. */
export function count(report: Report, code: number | null): Outcome {
	let passed = 0;
	const failures: string[] = [];
	const skipped: string[] = [];
	for (const { name, status, assertionResults } of report.testResults) {
		const file = relative(process.cwd(), name);
		for (const test of assertionResults) {
			const title = `${file}: ${test.fullName}`;
			if (test.status === "passed") {
				passed += 1;
			} else if (test.status === "failed") {
				failures.push(title);
			} else {
				skipped.push(title);
			}
		}
		if (status === "failed" && !assertionResults.some((test) => test.status === "failed")) {
			failures.push(`${file}: the file failed outside its tests`);
		}
	}
	if (passed + skipped.length === 0) {
		failures.push("no test was found");
	}
	if (code !== 0 && failures.length === 0) {
		failures.push(`vitest exited with ${code} though no test failed: an error outside all tests, see above`);
	}
	return { passed, failed: failures.length, skipped, output: failures.join("\n") };
}
