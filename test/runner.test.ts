/** What the last line of `npm test` counts, so that a run that checked less than it should is not called a success. */
import { describe, expect, it } from "vitest";
import { command } from "./runner/step.ts";
import { count, type Report } from "./runner/suites.ts";

type File = Report["testResults"][number];

function file(status: string, ...tests: readonly (readonly [title: string, status: string])[]): File {
	return { name: "a.test.ts", status, assertionResults: tests.map(([fullName, status]) => ({ fullName, status })) };
}

describe("counting vitest's report", () => {
	it("counts each test, and names what failed and what was skipped", () => {
		const tests = [
			["one", "passed"],
			["two", "failed"],
			["three [needs java]", "skipped"],
			["four", "todo"],
		] as const;
		expect(count({ testResults: [file("failed", ...tests)] }, 1)).toEqual({
			passed: 1,
			failed: 1,
			skipped: ["a.test.ts: three [needs java]", "a.test.ts: four"],
			output: "a.test.ts: two",
		});
	});

	it("counts a file that does not load as a failure", () => {
		const report = { testResults: [file("passed", ["one", "passed"]), file("failed")] };
		expect(count(report, 1)).toMatchObject({ passed: 1, failed: 1 });
	});

	it("counts an error outside all tests as a failure", () => {
		expect(count({ testResults: [file("passed", ["one", "passed"])] }, 1)).toMatchObject({ passed: 1, failed: 1 });
	});

	it("counts a run without any test as a failure", () => {
		expect(count({ testResults: [] }, 0)).toMatchObject({ passed: 0, failed: 1 });
	});
});

describe("a step that is a program", () => {
	const run = (code: string): ReturnType<ReturnType<typeof command>["run"]> =>
		command("a step", process.execPath, "-e", code).run();

	it("passes when it exits with 0, and fails otherwise, with what it said", async () => {
		expect(await run("")).toMatchObject({ passed: 1, failed: 0 });
		expect(await run("console.log('why'); process.exit(3)")).toMatchObject({ passed: 0, failed: 1, output: "why\n" });
		expect(await run("process.kill(process.pid, 'SIGKILL')")).toMatchObject({ passed: 0, failed: 1 });
	});

	it("fails when the program does not exist", async () => {
		expect(await command("a step", "no-such-program").run()).toMatchObject({ passed: 0, failed: 1 });
	});
});
