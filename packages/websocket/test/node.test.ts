import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import {
	type AddressInfo,
	connect,
	createServer as createTcpServer,
	type Socket,
	type Server as TcpServer,
} from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { WebSocket as WsClient, WebSocketServer as WsServer } from "ws";
import type { Connection, Initiator, Limits } from "../src/index.ts";
import { resolveLimits } from "../src/index.ts";
import { acceptSocket, type Connected, connectWebSocket, socketHandler } from "../src/node/index.ts";
import { CLOSE, closeBody, frame, join, PING, TEXT } from "./wire.ts";

interface Peer {
	readonly socket: Socket;
	readonly protocol: string | undefined;
	connection?: Connection<Peer>;
	readonly closed: PromiseWithResolvers<readonly [number, string, Initiator, boolean]>;
}

function newPeer(socket: Socket, protocol: string | undefined): Peer {
	return { socket, protocol, closed: Promise.withResolvers() };
}

/** Echoes whatever it gets. */
const echo = socketHandler<Peer>({
	message: (peer, data, text) => void (text ? peer.connection?.sendText(data) : peer.connection?.sendBinary(data)),
	ping: () => {},
	pong: () => {},
	close: (peer, ...how) => peer.closed.resolve(how),
});

interface Listening {
	readonly port: number;
	readonly url: string;
	/** The next connection that is accepted. */
	readonly accepted: () => Promise<Peer>;
}

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	vi.useRealTimers();
	for (const cleanup of cleanups.splice(0).reverse()) {
		await cleanup();
	}
});

async function listen(limits?: Limits, http: Server = createServer()): Promise<Listening> {
	const waiting: PromiseWithResolvers<Peer>[] = [];
	const ready: Peer[] = [];
	const sockets = new Set<Socket>();
	http.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
		sockets.add(socket);
		const options = {
			context: newPeer,
			protocols: (offered: readonly string[]) => offered.find((each) => each === "chat"),
			headers: { "x-served-by": "tidewire" },
			limits: resolveLimits(limits),
		};
		const connection = acceptSocket(request, socket, head, options, echo);
		if (connection !== undefined) {
			connection.context.connection = connection;
			const next = waiting.shift();
			next === undefined ? ready.push(connection.context) : next.resolve(connection.context);
		}
	});
	http.listen(0, "127.0.0.1");
	await once(http, "listening");
	cleanups.push(() => {
		http.close();
		http.closeAllConnections();
		return Promise.all(
			[...sockets]
				.filter((socket) => !socket.closed)
				.map((socket) => {
					socket.destroy();
					return once(socket, "close");
				}),
		);
	});
	const { port } = http.address() as AddressInfo;
	return {
		port,
		url: `ws://127.0.0.1:${port}/`,
		accepted: () => {
			const peer = ready.shift();
			if (peer !== undefined) {
				return Promise.resolve(peer);
			}
			const next = Promise.withResolvers<Peer>();
			waiting.push(next);
			return next.promise;
		},
	};
}

/** A client that speaks bytes. */
async function raw(port: number): Promise<Socket> {
	const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
	cleanups.push(() => socket.destroy());
	await once(socket, "connect");
	return socket;
}

const UPGRADE =
	"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/** Reads until there is enough, or the end. */
async function readUntil(socket: Socket, enough: (text: string) => boolean): Promise<string> {
	const { promise, resolve } = Promise.withResolvers<void>();
	let text = "";
	const onData = (chunk: Buffer): void => {
		text += chunk.toString("latin1");
		if (enough(text)) {
			resolve();
		}
	};
	socket.on("data", onData).on("end", resolve).resume();
	await promise;
	socket.pause();
	socket.off("data", onData).off("end", resolve);
	return text;
}

