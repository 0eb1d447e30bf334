/**
 * Measured processes: started on a core of their own where there are two and a `taskset`, spoken to by lines, and
 * weighed by what the operating system says of them: Linux only, by /proc.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { createInterface, type Interface } from "node:readline";

/** The measured server's core, and everybody else's. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

/** Whether processes get a core of their own here; figures without are much less steady. */
export const pinned: boolean = availableParallelism() > 1 && spawnSync("taskset", ["-c", "0", "true"]).status === 0;

export class Measured {
	readonly child: ChildProcess;
	readonly #lines: Interface;
	readonly #waiting: ((line: string | undefined) => void)[] = [];
	readonly #ready: string[] = [];
	#ended = false;

	constructor(core: number, command: readonly string[]) {
		const [program = "", ...args] = pinned ? ["taskset", "-c", String(core), ...command] : command;
		this.child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
		// It may be gone before it has read what it was told; that it is, the next `line` says.
		this.child.stdin!.on("error", () => {});
		this.#lines = createInterface({ input: this.child.stdout! });
		this.#lines.on("line", (line) => {
			const waiting = this.#waiting.shift();
			if (waiting === undefined) {
				this.#ready.push(line);
			} else {
				waiting(line);
			}
		});
		this.#lines.on("close", () => {
			this.#ended = true;
			for (const waiting of this.#waiting.splice(0)) {
				waiting(undefined);
			}
		});
	}

	get pid(): number {
		return this.child.pid!;
	}

	/** Its next line of output. Rejects where it has ended. */
	async line(): Promise<string> {
		const line =
			this.#ready.shift() ??
			(this.#ended
				? undefined
				: await new Promise<string | undefined>((resolve) => {
						this.#waiting.push(resolve);
					}));
		if (line === undefined) {
			throw new Error(`${this.child.spawnargs.join(" ")} ended without an answer`);
		}
		return line;
	}

	/** Tells it something and returns its next line of output. */
	ask(command: string | Uint8Array): Promise<string> {
		this.child.stdin!.write(command);
		return this.line();
	}

	/** Has it collect its garbage. */
	async collect(): Promise<void> {
		await this.ask("collect\n");
	}

	/** Resident memory in bytes. */
	get residentBytes(): number {
		const [, resident = "0"] = readFileSync(`/proc/${this.pid}/statm`, "latin1").split(" ");
		return Number(resident) * 4_096;
	}

	/** Ends it at once. */
	async kill(): Promise<void> {
		if (this.child.exitCode === null && this.child.signalCode === null) {
			const ended = once(this.child, "exit");
			this.child.kill("SIGKILL");
			await ended;
		}
	}

	/** Ends its input, upon which it ends itself. */
	async end(): Promise<void> {
		const ended = new Promise((resolve) => this.child.once("exit", resolve));
		this.child.stdin!.end();
		if (this.child.exitCode === null && this.child.signalCode === null) {
			await ended;
		}
	}
}

export function median(values: readonly number[]): number {
	const sorted = values.toSorted((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Where the measurements lie: the middle, the least and the most. */
export interface Spread {
	readonly median: number;
	readonly least: number;
	readonly most: number;
}

export function spread(values: readonly number[]): Spread {
	return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}
