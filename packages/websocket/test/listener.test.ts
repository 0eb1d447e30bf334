import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { WebSocket as WsClient } from "ws";
import { type Connection, WebSocketError } from "../src/index.ts";
import { acceptSocket, createListener, type ListenerOptions, refuseSocket, socketHandler } from "../src/node/index.ts";
import { frame, TEXT } from "./wire.ts";

interface Peer {
	readonly socket: Socket;
	connection?: Connection<Peer>;
}

const echo = socketHandler<Peer>({
	message: (peer, data, text) => void (text ? peer.connection?.sendText(data) : peer.connection?.sendBinary(data)),
	ping: () => {},
	pong: () => {},
	close: () => {},
});

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	vi.useRealTimers();
	for (const cleanup of cleanups.splice(0).reverse()) {
		await cleanup();
	}
});

/** Answers with method, target and body; a listener in front of it echoes over WebSocket at every path but /no. */
async function listen(options: Partial<ListenerOptions> = {}) {
	const http = createServer((request: IncomingMessage, response: ServerResponse) => {
		let body = "";
		request.setEncoding("utf8").on("data", (text) => {
			body += text;
		});
		request.on("end", () => response.end(`${request.method} ${request.url} ${body.length}\n`));
	});
	const listener = createListener({
		http,
		upgrade: (request, socket, head) => {
			if (request.url === "/no") {
				refuseSocket(socket, 404, "there is nothing at this path");
				return;
			}
			const connection = acceptSocket<Peer>(request, socket, head, { context: (owned) => ({ socket: owned }) }, echo);
			if (connection !== undefined) {
				connection.context.connection = connection;
			}
		},
		...options,
	});
	const sockets = new Set<Socket>();
	listener.on("connection", (socket: Socket) => sockets.add(socket));
	listener.listen(0, "127.0.0.1");
	await once(listener, "listening");
	cleanups.push(async () => {
		http.close();
		http.closeAllConnections();
		for (const socket of sockets) {
			socket.destroy();
		}
		await new Promise((resolve) => listener.close(resolve));
	});
	return { listener, http, sockets, port: (listener.address() as AddressInfo).port };
}

/** Writes pieces, each once the server has had the one before, and returns what comes back until the end. */
async function talk(port: number, ...pieces: readonly (string | Uint8Array)[]): Promise<string> {
	const socket = connect(port, "127.0.0.1");
	cleanups.push(() => socket.destroy());
	socket.setNoDelay(true);
	let answer = "";
	socket.on("data", (chunk) => {
		answer += chunk.toString("latin1");
	});
	const closed = once(socket, "close");
	await once(socket, "connect");
	for (const piece of pieces) {
		await new Promise((resolve) => socket.write(piece, resolve));
		await new Promise((resolve) => setImmediate(resolve));
	}
	await closed;
	return answer;
}

const REQUEST = [
	"GET /echo?a=1 HTTP/1.1",
	"Host: localhost",
	"Upgrade: websocket",
	"Connection: keep-alive, Upgrade",
	"Sec-WebSocket-Version: 13",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
] as const;

const head = (...lines: readonly string[]): string => `${lines.join("\r\n")}\r\n\r\n`;

