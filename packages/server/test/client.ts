/**
 * Clients for the end-to-end specifications: `ws` for what is well-formed, a raw socket for what is not. They await
 * messages and events, never time.
 */
import { connect as connectTcp, type Socket } from "node:net";
import type { Contract } from "@tidewire/contract";
import { msgpackClient } from "@tidewire/protocol/msgpack";
import { frameLength, OPCODE, type Opcode, writeFrameHeader } from "@tidewire/websocket";
import { afterEach } from "vitest";
import { WebSocket } from "ws";
import type { ServerOptions } from "../src/options.ts";
import { createServer, type Listening, type ListenOptions, type TidewireServer } from "../src/server.ts";

export const JSON_PROTOCOL = "tidewire.v1.json";
export const MSGPACK_PROTOCOL = "tidewire.v1.msgpack";
export const API_KEY = "a-key-of-sixteen-or-more";

export type Message = Readonly<Record<string, unknown>>;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) {
		await cleanup();
	}
});

/** What is to be undone after the test, last first. */
export function afterwards(cleanup: () => unknown): void {
	cleanups.push(cleanup);
}

export interface Running<C extends Contract = Contract> {
	readonly server: TidewireServer<C>;
	readonly listening: Listening;
	/** `ws://127.0.0.1:port` */
	readonly url: string;
}

/** Anybody may subscribe and publish, unless the options say otherwise. */
export const OPEN: ServerOptions = {
	may: { subscribe: { "*": true }, publish: { "*": true } },
};

/** A server on a free port, closed after the test. */
export async function run<C extends Contract>(
	server: TidewireServer<C>,
	listen: ListenOptions = {},
): Promise<Running<C>> {
	afterwards(() => server.close());
	const listening = await server.listen({ port: 0, ...listen });
	return { server, listening, url: listening.url.replace("http", "ws") };
}

export function open(options: ServerOptions = OPEN): Promise<Running> {
	return run(createServer(undefined, options));
}

/** Receives in order: each `next` takes the message after the last one taken. */
class Queue<T> {
	readonly #items: T[] = [];
	readonly #waiting: PromiseWithResolvers<T>[] = [];
	#end: Error | undefined;

	push(item: T): void {
		const waiting = this.#waiting.shift();
		if (waiting === undefined) {
			this.#items.push(item);
		} else {
			waiting.resolve(item);
		}
	}