describe("our server with clients that others wrote", () => {
	test("ws: text, binary, ping, sizes up to a megabyte, close", async () => {
		const { url, accepted } = await listen();
		const client = new WsClient(url, ["superchat", "chat"]);
		const [peer] = await Promise.all([accepted(), once(client, "open")]);
		expect(client.protocol).toBe("chat");
		expect(peer.protocol).toBe("chat");
		for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
			const text = "ü".repeat(size / 2);
			client.send(text);
			const [data, binary] = await once(client, "message");
			expect([String(data), binary]).toEqual([text, false]);
			client.send(Buffer.alloc(size, 7));
			const [bytes, isBinary] = await once(client, "message");
			expect([(bytes as Buffer).equals(Buffer.alloc(size, 7)), isBinary]).toEqual([true, true]);
		}
		client.ping("hello");
		const [payload] = await once(client, "pong");
		expect(String(payload)).toBe("hello");
		client.close(4001, "tschüß");
		const [code, reason] = await once(client, "close");
		expect([code, String(reason)]).toEqual([4001, "tschüß"]);
		expect(await peer.closed.promise).toEqual([4001, "tschüß", "remote", true]);
	});

	test("ws: a close that we begin", async () => {
		const { url, accepted } = await listen();
		const client = new WsClient(url);
		const [peer] = await Promise.all([accepted(), once(client, "open")]);
		peer.connection?.close(1012, "restart");
		const [code, reason] = await once(client, "close");
		expect([code, String(reason)]).toEqual([1012, "restart"]);
		expect(await peer.closed.promise).toEqual([1012, "restart", "local", true]);
	});

	test("ws: a message above the limit ends with 1009", async () => {
		const { url, accepted } = await listen({ maxMessageBytes: 1_000 });
		const client = new WsClient(url);
		const [peer] = await Promise.all([accepted(), once(client, "open")]);
		client.on("error", () => {});
		client.send("x".repeat(1_001));
		const [code] = await once(client, "close");
		expect(code).toBe(1009);
		expect(await peer.closed.promise).toMatchObject([1009, expect.any(String), "local", false]);
	});

	test("ws: a client that is gone without a word is 1006", async () => {
		const { url, accepted } = await listen();
		const client = new WsClient(url);
		const [peer] = await Promise.all([accepted(), once(client, "open")]);
		client.terminate();
		expect(await peer.closed.promise).toEqual([1006, "", "remote", false]);
	});

	test("Node's own WebSocket", async () => {
		const { url } = await listen();
		const client = new WebSocket(url, "chat");
		client.binaryType = "arraybuffer";
		await once(client, "open");
		expect(client.protocol).toBe("chat");
		client.send("κόσμε");
		const [text] = (await once(client, "message")) as [MessageEvent];
		expect(text.data).toBe("κόσμε");
		client.send(new Uint8Array([1, 2, 3]));
		const [binary] = (await once(client, "message")) as [MessageEvent];
		expect(new Uint8Array(binary.data)).toEqual(new Uint8Array([1, 2, 3]));
		client.close(3000, "bye");
		const [event] = (await once(client, "close")) as [CloseEvent];
		expect([event.code, event.reason, event.wasClean]).toEqual([3000, "bye", true]);
	});
});

