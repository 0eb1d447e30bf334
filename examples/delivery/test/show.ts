/**
 * `npm start` as a child process on free ports, for tests: what it prints as lines to wait for, and its end. It is on a
 * leash like its own programs: when the test's process dies, nothing stays behind.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const LONGEST_WAIT_MS = 15_000;

export interface Ended {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
}

export class Show {
	readonly child: ChildProcess;
	readonly #lines: string[] = [];
	readonly #arrived = new EventTarget();
	readonly #ended: Promise<Ended>;

	constructor(...args: readonly string[]) {
		const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
		this.child = spawn(
			process.execPath,
			[
				"--conditions=tidewire-source",
				"--import",
				new URL("../leash.ts", import.meta.url).href,
				here("../start.ts"),
				...args,
			],
			{ stdio: ["ignore", "pipe", "pipe", "ipc"] },
		);
		for (const stream of [this.child.stdout, this.child.stderr]) {
			createInterface({ input: stream as NodeJS.ReadableStream }).on("line", (line) => {
				this.#lines.push(line);
				this.#arrived.dispatchEvent(new Event("line"));
			});
		}
		this.#ended = once(this.child, "close").then(([code, signal]) => ({ code, signal }) as Ended);
	}

	/** On free ports; resolves when the links are printed. */
	static async start(...args: readonly string[]): Promise<Show> {
		const show = new Show("--port", "0", "--pages-port", "0", ...args);
		await show.line(/Ctrl-C stops everything/);
		return show;
	}

	/** The match of the first line, printed or still to come, after the first `skip` lines that also match. */
	async line(pattern: RegExp, skip = 0): Promise<RegExpExecArray> {
		const signal = AbortSignal.timeout(LONGEST_WAIT_MS);
		for (;;) {
			const match = this.#lines.map((line) => pattern.exec(line)).filter((found) => found !== null)[skip];
			if (match !== undefined) {
				return match;
			}
			await new Promise<void>((resolve, reject) => {
				this.#arrived.addEventListener("line", () => resolve(), { once: true });
				signal.addEventListener("abort", () => reject(new Error(`no line ${pattern} in:\n${this.#lines.join("\n")}`)));
			});
		}
	}

	/** The tracking link of an order, with its key. */
	async link(orderId: string, variant: "sdk" | "plain" = "sdk"): Promise<string> {
		const path = variant === "sdk" ? `/orders/${orderId}` : `/orders/${orderId}/plain`;
		return (await this.line(new RegExp(`http://\\S+${path}\\?key=\\S+`)))[0];
	}

	/** The process id of a program, after so many restarts. */
	async pid(program: "gateway" | "pages" | "driver", restarts = 0): Promise<number> {
		return Number((await this.line(new RegExp(`^${program} *\\| started \\(pid (\\d+)\\)`), restarts))[1]);
	}

	ended(): Promise<Ended> {
		return this.#ended;
	}

	async stop(): Promise<Ended> {
		this.child.kill("SIGTERM");
		return this.#ended;
	}
}

/** Whether a process is there. */
export function runs(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}