describe("a request for a WebSocket", () => {
	test("ws connects, sends and closes", async () => {
		const { port } = await listen();
		const client = new WsClient(`ws://127.0.0.1:${port}/echo`);
		await once(client, "open");
		client.send("to and fro");
		const [data] = await once(client, "message");
		expect(String(data)).toBe("to and fro");
		client.close(1000);
		expect((await once(client, "close"))[0]).toBe(1000);
	});

	test("byte by byte, and frames in the packet of the head (S5)", async () => {
		const { port } = await listen();
		const bytes = Buffer.concat([Buffer.from(head(...REQUEST)), frame(TEXT, "with the head")]);
		const close = frame(8, Uint8Array.of(0x03, 0xe8));
		const whole = await talk(port, Buffer.concat([bytes, close]));
		const pieces = await talk(port, ...[...bytes].map((byte) => Uint8Array.of(byte)), close);
		expect(whole).toContain("101 Switching Protocols");
		expect(whole).toContain("with the head");
		expect(pieces).toBe(whole);
	});

	test("what comes while the caller makes up its mind is not lost", async () => {
		const asked = Promise.withResolvers<() => void>();
		const { port, sockets } = await listen({
			upgrade: (request, socket, rest) => {
				asked.resolve(() => {
					const connection = acceptSocket<Peer>(
						request,
						socket,
						rest,
						{ context: (owned) => ({ socket: owned }) },
						echo,
					);
					connection!.context.connection = connection!;
				});
			},
		});
		const answer = talk(port, head(...REQUEST), frame(TEXT, "early"), frame(8, Uint8Array.of(0x03, 0xe8)));
		const accept = await asked.promise;
		const [socket] = sockets;
		while (socket!.readableLength === 0) {
			await new Promise((resolve) => setImmediate(resolve));
		}
		accept();
		expect(await answer).toContain("early");
	});

	test("a refusal is its caller's", async () => {
		const { port } = await listen();
		expect(await talk(port, head("GET /no HTTP/1.1", ...REQUEST.slice(1)))).toContain("HTTP/1.1 404");
	});

	test("nothing is retained of it: the listener's listeners are gone", async () => {
		const { port, sockets } = await listen();
		const client = new WsClient(`ws://127.0.0.1:${port}/echo`);
		await once(client, "open");
		const [socket] = sockets;
		// Of "end" one is Node's own.
		expect(["data", "end", "close", "error"].map((event) => socket!.listenerCount(event))).toEqual([1, 2, 1, 1]);
		client.terminate();
	});
});

describe("every other request", () => {
	test.each([
		["GET", head("GET /page HTTP/1.1", "Host: a", "Connection: close"), "GET /page 0"],
		["HTTP/1.0", head("GET /page HTTP/1.0"), "GET /page 0"],
		["POST", `${head("POST /x HTTP/1.1", "Host: a", "Connection: close", "Content-Length: 5")}12345`, "POST /x 5"],
		[
			"another protocol's upgrade",
			head("GET /h2 HTTP/1.1", "Host: a", "Upgrade: h2c", "Connection: Upgrade, close"),
			"GET /h2 0",
		],
		[
			"an Upgrade that Connection does not name",
			head("GET /u HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: close"),
			"GET /u 0",
		],
	])("%s goes to the HTTP server", async (_name, bytes, answer) => {
		const { port } = await listen();
		expect(await talk(port, bytes)).toContain(answer);
		expect(await talk(port, ...[...bytes].map((character) => Buffer.from(character, "latin1")))).toContain(answer);
	});

	test("300 kB of body, behind the head and in pieces", async () => {
		const { port } = await listen();
		const body = "x".repeat(100_000);
		const first = `${head("POST /big HTTP/1.1", "Host: a", "Connection: close", "Content-Length: 300000")}${body}`;
		expect(await talk(port, first, body, body)).toContain("POST /big 300000");
	});

	test("requests in one packet are answered in order, on one connection", async () => {
		const { port } = await listen();
		const answer = await talk(
			port,
			head("GET /one HTTP/1.1", "Host: a") + head("GET /two HTTP/1.1", "Host: a", "Connection: close"),
		);
		expect(answer.indexOf("GET /one")).toBeGreaterThan(0);
		expect(answer.indexOf("GET /two")).toBeGreaterThan(answer.indexOf("GET /one"));
	});
});