describe("our client with servers", () => {
	async function dial(url: string): Promise<{ readonly end: Connected<Peer>; readonly next: () => Promise<string> }> {
		const received: string[] = [];
		const waiting: ((text: string) => void)[] = [];
		const handler = socketHandler<Peer>({
			message: (_, data, text) => {
				const message = `${text ? "text" : "binary"} ${Buffer.from(data).toString()}`;
				const next = waiting.shift();
				next === undefined ? received.push(message) : next(message);
			},
			ping: () => {},
			pong: () => {},
			close: (peer, ...how) => peer.closed.resolve(how),
		});
		const end = await connectWebSocket(url, { context: newPeer, protocols: ["chat"] }, handler);
		cleanups.push(() => end.context.socket.destroy());
		const next = (): Promise<string> => {
			const message = received.shift();
			return message === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(message);
		};
		return { end, next };
	}

	test("connects by way of another address, and names the URL's host all the same", async () => {
		const http = createServer();
		const { port } = await listen(undefined, http);
		const host = new Promise((resolve) => http.on("upgrade", ({ headers }) => resolve(headers.host)));
		const options = { context: newPeer, via: { host: "127.0.0.1", port } };
		const { connection } = await connectWebSocket("ws://far.example:81/", options, echo);
		cleanups.push(() => connection.close(1000));
		expect(await host).toBe("far.example:81");
	});

	test("ws as the server", async () => {
		const wss = new WsServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "chat" });
		cleanups.push(() => wss.close());
		wss.on("connection", (socket) => {
			socket.send("first");
			socket.on("message", (data, binary) => socket.send(data, { binary }));
		});
		await once(wss, "listening");
		const { end, next } = await dial(`ws://127.0.0.1:${(wss.address() as AddressInfo).port}/`);
		expect(end.protocol).toBe("chat");
		expect(await next()).toBe("text first");
		for (const size of [0, 125, 126, 65_536, 300_000]) {
			end.connection.sendText("x".repeat(size));
			expect(await next()).toBe(`text ${"x".repeat(size)}`);
			end.connection.sendBinary(new Uint8Array(size).fill(0x79));
			expect(await next()).toBe(`binary ${"y".repeat(size)}`);
		}
		end.connection.close(4000, "enough");
		expect(await end.context.closed.promise).toEqual([4000, "enough", "local", true]);
		await once(end.context.socket, "close");
	});

	test("our own server, both shells", async () => {
		const { url, accepted } = await listen();
		const { end, next } = await dial(url);
		const peer = await accepted();
		end.connection.sendText("hi");
		expect(await next()).toBe("text hi");
		peer.connection?.close(1001, "away");
		expect(await end.context.closed.promise).toEqual([1001, "away", "remote", true]);
		expect(await peer.closed.promise).toEqual([1001, "away", "local", true]);
	});

	const answer = async (text: string | undefined): Promise<string> => {
		const server: TcpServer = createTcpServer((socket) => {
			socket.on("error", () => {});
			cleanups.push(() => socket.destroy());
			socket.once("data", () => (text === undefined ? undefined : socket.end(text)));
		});
		cleanups.push(() => server.close());
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
	};

	test.each([
		["404", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "handshake_refused"],
		[
			"a wrong accept",
			"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n",
			"handshake_refused",
		],
		["no HTTP", "hello\r\n\r\n", "handshake_refused"],
		["an endless head", `HTTP/1.1 101 x\r\nx: ${"y".repeat(20_000)}`, "handshake_refused"],
		["a head without an end", "HTTP/1.1 101 x\r\n", "connection_failed"],
	])("S45: %s rejects", async (_, text, code) => {
		await expect(connectWebSocket(await answer(text), { context: newPeer }, echo)).rejects.toMatchObject({ code });
	});

	test("a server that never answers: time-out and abort", async () => {
		const url = await answer(undefined);
		const options = { context: newPeer };
		await expect(connectWebSocket(url, { ...options, handshakeTimeoutMs: 1 }, echo)).rejects.toMatchObject({
			code: "timeout",
		});
		const controller = new AbortController();
		const attempt = connectWebSocket(url, { ...options, signal: controller.signal }, echo);
		controller.abort();
		await expect(attempt).rejects.toMatchObject({ code: "aborted" });
		const late = connectWebSocket(url, { ...options, signal: controller.signal }, echo);
		await expect(late).rejects.toMatchObject({ code: "aborted" });
	});

	test.each(["ftp://x/", "nonsense", "ws://x/#part", "ws://user:secret@x/"])("%s is no URL for this", async (url) => {
		const attempt = connectWebSocket(url, { context: newPeer }, echo);
		await expect(attempt).rejects.toMatchObject({ code: "invalid_url" });
		await expect(attempt).rejects.not.toThrow("secret");
	});

	test("nobody listens", async () => {
		const server = createTcpServer().listen(0, "127.0.0.1");
		await once(server, "listening");
		const { port } = server.address() as AddressInfo;
		server.close();
		await once(server, "close");
		const attempt = connectWebSocket(`ws://127.0.0.1:${port}/`, { context: newPeer }, echo);
		await expect(attempt).rejects.toMatchObject({ code: "connection_failed", cause: expect.any(Error) });
	});
});

