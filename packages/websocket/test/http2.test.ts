/** The shell over real sessions of HTTP/2: RFC 8441, and what many connections in one session may do to each other. */
import { once } from "node:events";
import {
	type ClientHttp2Session,
	type ClientHttp2Stream,
	connect,
	constants,
	createServer,
	type Http2Server,
	type IncomingHttpHeaders,
	type ServerHttp2Stream,
	type ServerOptions,
} from "node:http2";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Connection, type Initiator, resolveCompression, resolveLimits } from "../src/index.ts";
import {
	acceptStream,
	driveStream,
	HTTP2_SETTINGS,
	isWebSocketStream,
	randomMask,
	refuseStream,
	resetSocket,
	socketHandler,
} from "../src/node/index.ts";
import { connectFrame, frameTypes, GOAWAY, PREFACE, RST_STREAM, resetFrame } from "./http2-raw.ts";

type Closed = readonly [code: number, reason: string, initiator: Initiator, clean: boolean];

interface Peer {
	readonly socket: ServerHttp2Stream;
	connection?: Connection<Peer>;
	readonly closed: PromiseWithResolvers<Closed>;
}

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	vi.useRealTimers();
	for (const cleanup of cleanups.splice(0).reverse()) {
		await cleanup();
	}
});

/** Echoes whatever it gets. */
const echo = socketHandler<Peer>({
	message: (peer, data, text) => void (text ? peer.connection?.sendText(data) : peer.connection?.sendBinary(data)),
	ping: () => {},
	pong: () => {},
	close: (peer, ...how) => peer.closed.resolve(how),
});

interface Listening {
	readonly http2: Http2Server;
	readonly session: ClientHttp2Session;
	/** By the paths of their requests. */
	readonly peers: ReadonlyMap<string, Peer>;
	readonly sessions: () => number;
}

