/**
 * A client program as a child process: commands go to its standard input, events come from its standard output as JSON
 * lines. It ends when its input does, so it does not outlive a test run that is killed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Heard, Program } from "./client.ts";

/** Where the programs are. */
export function clientFile(name: string): string {
	return fileURLToPath(new URL(`./clients/${name}`, import.meta.url));
}

/** Starts a program, which says `{"event":"ready"}` first. */
export async function startProgram(command: string, args: readonly string[]): Promise<Program> {
	const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
	const ended = once(child, "close");
	let errors = "";
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		errors = (errors + text).slice(-4_000);
	});
	// What the program no longer reads is of no interest: that it ended is told below.
	child.stdin.on("error", () => {});

	let listener: (heard: Heard | undefined, reason: string) => void = () => {};
	const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
	const lines = createInterface({ input: child.stdout });
	lines.on("line", (line) => {
		const said = JSON.parse(line) as Heard | { readonly event: "ready" };
		if (said.event === "ready") {
			resolve();
		} else {
			listener(said, "");
		}
	});
	ended.then(
		([code, signal]) => {
			const reason = `exit ${code ?? signal}\n${errors}`;
			reject(new Error(`${command} ended before it was ready: ${reason}`));
			listener(undefined, reason);
		},
		(cause) => reject(cause),
	);
	await ready;

	return {
		tell: (line) => void child.stdin.write(`${line}\n`),
		listen: (given) => {
			listener = given;
		},
		stop: async () => {
			child.kill("SIGKILL");
			await ended;
		},
	};
}