describe("the shell", () => {
	test("S3: a refusal is a response that can be read, then the end", async () => {
		const { port } = await listen();
		const socket = await raw(port);
		socket.end(UPGRADE.replace("Version: 13", "Version: 8"));
		const text = await readUntil(socket, () => false);
		expect(text).toMatch(/^HTTP\/1\.1 426 Upgrade Required\r\n/);
		expect(text).toContain("sec-websocket-version: 13\r\n");
		expect(text).toMatch(/\r\n\r\nthe Sec-WebSocket-Version header must be 13 \(RFC 6455 .+4\.2\.2\)\n$/);
	});

	test("S1: 3,000 headers do not hide what is missing (CVE-2024-37890)", async () => {
		const { port } = await listen(undefined, createServer({ maxHeaderSize: 256 * 1024 }));
		const socket = await raw(port);
		const many = Array.from({ length: 3_000 }, (_, index) => `x${index}: y\r\n`).join("");
		socket.end(UPGRADE.replace("Host", `${many}Host`));
		expect(await readUntil(socket, (text) => text.includes("\r\n\r\n"))).toMatch(/^HTTP\/1\.1 4\d\d /);
	});

	test("S5: frames in the same packet as the request are answered behind the 101, in one write", async () => {
		const { port, accepted } = await listen();
		const socket = await raw(port);
		socket.write(join(Buffer.from(UPGRADE), frame(TEXT, "one"), frame(PING, "two"), frame(TEXT, "three")));
		const text = await readUntil(socket, (so) => so.includes("three"));
		expect(text).toContain("x-served-by: tidewire\r\n");
		expect(text.split("\r\n\r\n")[1]).toBe("\x81\x03one\x8a\x03two\x81\x05three");
		const writes = vi.spyOn((await accepted()).socket, "write");
		socket.write(join(...Array.from({ length: 20 }, () => frame(TEXT, "again"))));
		await readUntil(socket, (so) => so.length === 20 * 7);
		expect(writes).toHaveBeenCalledTimes(1);
	});

	test("A3: a peer that half-closes after its close frame still gets ours, and TCP ends at both sides", async () => {
		const { port, accepted } = await listen();
		const socket = await raw(port);
		socket.end(join(Buffer.from(UPGRADE), frame(CLOSE, closeBody(1000))));
		const text = await readUntil(socket, () => false);
		expect(text.endsWith("\x88\x02\x03\xe8")).toBe(true);
		const peer = await accepted();
		expect(await peer.closed.promise).toEqual([1000, "", "remote", true]);
	});

	test("A3: a peer that never answers a close is destroyed when its time is up", async () => {
		const { port, accepted } = await listen({ closeTimeoutMs: 5_000 });
		const socket = await raw(port);
		socket.write(UPGRADE);
		await readUntil(socket, (text) => text.includes("\r\n\r\n"));
		const peer = await accepted();
		vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
		peer.connection?.close(1001);
		vi.advanceTimersByTime(5_000);
		expect(peer.socket.destroyed).toBe(false);
		vi.advanceTimersByTime(1_000);
		expect(peer.socket.destroyed).toBe(true);
		expect(await peer.closed.promise).toEqual([1006, "", "local", false]);
		await once(peer.socket, "close");
		expect(vi.getTimerCount()).toBe(0);
	});

	test("S13: a peer that never reads is not read from; what we hold for it is bounded, and goes on when it reads", async () => {
		const { port, accepted } = await listen();
		const socket = await raw(port);
		socket.write(UPGRADE);
		await readUntil(socket, (text) => text.includes("\r\n\r\n"));
		const peer = await accepted();
		let mostHeld = 0;
		peer.socket.on("data", () => {
			mostHeld = Math.max(mostHeld, peer.socket.writableLength);
		});
		// Far more than the kernel holds for both directions.
		const rounds = 600;
		const chunk = join(...Array.from({ length: 8 }, () => frame(TEXT, "x".repeat(8_000))));
		for (let round = 0; round < rounds; round++) {
			socket.write(chunk);
		}
		await vi.waitUntil(() => peer.socket.isPaused() && peer.socket.writableLength > 0, {
			timeout: 15_000,
			interval: 1,
		});
		let echoed = 0;
		const all = Promise.withResolvers<void>();
		socket.on("data", (data) => {
			echoed += data.length;
			if (echoed === rounds * 8 * 8_004) {
				all.resolve();
			}
		});
		socket.resume();
		await all.promise;
		expect(mostHeld).toBeGreaterThan(0);
		expect(mostHeld).toBeLessThan(1024 * 1024);
	});

	test("S46: a socket that errs, or is gone already, harms nobody", async () => {
		const { url, accepted } = await listen();
		const client = new WsClient(url);
		client.on("error", () => {});
		const [peer] = await Promise.all([accepted(), once(client, "open")]);
		peer.socket.destroy(new Error("the cable was cut"));
		peer.connection?.sendText("into the void");
		expect(await peer.closed.promise).toEqual([1006, "", "remote", false]);
		expect(peer.connection?.sendText("nobody is there")).toBe(false);
	});
});
