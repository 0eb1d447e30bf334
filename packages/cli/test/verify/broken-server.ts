/**
 * A server that does wrong on purpose: a right one, behind a proxy that reads its WebSocket frames and drops, doubles,
 * swaps or invents some of them. Frames from servers are not masked, so they can be taken apart and sent on as they are.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import type { Broker } from "@tidewire/broker";
import { createServer, SILENT } from "@tidewire/server";
import { onTestFinished } from "vitest";

export interface OpenServer {
	readonly url: URL;
	readonly close: () => Promise<void>;
}

/** A server that lets everybody do everything. */
export async function openServer(broker?: Broker, port = 0): Promise<OpenServer> {
	const server = createServer(undefined, {
		may: { subscribe: { "*": true }, publish: { "*": true } },
		log: SILENT,
		...(broker === undefined ? {} : { broker }),
	});
	onTestFinished(() => server.close());
	const bound = await server.listen({ port });
	return { url: new URL(`ws://127.0.0.1:${bound.port}/connect`), close: () => server.close() };
}

/** Its URL. */
export async function startServer(broker?: Broker, port?: number): Promise<URL> {
	return (await openServer(broker, port)).url;
}

/** A broker that does some of it otherwise. */
export function changed(broker: Broker, changes: Partial<Broker>): Broker {
	return {
		durability: broker.durability,
		listen: (listener) => broker.listen(listener),
		publish: (...args) => broker.publish(...args),
		subscribe: (channel) => broker.subscribe(channel),
		unsubscribe: (channel) => broker.unsubscribe(channel),
		read: (...args) => broker.read(...args),
		snapshot: (channel) => broker.snapshot(channel),
		channels: (options) => broker.channels(options),
		records: broker.records,
		close: () => broker.close(),
		...changes,
	};
}

/** What becomes of one text that the server sent: these, in this order. State that it keeps is one connection's. */
export type Bend = (text: string) => readonly string[];

/** The same server, bent for every connection. */
export async function bend(url: URL, newBend: () => Bend): Promise<URL> {
	const sockets = new Set<Socket>();
	const proxy = createTcpServer((client) => {
		const server = connect(Number(url.port), url.hostname);
		for (const [socket, other] of [
			[client, server],
			[server, client],
		] as const) {
			sockets.add(socket);
			socket.on("error", () => {});
			socket.on("close", () => other.destroy());
		}
		client.on("data", (chunk) => server.write(chunk));
		const frames = new Frames(newBend());
		server.on("data", (chunk) => client.write(frames.take(chunk)));
	});
	proxy.listen(0, "127.0.0.1");
	await once(proxy, "listening");
	onTestFinished(() => {
		proxy.close();
		for (const socket of sockets) {
			socket.destroy();
		}
	});
	const bent = new URL(url);
	bent.port = String((proxy.address() as AddressInfo).port);
	return bent;
}

const TEXT = 0x81;

class Frames {
	readonly #bend: Bend;
	#held: Buffer = Buffer.alloc(0);
	#open = false;

	constructor(bend: Bend) {
		this.#bend = bend;
	}

	/** What is to be sent on for these bytes. */
	take(chunk: Uint8Array): Buffer {
		const out: Buffer[] = [];
		this.#held = Buffer.concat([this.#held, chunk]);
		if (!this.#open) {
			const end = this.#held.indexOf("\r\n\r\n");
			if (end < 0) {
				return Buffer.alloc(0);
			}
			this.#open = true;
			out.push(this.#held.subarray(0, end + 4));
			this.#held = this.#held.subarray(end + 4);
		}
		for (let length = this.#whole(); length > 0; length = this.#whole()) {
			const frame = this.#held.subarray(0, length);
			this.#held = this.#held.subarray(length);
			if (frame[0] === TEXT) {
				const text = frame.subarray(headerOf(frame)).toString();
				out.push(...this.#bend(text).map(textFrame));
			} else {
				out.push(frame);
			}
		}
		return Buffer.concat(out);
	}

	/** How long the first frame is; 0 where it is not there yet. */
	#whole(): number {
		const { length } = this.#held;
		const header = length < 2 ? Number.POSITIVE_INFINITY : headerOf(this.#held);
		const announced = length < header ? Number.POSITIVE_INFINITY : header + payloadOf(this.#held);
		return length < announced ? 0 : announced;
	}
}

function headerOf(frame: Buffer): number {
	const short = frame[1]! & 0x7f;
	return short < 126 ? 2 : short === 126 ? 4 : 10;
}

function payloadOf(frame: Buffer): number {
	const short = frame[1]! & 0x7f;
	return short < 126 ? short : short === 126 ? frame.readUInt16BE(2) : Number(frame.readBigUInt64BE(2));
}

function textFrame(text: string): Buffer {
	const body = Buffer.from(text);
	const short = body.length < 126;
	const header = Buffer.alloc(short ? 2 : 4);
	header[0] = TEXT;
	header[1] = short ? body.length : 126;
	if (!short) {
		header.writeUInt16BE(body.length, 2);
	}
	return Buffer.concat([header, body]);
}
