/**
 * Keeps one program running as a child process: passes its output on line by line, starts it again when it dies, and
 * stops it, first by asking. It does not know what the program does.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Program {
	readonly name: string;
	/** Arguments to `node`. */
	readonly args: readonly string[];
	readonly env: Readonly<Record<string, string>>;
}

export interface KeeperEvents {
	line(name: string, text: string): void;
	/** The program said that it is at work (`process.send("ready")`). After a restart it says so again. */
	ready(name: string): void;
	/** It dies as soon as it starts, time and again; it is not started any more. */
	gaveUp(name: string): void;
}

export interface Kept {
	/** Asks it to end, and after `STOP_MS` makes it. Resolves when it is gone. */
	stop(): Promise<void>;
	/** Ends it at once. */
	kill(): void;
}

/** A program that dies younger than this did not get to work. */
const INFANT_MS = 3000;
const INFANT_DEATHS = 5;
const RESTART_MS = 300;
const STOP_MS = 5000;

type State =
	| { readonly at: "running"; readonly child: ChildProcess; readonly sinceMs: number }
	| { readonly at: "waiting"; readonly timer: NodeJS.Timeout }
	| { readonly at: "stopped" };

export function keep(program: Program, events: KeeperEvents): Kept {
	let infantDeaths = 0;
	let state: State = start();

	function start(): State {
		const leash = new URL("leash.ts", import.meta.url).href;
		const child = spawn(process.execPath, ["--import", leash, ...program.args], {
			stdio: ["ignore", "pipe", "pipe", "ipc"],
			env: { ...process.env, ...program.env },
			// Ctrl-C in a terminal goes to a whole process group. In groups of their own the programs get one clear sign, ours.
			detached: process.platform !== "win32",
		});
		events.line(program.name, `started (pid ${child.pid})`);
		for (const stream of [child.stdout, child.stderr]) {
			if (stream !== null) {
				createInterface({ input: stream }).on("line", (text) => events.line(program.name, text));
			}
		}
		child.on("message", (message) => message === "ready" && events.ready(program.name));
		child.on("error", (error) => events.line(program.name, error.message));
		child.once("exit", (code, signal) => ended(signal ?? `exit code ${code}`));
		return { at: "running", child, sinceMs: performance.now() };
	}

	function ended(how: string): void {
		if (state.at !== "running") {
			return;
		}
		infantDeaths = performance.now() - state.sinceMs < INFANT_MS ? infantDeaths + 1 : 0;
		if (infantDeaths === INFANT_DEATHS) {
			state = { at: "stopped" };
			events.line(program.name, `ended (${how}), for the ${INFANT_DEATHS}th time as soon as it started`);
			events.gaveUp(program.name);
			return;
		}
		events.line(program.name, `ended (${how}); starting it again`);
		state = { at: "waiting", timer: setTimeout(() => (state = start()), RESTART_MS * 2 ** infantDeaths) };
	}

	return {
		async stop() {
			const before = state;
			state = { at: "stopped" };
			if (before.at === "waiting") {
				clearTimeout(before.timer);
			}
			if (before.at !== "running" || before.child.exitCode !== null || before.child.signalCode !== null) {
				return;
			}
			const { child } = before;
			const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
			const patience = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
			child.kill("SIGTERM");
			await gone;
			clearTimeout(patience);
		},
		kill() {
			if (state.at === "running") {
				state.child.kill("SIGKILL");
			}
		},
	};
}
