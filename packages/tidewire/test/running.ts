/** A `tidewire` process under test: what it said so far, a way to wait for words, and its end. Killed with the test. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { onTestFinished } from "vitest";

const BIN = join(import.meta.dirname, "../bin/tidewire.js");

export interface Ended {
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

export interface Running {
	readonly stdout: string;
	/** Resolves when the output matches; rejects where the process ends before that. */
	says(words: RegExp, stream?: "stdout" | "stderr"): Promise<RegExpExecArray>;
	/** Sends a signal that it survives. */
	signal(signal: NodeJS.Signals): void;
	/** Sends a signal; resolves when the process has ended. */
	kill(signal: NodeJS.Signals): Promise<Ended>;
	/** Closes the pipe that its output goes to. */
	stopReading(): void;
	readonly ended: Promise<Ended>;
}

export interface StartOptions {
	readonly cwd?: string;
	readonly env?: Readonly<Record<string, string>>;
}

export function start(args: readonly string[], { cwd, env }: StartOptions = {}): Running {
	const child = spawn(process.execPath, [BIN, ...args], {
		cwd: cwd ?? import.meta.dirname,
		env: { ...process.env, NO_COLOR: "1", ...env },
		stdio: ["ignore", "pipe", "pipe"],
	});
	onTestFinished(() => void child.kill("SIGKILL"));

	const said = { stdout: "", stderr: "" };
	const listeners = new Set<() => void>();
	for (const stream of ["stdout", "stderr"] as const) {
		child[stream].setEncoding("utf8").on("data", (text: string) => {
			said[stream] += text;
			for (const listener of listeners) {
				listener();
			}
		});
	}
	const ended = new Promise<Ended>((resolve, reject) => {
		child.on("error", reject);
		child.on("close", (code) => resolve({ code, ...said }));
	});

	return {
		get stdout() {
			return said.stdout;
		},
		ended,
		says: (words, stream = "stdout") =>
			new Promise((resolve, reject) => {
				const look = (): void => {
					const match = words.exec(said[stream]);
					if (match !== null) {
						listeners.delete(look);
						resolve(match);
					}
				};
				listeners.add(look);
				look();
				void ended.then(({ code, stdout, stderr }) =>
					reject(new Error(`ended with ${code} before it said ${words}:\n${stdout}${stderr}`)),
				);
			}),
		signal: (signal) => void child.kill(signal),
		kill: (signal) => {
			child.kill(signal);
			return ended;
		},
		stopReading: () => child.stdout.destroy(),
	};
}
