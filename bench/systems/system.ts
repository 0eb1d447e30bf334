/** A system under test: how it is started, how its clients speak, and why it cannot be had where it cannot. */
import { connect, createServer } from "node:net";
import type { Opening } from "../load.ts";
import { Measured, SERVER_CORE } from "../process.ts";

export interface Speech {
	/** A client that gets these channels. */
	subscriber(channels: readonly string[], extensions?: string): Opening;
	publisher(channel: string): Opening;
	/** What the publisher of this channel sends: the payload of its frame. */
	publish(channel: string, data: string): string;
}

export interface Settings {
	/** permessage-deflate for clients that offer it. */
	readonly compression?: boolean;
	/** Attached to an `http.Server` instead of listening by itself, where there is a difference. */
	readonly attached?: boolean;
}

export interface System {
	readonly name: string;
	readonly speech: Speech;
	/** Whether it publishes from within when it is told to (`servers/control.ts`). */
	readonly inside: boolean;
	/** Whether it collects its garbage when it is told to. */
	readonly collects: boolean;
	/** The reason; undefined where it is here. */
	absent(): string | undefined;
	start(settings?: Settings): Promise<Running>;
}

export class Running {
	readonly process: Measured;
	readonly port: number;
	readonly #end: () => void;

	constructor(process: Measured, port: number, end: () => void = () => {}) {
		this.process = process;
		this.port = port;
		this.#end = end;
	}

	async end(): Promise<void> {
		await this.process.kill();
		this.#end();
	}
}

/** Starts a program that prints `port N`. */
export async function startOwn(command: readonly string[]): Promise<Running> {
	const process = new Measured(SERVER_CORE, command);
	return new Running(process, Number((await process.line()).split(" ")[1]));
}

/** Starts a program that listens on the port it was told. */
export async function startForeign(command: readonly string[], port: number, end?: () => void): Promise<Running> {
	const process = new Measured(SERVER_CORE, command);
	const running = new Running(process, port, end);
	const limit = Date.now() + START_MS;
	while (!(await accepts(port))) {
		if (Date.now() > limit || process.child.exitCode !== null) {
			await running.end();
			throw new Error(`${command.join(" ")} does not listen on port ${port}`);
		}
	}
	return running;
}

const START_MS = 15_000;
const RETRY_MS = 50;

function accepts(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1", () => {
			socket.destroy();
			resolve(true);
		});
		socket.on("error", () => setTimeout(resolve, RETRY_MS, false));
	});
}

/** For a program that cannot say which one it took. */
export async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const address = server.address();
	await new Promise((resolve) => server.close(resolve));
	return typeof address === "object" && address !== null ? address.port : 0;
}

/** The upgrade request of a client that asks for nothing but WebSocket. */
export function upgradeRequest(path: string, ...more: readonly (string | undefined)[]): string {
	const lines = [
		`GET ${path} HTTP/1.1`,
		"Host: 127.0.0.1",
		"Connection: Upgrade",
		"Upgrade: websocket",
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		...more.filter((line) => line !== undefined),
	];
	return `${lines.join("\r\n")}\r\n\r\n`;
}

export function extensionsLine(extensions: string | undefined): string | undefined {
	return extensions === undefined ? undefined : `Sec-WebSocket-Extensions: ${extensions}`;
}