/** A server that echoes at every path but those beginning with /no, and one client session to it. */
async function listen(options: ServerOptions = {}, closeTimeoutMs?: number): Promise<Listening> {
	const http2 = createServer({ settings: HTTP2_SETTINGS, ...options });
	const peers = new Map<string, Peer>();
	let sessions = 0;
	http2.on("session", () => sessions++);
	http2.on("stream", (stream, headers, _flags, rawHeaders) => {
		if (!isWebSocketStream(headers)) {
			stream.respond({ ":status": 200 });
			stream.end("a page");
			return;
		}
		if (headers[":path"]?.startsWith("/no") === true) {
			refuseStream(stream, 403, "nobody may");
			return;
		}
		const connection = acceptStream(
			stream,
			headers,
			{
				context: (socket): Peer => ({ socket, closed: Promise.withResolvers() }),
				protocols: (offered) => offered.find((each) => each === "chat"),
				headers: { "x-served-by": "tidewire" },
				limits: resolveLimits({ maxMessageBytes: 8 * 1024 * 1024, ...(closeTimeoutMs ? { closeTimeoutMs } : {}) }),
				compression: resolveCompression(),
			},
			echo,
			rawHeaders,
		);
		if (connection !== undefined) {
			connection.context.connection = connection;
			peers.set(String(headers[":path"]), connection.context);
		}
	});
	http2.listen(0, "127.0.0.1");
	await once(http2, "listening");
	const session = connect(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`);
	session.on("error", () => {});
	cleanups.push(() => {
		session.destroy();
		http2.close();
		return once(http2, "close");
	});
	await once(session, "remoteSettings");
	return { http2, session, peers, sessions: () => sessions };
}

function ask({ session }: Listening, path: string, headers: object = {}): ClientHttp2Stream {
	const stream = session.request({
		":method": "CONNECT",
		":protocol": "websocket",
		":scheme": "http",
		":authority": "server.example.com",
		":path": path,
		"sec-websocket-version": "13",
		...headers,
	});
	stream.on("error", () => {});
	return stream;
}

/** A connection whose frames are the test's own. */
function raw({ http2 }: Listening): Socket {
	const socket = connectTcp((http2.address() as AddressInfo).port, "127.0.0.1");
	socket.on("error", () => {});
	cleanups.push(() => socket.destroy());
	return socket;
}

async function answer(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
	const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
	return headers;
}

/** A client of ours over a stream. */
interface Client {
	readonly socket: ClientHttp2Stream;
	readonly connection: Connection<unknown>;
	readonly next: () => Promise<string>;
	readonly closed: Promise<Closed>;
}

async function open(to: Listening, path: string): Promise<Client> {
	const socket = ask(to, path);
	expect(await answer(socket)).toMatchObject({ ":status": 200 });
	const received: string[] = [];
	let wake = (): void => {};
	const closed = Promise.withResolvers<Closed>();
	const handler = socketHandler<{ readonly socket: ClientHttp2Stream }>({
		message: (_, data) => {
			received.push(Buffer.from(data).toString());
			wake();
		},
		ping: () => {},
		pong: () => {},
		close: (_, ...how) => closed.resolve(how),
	});
	const limits = resolveLimits({ maxMessageBytes: 8 * 1024 * 1024 });
	const connection = new Connection("client", handler, { socket }, limits, randomMask);
	driveStream(socket, connection);
	const next = async (): Promise<string> => {
		while (received.length === 0) {
			await new Promise<void>((resolve) => {
				wake = resolve;
			});
		}
		return received.shift() ?? "";
	};
	return { socket, connection, next, closed: closed.promise };
}

describe("WebSocket over HTTP/2 (RFC 8441)", () => {
	it("§3: announces itself", async () => {
		const { session } = await listen();
		expect(session.remoteSettings.enableConnectProtocol).toBe(true);
	});

	it("§5: two connections in one session talk, and one closes without the other", async () => {
		const listening = await listen();
		const ann = await open(listening, "/ann");
		const bob = await open(listening, "/bob");
		ann.connection.sendText("from Ann");
		bob.connection.sendText("from Bob");
		expect(await Promise.all([ann.next(), bob.next()])).toEqual(["from Ann", "from Bob"]);

		ann.connection.close(1000, "enough");
		expect(await ann.closed).toEqual([1000, "enough", "local", true]);
		expect(await listening.peers.get("/ann")?.closed.promise).toEqual([1000, "enough", "remote", true]);
		bob.connection.sendText("still here");
		expect(await bob.next()).toBe("still here");
		expect(listening.sessions()).toBe(1);
	});

	it("§5: agrees on a subprotocol and on compression, with our further fields", async () => {
		const listening = await listen();
		const stream = ask(listening, "/", {
			"sec-websocket-protocol": "superchat, chat",
			"sec-websocket-extensions": "permessage-deflate; client_no_context_takeover",
		});
		const headers = await answer(stream);
		expect(headers).toMatchObject({
			":status": 200,
			"sec-websocket-protocol": "chat",
			"sec-websocket-extensions": expect.stringMatching(/^permessage-deflate/),
			"x-served-by": "tidewire",
		});
		for (const name of ["connection", "upgrade", "sec-websocket-accept"]) {
			expect(headers).not.toHaveProperty(name);
		}
	});

	it("carries large messages both ways by each stream's own flow control", async () => {
		const listening = await listen();
		const client = await open(listening, "/large");
		const large = "ü".repeat(1024 * 1024);
		client.connection.sendText(large);
		expect((await client.next()) === large).toBe(true);
	});

	it("leaves other requests in the session alone", async () => {
		const listening = await listen();
		await open(listening, "/chat");
		const page = listening.session.request({ ":path": "/chat" });
		expect(await answer(page)).toMatchObject({ ":status": 200 });
		expect(Buffer.concat(await page.toArray()).toString()).toBe("a page");
	});

	it.each<[string, string, object, number, string]>([
		["a path of nobody", "/no", {}, 403, "nobody may"],
		["another version", "/", { "sec-websocket-version": "8" }, 400, "must be 13"],
		["two origins", "/", { origin: ["https://a.example", "https://b.example"] }, 400, "origin header stands 2 times"],
		["a Host that is not the :authority", "/", { host: "evil.example" }, 400, "not the :authority"],
	])("refuses %s with a status and a reason, in a session that goes on", async (_, path, headers, status, reason) => {
		const listening = await listen();
		const stream = ask(listening, path, headers);
		expect(await answer(stream)).toMatchObject({ ":status": status });
		expect(Buffer.concat(await stream.toArray()).toString()).toContain(reason);
		const client = await open(listening, "/after");
		client.connection.sendText("goes on");
		expect(await client.next()).toBe("goes on");
	});
});

describe("the end of a stream (RFC 8441 §5)", () => {
	it("END_STREAM is the end of TCP: without a closing handshake it is 1006, and is answered by END_STREAM", async () => {
		const listening = await listen();
		const client = await open(listening, "/ann");
		client.socket.end();
		expect(await listening.peers.get("/ann")?.closed.promise).toEqual([1006, "", "remote", false]);
		await once(client.socket, "close");
		expect(client.socket.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
	});

	it.each([
		["CANCEL", constants.NGHTTP2_CANCEL],
		["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR],
		["NO_ERROR", constants.NGHTTP2_NO_ERROR],
	])("RST_STREAM with %s is 1006, and an error of nobody", async (_, code) => {
		const listening = await listen();
		const client = await open(listening, "/ann");
		client.socket.close(code);
		expect(await listening.peers.get("/ann")?.closed.promise).toEqual([1006, "", "remote", false]);
	});

	it("the end of the session is that of all its connections", async () => {
		const listening = await listen();
		await open(listening, "/ann");
		await open(listening, "/bob");
		listening.session.destroy();
		for (const peer of listening.peers.values()) {
			expect(await peer.closed.promise).toEqual([1006, "", "remote", false]);
		}
	});

	it("ours without ado is RST_STREAM with CANCEL", async () => {
		const listening = await listen();
		const client = await open(listening, "/ann");
		resetSocket(listening.peers.get("/ann")!.socket);
		await once(client.socket, "close");
		expect(client.socket.rstCode).toBe(constants.NGHTTP2_CANCEL);
	});

	it("a peer that does not answer our close frame is reset when its time is up", async () => {
		const listening = await listen({}, 1);
		const stream = ask(listening, "/ann");
		await answer(stream);
		stream.resume();
		listening.peers.get("/ann")?.connection?.close(1001);
		await once(stream, "close");
		expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
	});

	it("a stream that is reset in the same breath is a connection that has closed, not an error", async () => {
		const listening = await listen();
		const socket = raw(listening);
		socket.write(
			Buffer.concat([PREFACE, connectFrame(1, "/early"), resetFrame(1), connectFrame(3, "/no"), resetFrame(3)]),
		);
		const client = await open(listening, "/after");
		client.connection.sendText("goes on");
		expect(await client.next()).toBe("goes on");
		expect(await listening.peers.get("/early")?.closed.promise).toEqual([1006, "", "remote", false]);
	});
});

describe("attacks by way of one session", () => {
	it("a stream that is never read from holds little memory, and its siblings go on", async () => {
		const listening = await listen();
		const sibling = await open(listening, "/sibling");
		const deaf = await open(listening, "/deaf");
		deaf.socket.pause();
		const { socket } = listening.peers.get("/deaf")!;
		// Echoes fill the client's window; then the server stops reading, until the client can send no more either.
		const message = Buffer.alloc(32 * 1024, "x");
		while (deaf.connection.sendBinary(message) && !deaf.socket.writableNeedDrain) {}
		for (let round = 0; round < 50; round++) {
			deaf.connection.sendBinary(message);
			sibling.connection.sendText(`round ${round}`);
			expect(await sibling.next()).toBe(`round ${round}`);
		}
		expect(socket.isPaused()).toBe(true);
		expect(socket.writableLength + socket.readableLength).toBeLessThan(256 * 1024);
	});

	it("rapid reset (CVE-2023-44487): a session that opens and resets streams without end is ended", async () => {
		const listening = await listen({ streamResetBurst: 100, streamResetRate: 10 });
		const socket = raw(listening);
		const frames = Array.from({ length: 5_000 }, (_, index) => [
			connectFrame(1 + 2 * index, `/${index}`),
			resetFrame(1 + 2 * index),
		]);
		socket.write(Buffer.concat([PREFACE, ...frames.flat()]));
		const received = Buffer.concat(await socket.toArray());
		expect(frameTypes(received)).toContain(GOAWAY);
		// The burst, and what came in the same read.
		expect(listening.peers.size).toBeLessThan(1_000);
		for (const peer of listening.peers.values()) {
			expect(await peer.closed.promise).toEqual([1006, "", "remote", false]);
		}
	});

	it("too many streams: those above the announced number are refused, those below live", async () => {
		const listening = await listen({ settings: { ...HTTP2_SETTINGS, maxConcurrentStreams: 2 } });
		const socket = raw(listening);
		socket.write(Buffer.concat([PREFACE, connectFrame(1, "/1"), connectFrame(3, "/2"), connectFrame(5, "/3")]));
		let received: Buffer = Buffer.alloc(0);
		for await (const chunk of socket) {
			received = Buffer.concat([received, chunk as Buffer]);
			if (frameTypes(received).includes(RST_STREAM) && listening.peers.size > 1) {
				break;
			}
		}
		expect([...listening.peers.keys()]).toEqual(["/1", "/2"]);
		expect(frameTypes(received)).not.toContain(GOAWAY);
	});

	it("a header list without end ends its request, not the others", async () => {
		const listening = await listen({ settings: { ...HTTP2_SETTINGS, maxHeaderListSize: 16 * 1024 } });
		const client = await open(listening, "/ann");
		const stream = ask(listening, "/large", { "x-large": "x".repeat(40_000) });
		await new Promise((resolve) => stream.on("close", resolve));
		expect(stream.rstCode).not.toBe(constants.NGHTTP2_NO_ERROR);
		expect(listening.peers.has("/large")).toBe(false);
		client.connection.sendText("still here");
		expect(await client.next()).toBe("still here");
	});
});
