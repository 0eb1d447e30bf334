/** Peers that leave at awkward moments: each left a socket, a timer or a process behind once. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Connection, resolveLimits } from "../src/index.ts";
import { acceptSocket, createListener, socketHandler } from "../src/node/index.ts";
import { frame, TEXT } from "./wire.ts";

const UPGRADE =
	"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

interface Peer {
	readonly socket: Socket;
	readonly messages: string[];
	readonly closed: PromiseWithResolvers<number>;
}

const handler = socketHandler<Peer>({
	message: ({ messages }, data) => void messages.push(new TextDecoder().decode(data)),
	ping: () => {},
	pong: () => {},
	close: ({ closed }, code) => closed.resolve(code),
});

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) {
		await cleanup();
	}
});

type Arrival = readonly [request: Parameters<typeof acceptSocket>[0], socket: Socket, head: Uint8Array];

/** A listener that leaves upgrades to the test, and a client that has asked for one. */
async function arrive(behind: Uint8Array = new Uint8Array(0)): Promise<{ client: Socket; arrival: Arrival }> {
	const arrived = Promise.withResolvers<Arrival>();
	const listener = createListener({
		http: createServer(),
		upgrade: (request, socket, head) => arrived.resolve([request, socket, head]),
	});
	listener.listen(0, "127.0.0.1");
	await once(listener, "listening");
	const client = connect((listener.address() as AddressInfo).port, "127.0.0.1").on("error", () => {});
	client.write(Buffer.concat([Buffer.from(UPGRADE), behind]));
	cleanups.push(() => {
		client.destroy();
		listener.close();
	});
	return { client, arrival: await arrived.promise };
}

function accept([request, socket, head]: Arrival): { peer: Peer; connection: Connection<Peer> | undefined } {
	const peer: Peer = { socket, messages: [], closed: Promise.withResolvers() };
	const limits = resolveLimits({ closeTimeoutMs: 1 });
	const connection = acceptSocket<Peer>(request, socket, head, { limits, context: () => peer }, handler);
	cleanups.push(() => socket.destroy());
	return { peer, connection };
}

describe("a peer that leaves", () => {
	test("by a FIN and takes nothing of what was written is given up after the close time limit", async () => {
		const { client, arrival } = await arrive();
		const { peer, connection } = accept(arrival);
		client.pause();
		connection?.sendBinary(new Uint8Array(10_000_000));
		client.end();
		expect(await peer.closed.promise).toBe(1006);
		if (!peer.socket.destroyed) {
			await once(peer.socket, "close");
		}
		expect(peer.socket.destroyed).toBe(true);
	});

	test("by a FIN while the caller makes up its mind is heard, with what it had said before", async () => {
		const said = frame(TEXT, Buffer.from("hello"));
		const { client, arrival } = await arrive(said);
		const [, socket, head] = arrival;
		client.end();
		socket.resume();
		await once(socket, "end");
		const { peer } = accept([arrival[0], socket, head]);
		expect(await peer.closed.promise).toBe(1006);
		expect(peer.messages).toEqual(["hello"]);
	});

	test("S46: by a reset while the caller makes up its mind ends no process", async () => {
		const { client, arrival } = await arrive();
		const [, socket] = arrival;
		const closed = new Promise((resolve) => socket.once("close", resolve));
		socket.resume();
		client.resetAndDestroy();
		await closed;
		const { peer } = accept(arrival);
		expect(await peer.closed.promise).toBe(1006);
	});

	test("S4: in the midst of a TLS handshake that never ends is cut", async () => {
		const key = (part: string): string =>
			readFileSync(join(import.meta.dirname, `../../server/test/fixtures/tls/test-only-first.${part}.pem`), "utf8");
		const listener = createListener({
			http: createServer((_request: IncomingMessage, response) => response.end()),
			tls: { cert: key("cert"), key: key("key") },
			headTimeoutMs: 50,
			upgrade: () => {},
		});
		listener.listen(0, "127.0.0.1");
		await once(listener, "listening");
		cleanups.push(() => listener.close());
		const client = connect((listener.address() as AddressInfo).port, "127.0.0.1").on("error", () => {});
		cleanups.push(() => client.destroy());
		await once(client.resume(), "close");
	});
});
