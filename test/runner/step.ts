/**
 * One step of the test run: a program that is started, watched and judged. Its output is kept back and shown only where
 * the step fails, unless the step is one that a person wants to watch.
 */
import { spawn } from "node:child_process";

/** What a step adds to the summary. */
export interface Outcome {
	readonly passed: number;
	readonly failed: number;
	/** Full titles of what did not run, with the reason. */
	readonly skipped: readonly string[];
	/** Shown where something failed. */
	readonly output: string;
}

export interface Step {
	readonly name: string;
	readonly run: () => Promise<Outcome>;
}

export interface Exit {
	/** The exit code, or null where a signal ended the program or it never started. */
	readonly code: number | null;
	readonly output: string;
}

/** Runs a program to its end. With `watched`, its output goes to the terminal at once instead of into `output`. */
export function start(program: string, args: readonly string[], watched = false): Promise<Exit> {
	const { promise, resolve } = Promise.withResolvers<Exit>();
	const child = spawn(program, args, { stdio: ["ignore", watched ? "inherit" : "pipe", watched ? "inherit" : "pipe"] });
	const chunks: Buffer[] = [];
	child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
	child.stderr?.on("data", (chunk: Buffer) => chunks.push(chunk));
	child.on("error", (error) => resolve({ code: null, output: `${program} did not start: ${error.message}` }));
	child.on("close", (code) => resolve({ code, output: Buffer.concat(chunks).toString("utf8") }));
	return promise;
}

/** A step that counts as one: the program must exit with 0. */
export function command(name: string, program: string, ...args: readonly string[]): Step {
	return {
		name,
		run: async () => {
			const { code, output } = await start(program, args);
			return verdict(code === 0, output);
		},
	};
}

export function verdict(good: boolean, output: string): Outcome {
	return { passed: good ? 1 : 0, failed: good ? 0 : 1, skipped: [], output };
}
