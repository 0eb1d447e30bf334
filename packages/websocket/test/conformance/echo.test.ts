import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

const PROGRAM = join(import.meta.dirname, "echo.ts");

const started: ChildProcess[] = [];

afterEach(async () => {
	for (const child of started.splice(0)) {
		if (child.exitCode === null && child.signalCode === null) {
			child.kill("SIGKILL");
			await once(child, "exit");
		}
	}
});

function run(...args: readonly string[]): ChildProcess {
	const child = spawn(process.execPath, ["--conditions=tidewire-source", PROGRAM, ...args], { stdio: "pipe" });
	started.push(child);
	return child;
}

/** An echo server on a free port, and where it says that it is. */
async function echo(): Promise<{ readonly child: ChildProcess; readonly url: string }> {
	const child = run("--port", "0");
	const [line] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
	return { child, url: line.replace("echo: ", "") };
}

async function open(url: string): Promise<WebSocket> {
	const socket = new WebSocket(url);
	await once(socket, "open");
	return socket;
}

async function echoed(socket: WebSocket, message: string | Buffer): Promise<readonly [Buffer, boolean]> {
	const answer = once(socket, "message");
	socket.send(message);
	return (await answer) as [Buffer, boolean];
}

describe("npm run echo", () => {
	test("sends back the same type, compressed where the client can, on 127.0.0.1", async () => {
		const { url } = await echo();
		expect(url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
		const socket = await open(url);
		expect(socket.extensions).toContain("permessage-deflate");
		const text = "text ".repeat(1_000);
		expect(await echoed(socket, text)).toEqual([Buffer.from(text), false]);
		expect(await echoed(socket, Buffer.from(text))).toEqual([Buffer.from(text), true]);
		socket.terminate();
	});

	test("takes a message of 131,072 fragments, most of them empty", async () => {
		const { url } = await echo();
		const socket = await open(url);
		const answer = once(socket, "message");
		for (let index = 1; index < 131_072; index++) {
			socket.send(index % 64 === 0 ? "x" : "", { fin: false, compress: false });
		}
		socket.send("end", { fin: true });
		expect(await answer).toEqual([Buffer.from(`${"x".repeat(2_047)}end`), false]);
		socket.terminate();
	});

	test.each(["SIGINT", "SIGTERM"] as const)("%s says goodbye and ends with 0, and twice is once", async (signal) => {
		const { child, url } = await echo();
		const socket = await open(url);
		const closed = once(socket, "close");
		const exited = once(child, "exit");
		// Both at once: a signal that comes when the process ends already finds no handler.
		child.kill(signal);
		child.kill(signal);
		expect(await closed).toEqual([1001, Buffer.from("the server stops")]);
		expect(await exited).toEqual([0, null]);
	});

	test.each([[["--port", "65536"]], [["--port", "x"]], [["--prot", "1"]], [["9001"]]])(
		"%j is refused with 2",
		async (args) => {
			const child = run(...args);
			let said = "";
			child.stderr?.on("data", (chunk: Buffer) => {
				said += chunk.toString();
			});
			expect(await once(child, "close")).toEqual([2, null]);
			expect(said).toContain("Usage: npm run echo");
		},
	);

	test("a port that is taken ends it with 1", async () => {
		const { url } = await echo();
		const child = run("--port", new URL(url).port);
		expect(await once(child, "close")).toEqual([1, null]);
	});
});