describe("limits", () => {
	test("S1: a head above 16 KiB is 431, whether its end is there or not", async () => {
		const { port } = await listen();
		const long = `X-Long: ${"a".repeat(16 * 1024)}`;
		expect(await talk(port, head(...REQUEST, long))).toContain("HTTP/1.1 431");
		expect(await talk(port, `GET / HTTP/1.1\r\n${long}`)).toContain("HTTP/1.1 431");
	});

	test("S1: 101 fields are 431, 100 are not", async () => {
		const { port } = await listen();
		const fields = (count: number): string[] => Array.from({ length: count }, (_, index) => `X-${index}: 1`);
		expect(await talk(port, head("GET / HTTP/1.1", ...fields(101)))).toContain("HTTP/1.1 431");
		expect(await talk(port, head("GET / HTTP/1.1", "Host: a", "Connection: close", ...fields(98)))).toContain(
			"GET / 0",
		);
	});

	test("S4: a head that comes too slowly is 408, however often a byte comes", async () => {
		vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
		const { port, listener } = await listen({ headTimeoutMs: 1_000 });
		const taken = once(listener, "connection");
		const answer = talk(port, "GET / HT", "TP/1.1\r\n");
		await taken;
		await vi.advanceTimersByTimeAsync(1_000);
		await vi.advanceTimersByTimeAsync(250);
		expect(await answer).toContain("HTTP/1.1 408");
	});

	test("S4: a client that leaves before its head ends is forgotten, and no timer runs on", async () => {
		vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
		const { port, listener } = await listen();
		const before = vi.getTimerCount();
		const taken = once(listener, "connection");
		const socket = connect(port, "127.0.0.1");
		const [served] = (await taken) as [Socket];
		expect(vi.getTimerCount()).toBe(before + 1);
		socket.end("GET / HT");
		await once(served, "close");
		expect(vi.getTimerCount()).toBe(before);
	});

	test("closeWaiting ends those that have shown no request", async () => {
		const { port, listener } = await listen();
		const taken = once(listener, "connection");
		const answer = talk(port, "GET / HT");
		await taken;
		listener.closeWaiting();
		expect(await answer).toBe("");
	});

	test("S4: the HTTP server keeps its own time limits for what it is handed", async () => {
		const { http } = await listen();
		const interval = Object.getOwnPropertySymbols(http).find((symbol) =>
			/connectionsCheckingInterval/i.test(String(symbol)),
		);
		expect(interval === undefined ? undefined : Reflect.get(http, interval)).toBeDefined();
	});

	test("a time limit outside of its range is the caller's mistake", () => {
		expect(() => createListener({ http: createServer(), upgrade: () => {}, headTimeoutMs: 0 })).toThrow(WebSocketError);
	});
});

describe("S5: what two parsers could read in two ways is 400, and reaches nobody", () => {
	test.each([
		["a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n"],
		["a bare LF", "GET / HTTP/1.1\nHost: a\r\n\r\n"],
		["a bare LF in a header", "GET / HTTP/1.1\r\nHost: a\nUpgrade: websocket\r\n\r\n"],
		["a bare CR in a value", "GET / HTTP/1.1\r\nHost: a\rUpgrade: websocket\r\n\r\n"],
		["a NUL in a value", "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"],
		["white space before a colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
		["white space before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
		["a line without a colon", "GET / HTTP/1.1\r\nHost\r\nX: 1\r\n\r\n"],
		["a name of nothing", "GET / HTTP/1.1\r\n: a\r\n\r\n"],
		["two spaces in the first line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
		["a target with a tab", "GET /\t HTTP/1.1\r\nHost: a\r\n\r\n"],
		["a target above ASCII", "GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n"],
		["no version", "GET /\r\nHost: a\r\n\r\n"],
		["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
		["a body in chunks behind an upgrade", head(...REQUEST, "Transfer-Encoding: chunked")],
		["a body behind an upgrade", `${head(...REQUEST, "Content-Length: 5")}GET /`],
		["two lengths", `${head("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 6")}12345`],
		["a length and chunks", head("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked")],
		["two keys", head(...REQUEST, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")],
		["two hosts", head(...REQUEST, "Host: b")],
	])("%s", async (_name, bytes) => {
		const served = vi.fn();
		const { port, http } = await listen();
		http.on("request", served);
		expect(await talk(port, Buffer.from(bytes, "latin1"))).toMatch(/^HTTP\/1\.1 400 /);
		expect(served).not.toHaveBeenCalled();
	});

	test("HTTP/2 without TLS, and versions to come, are 505", async () => {
		const { port } = await listen();
		expect(await talk(port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).toContain("HTTP/1.1 505");
	});
});
