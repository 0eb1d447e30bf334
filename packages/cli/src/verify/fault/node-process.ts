/**
 * A server that the run starts itself, in order to kill it. It is a shell command in a process group of its own, so that
 * a signal reaches the server and not the shell alone. It is ready when its port takes connections.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { CliError } from "../../error.ts";

const READY_MS = 30_000;
const READY_POLL_MS = 20;
const DRAIN_MS = 20_000;
/** What is kept of its output, to be shown where it does not start. */
const MAX_OUTPUT = 4_000;

const running = new Set<NodeProcess>();

/** Nothing is left behind, however this process ends, but by SIGKILL. */
process.on("exit", () => {
	for (const node of running) {
		node.signal("SIGKILL");
	}
});

export class NodeProcess {
	readonly host: string;
	readonly port: number;
	readonly #command: string;
	#child: ChildProcess | undefined;
	#closed: Promise<unknown> = Promise.resolve();
	#output = "";

	constructor(command: string, host: string, port: number) {
		this.#command = command.replaceAll("{port}", String(port));
		this.host = host;
		this.port = port;
	}

	/** Resolves when the port takes connections. Rejects with `CliError` where it ends before that, or takes too long. */
	async start(): Promise<void> {
		this.#output = "";
		const child = spawn(this.#command, { shell: true, detached: true, stdio: ["ignore", "pipe", "pipe"] });
		this.#child = child;
		this.#closed = once(child, "close").catch(() => {});
		running.add(this);
		for (const stream of [child.stdout, child.stderr]) {
			stream.setEncoding("utf8").on("data", (text: string) => {
				this.#output = (this.#output + text).slice(-MAX_OUTPUT);
			});
		}
		const until = performance.now() + READY_MS;
		while (!(await this.#takesConnections())) {
			if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
				running.delete(this);
				throw new CliError("failure", `the command of --start ended: ${this.#command}\n${this.#output.trimEnd()}`);
			}
			if (performance.now() > until) {
				const words = `the command of --start does not listen on port ${this.port} after ${READY_MS / 1_000} s`;
				throw new CliError("failure", `${words}: ${this.#command}\n${this.#output.trimEnd()}`);
			}
			await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
		}
	}

	/** Kills it and waits until it is gone. */
	async kill(): Promise<void> {
		this.signal("SIGKILL");
		await this.#gone();
	}

	/** Asks it to stop and waits until it has; whether it did so by itself. */
	async drain(): Promise<boolean> {
		let inTime = true;
		this.signal("SIGTERM");
		const timer = setTimeout(() => {
			inTime = false;
			this.signal("SIGKILL");
		}, DRAIN_MS);
		await this.#gone();
		clearTimeout(timer);
		return inTime;
	}

	signal(signal: NodeJS.Signals): void {
		const pid = this.#child?.pid;
		if (pid === undefined || this.#child?.exitCode !== null || this.#child.signalCode !== null) {
			return;
		}
		try {
			process.kill(-pid, signal);
		} catch {
			// It has just ended.
		}
	}

	async #gone(): Promise<void> {
		await this.#closed;
		running.delete(this);
	}

	#takesConnections(): Promise<boolean> {
		return new Promise((resolve) => {
			const socket = connect({ host: this.host, port: this.port });
			socket.on("connect", () => {
				socket.destroy();
				resolve(true);
			});
			socket.on("error", () => resolve(false));
		});
	}
}

/** Where systems take no ports from for outgoing connections. */
const PORTS = { from: 20_000, count: 10_000 };
const MOST_TRIES = 100;

/**
 * A port that nobody listens on at this moment. One of the range for outgoing connections would not do: a client that
 * tries to reach a node while it is down could be given the node's own port to call from, and so connect to itself.
 */
export async function freePort(): Promise<number> {
	for (let tries = 0; tries < MOST_TRIES; tries++) {
		const port = PORTS.from + Math.floor(Math.random() * PORTS.count);
		const server = createServer();
		const listening = await new Promise((resolve) => {
			server.on("error", () => resolve(false));
			server.listen(port, "127.0.0.1", () => resolve(true));
		});
		if (listening === true) {
			server.close();
			await once(server, "close");
			return port;
		}
	}
	throw new CliError("failure", "no free port was found to start a node on");
}