	end(error: Error): void {
		this.#end ??= error;
		for (const waiting of this.#waiting.splice(0)) {
			waiting.reject(this.#end);
		}
	}

	next(): Promise<T> {
		if (this.#items.length > 0) {
			return Promise.resolve(this.#items.shift()!);
		}
		if (this.#end !== undefined) {
			return Promise.reject(this.#end);
		}
		const waiting = Promise.withResolvers<T>();
		this.#waiting.push(waiting);
		return waiting.promise;
	}

	get unread(): readonly T[] {
		return this.#items;
	}
}

export interface Closed {
	readonly code: number;
	readonly reason: string;
}

/** One client that speaks properly. */
export class Client {
	readonly socket: WebSocket;
	readonly #frames = new Queue<string | Uint8Array>();
	readonly closed: Promise<Closed>;
	#ids = 0;

	constructor(url: string, protocols: string | readonly string[] = [], options: WebSocket.ClientOptions = {}) {
		this.socket = new WebSocket(url, typeof protocols === "string" ? [protocols] : [...protocols], options);
		this.socket.on("message", (data: Buffer, binary) => this.#frames.push(binary ? data : data.toString()));
		this.socket.on("error", () => {});
		this.closed = new Promise((resolve) => {
			this.socket.on("close", (code, reason) => {
				this.#frames.end(new Error(`closed with ${code} ${reason.toString()}`));
				resolve({ code, reason: reason.toString() });
			});
		});
		afterwards(() => this.socket.terminate());
	}

	/** Resolves when the connection is open; rejects with the status and text where it is refused. */
	opened(): Promise<this> {
		return new Promise((resolve, reject) => {
			this.socket.once("open", () => resolve(this));
			this.socket.once("unexpected-response", (_request, response) => {
				const chunks: Buffer[] = [];
				response.on("data", (chunk: Buffer) => chunks.push(chunk));
				response.on("end", () => {
					const body = Buffer.concat(chunks).toString();
					reject(new Refused(response.statusCode ?? 0, body, response.headers["retry-after"]));
				});
			});
			this.socket.once("error", reject);
		});
	}

	/** The next frame as it came. */
	frame(): Promise<string | Uint8Array> {
		return this.#frames.next();
	}

	/** The next message. */
	async next(): Promise<Message> {
		const frame = await this.frame();
		return typeof frame === "string"
			? (JSON.parse(frame) as Message)
			: (msgpackClient.decode(frame) as unknown as Message);
	}

	/** What has come and was not taken. */
	get unread(): readonly (string | Uint8Array)[] {
		return this.#frames.unread;
	}

	send(message: unknown): void {
		this.socket.send(typeof message === "string" || message instanceof Uint8Array ? message : JSON.stringify(message));
	}

	/** Sends a message under a new id, and waits for its ack; what else comes before is dropped. */
	async ask(message: Message): Promise<Message> {
		const id = `ask${++this.#ids}`;
		this.send({ id, ...message });
		for (;;) {
			const reply = await this.next();
			if (reply.ack === (message.id ?? id)) {
				return reply;
			}
		}
	}

	/** Nothing else has come by the time that the server has answered a ping. */
	async nothingElse(): Promise<void> {
		const id = `nothing${++this.#ids}`;
		this.send({ id, action: "ping" });
		const frame = await this.frame();
		if (frame !== `{"ack":"${id}"}`) {
			throw new Error(`something had come: ${String(frame)}`);
		}
	}
}

export class Refused extends Error {
	readonly status: number;
	readonly body: string;
	readonly retryAfter: string | undefined;

	constructor(status: number, body: string, retryAfter: string | undefined) {
		super(`refused with ${status}: ${body}`);
		this.status = status;
		this.body = body;
		this.retryAfter = retryAfter;
	}
}

/** A plain client: no subprotocol. */
export function plain(url: string, options?: WebSocket.ClientOptions): Promise<Client> {
	return new Client(url, [], options).opened();
}

/** An enveloped client that has been greeted. */
export async function enveloped(url: string, options?: WebSocket.ClientOptions): Promise<Client> {
	const client = await new Client(url, JSON_PROTOCOL, options).opened();
	await client.next();
	return client;
}

/** The status and text of a refused upgrade. */
export async function refusal(
	url: string,
	options?: WebSocket.ClientOptions & { readonly protocols?: readonly string[] },
): Promise<Refused> {
	try {
		await new Client(url, options?.protocols ?? [], options).opened();
	} catch (error) {
		if (error instanceof Refused) {
			return error;
		}
		throw error;
	}
	throw new Error("the upgrade was not refused");
}

/** A socket that sends whatever it is told. */
export class Raw {
	readonly socket: Socket;
	/** The frames that came after the response's head. */
	readonly frames: { readonly opcode: number; readonly payload: Buffer }[] = [];
	readonly #chunks: Buffer[] = [];
	/** Behind the response's head: what is no whole frame yet; undefined before that. */
	#rest: Buffer | undefined;
	#ended = false;
	#changed = Promise.withResolvers<void>();

	constructor(url: string) {
		const { hostname, port } = new URL(url);
		this.socket = connectTcp(Number(port), hostname);
		this.socket.on("data", (chunk) => this.#take(chunk));
		this.socket.on("error", () => {});
		this.socket.on("close", () => {
			this.#ended = true;
			this.#notify();
		});
		afterwards(() => this.socket.destroy());
	}

	#take(chunk: Buffer): void {
		this.#chunks.push(chunk);
		if (this.#rest !== undefined) {
			this.#rest = Buffer.concat([this.#rest, chunk]);
		} else if (this.text.includes("\r\n\r\n")) {
			const received = Buffer.concat(this.#chunks);
			this.#rest = received.subarray(received.indexOf("\r\n\r\n") + 4);
		}
		this.#readFrames();
		this.#notify();
	}

	#readFrames(): void {
		let rest = this.#rest ?? Buffer.alloc(0);
		while (rest.length >= 2) {
			const short = rest[1]! & 0x7f;
			const header = short < 126 ? 2 : short === 126 ? 4 : 10;
			if (rest.length < header) {
				break;
			}
			const length = short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
			if (rest.length < header + length) {
				break;
			}
			this.frames.push({ opcode: rest[0]! & 0x0f, payload: rest.subarray(header, header + length) });
			rest = rest.subarray(header + length);
		}
		if (this.#rest !== undefined) {
			this.#rest = rest;
		}
	}

	#notify(): void {
		this.#changed.resolve();
		this.#changed = Promise.withResolvers<void>();
	}

	/** Everything received so far. */
	get text(): string {
		return Buffer.concat(this.#chunks).toString("latin1");
	}

	get ended(): boolean {
		return this.#ended;
	}

	send(bytes: string | Uint8Array): this {
		this.socket.write(bytes);
		return this;
	}

	/** Until something satisfies, which is asked whenever something was received; or the end. */
	async until(satisfied: () => boolean): Promise<void> {
		while (!satisfied() && !this.#ended) {
			await this.#changed.promise;
		}
	}

	/** Until this text was received, or the end. Everything received by then. */
	async untilText(text: string): Promise<string> {
		await this.until(() => this.text.includes(text));
		return this.text;
	}

	/** Everything received up to the end. */
	async end(): Promise<string> {
		await this.until(() => false);
		return this.text;
	}

	/** Sends an upgrade request and waits for the response's head; what came with it behind is left. */
	async upgrade(target = "/connect", fields: Readonly<Record<string, string | undefined>> = {}): Promise<string> {
		this.send(request(target, fields));
		const text = await this.untilText("\r\n\r\n");
		return text.slice(0, text.indexOf("\r\n\r\n"));
	}

	/** The close frame's code and reason, once it has come. */
	async close(): Promise<Closed> {
		await this.until(() => this.frames.some(({ opcode }) => opcode === OPCODE.close));
		const body = this.frames.find(({ opcode }) => opcode === OPCODE.close)?.payload;
		if (body === undefined) {
			throw new Error(`ended without a close frame: ${JSON.stringify(this.text.slice(-200))}`);
		}
		return { code: body.readUInt16BE(0), reason: body.subarray(2).toString() };
	}
}

export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** An upgrade request; a field of undefined is left out. */
export function request(
	target = "/connect",
	fields: Readonly<Record<string, string | undefined>> = {},
	line = `GET ${target} HTTP/1.1`,
): string {
	const all: Record<string, string | undefined> = {
		Host: "127.0.0.1",
		Upgrade: "websocket",
		Connection: "Upgrade",
		"Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": KEY,
		...fields,
	};
	const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
	return `${[line, ...lines].join("\r\n")}\r\n\r\n`;
}

/** A client's frame, masked with a fixed key. `length`: what is announced, where it is not the payload's. */
export function clientFrame(opcode: Opcode, payload: string | Uint8Array, length?: number, fin = true): Buffer {
	const body = Buffer.from(payload);
	const announced = length ?? body.length;
	const header = Buffer.alloc(frameLength(announced) + 4);
	const at = writeFrameHeader(header, 0, opcode, announced, { key: 0x01020304, fin });
	const masked = body.map((byte, index) => byte ^ [1, 2, 3, 4][index % 4]!);
	return Buffer.concat([header.subarray(0, at), masked]);
}

export function textFrame(message: unknown): Buffer {
	return clientFrame(OPCODE.text, typeof message === "string" ? message : JSON.stringify(message));
}
