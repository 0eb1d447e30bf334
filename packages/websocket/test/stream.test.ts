import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocketServer, WebSocket as WsClient } from "ws";
import type { Connection, Handler, Limits } from "../src/index.ts";
import { resolveCompression, resolveLimits } from "../src/index.ts";
import {
	acceptSocket,
	connectWebSocket,
	type MessageStream,
	type SocketContext,
	sendStream,
	streamHandler,
} from "../src/node/index.ts";
import { BINARY, bytes, CONTINUATION, failure, frame, hex, type Peer, PING, peer, recorder, TEXT } from "./wire.ts";

interface Taking extends SocketContext {
	connection?: Connection<Taking>;
}

const MEGABYTE = 1024 * 1024;
const cleanUps: (() => void)[] = [];

afterEach(() => {
	for (const cleanUp of cleanUps.splice(0)) {
		cleanUp();
	}
});

/** A server of ours; the URL. */
async function serve(handler: Handler<Taking>, limits: Limits = {}): Promise<string> {
	const http = createServer();
	http.on("upgrade", (request, socket, head) => {
		const connection = acceptSocket(
			request,
			socket as Socket,
			head,
			{
				context: (own): Taking => ({ socket: own }),
				limits: resolveLimits(limits),
				compression: resolveCompression(),
			},
			handler,
		);
		if (connection !== undefined) {
			connection.context.connection = connection;
		}
		cleanUps.push(() => socket.destroy());
	});
	cleanUps.push(() => http.close());
	await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
	return `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

function taking(message: (context: Taking, stream: MessageStream) => void): Handler<Taking> {
	return streamHandler<Taking>({ message, ping() {}, pong() {}, close() {} });
}

async function connect(url: string, handler: Handler<Taking>): Promise<Connection<Taking>> {
	const { connection } = await connectWebSocket<Taking>(url, { context: (socket) => ({ socket }) }, handler);
	cleanUps.push(() => connection.context.socket.destroy());
	return connection;
}

/** Numbered megabytes, so that a piece lost or turned round is noticed. */
function* megabytes(count: number): Generator<Uint8Array> {
	for (let index = 0; index < count; index++) {
		yield new Uint8Array(MEGABYTE).fill(index);
	}
}

function counted(count: number): { readonly source: Iterable<Uint8Array>; readonly produced: () => number } {
	let bytes = 0;
	const source = (function* (): Generator<Uint8Array> {
		for (const piece of megabytes(count)) {
			bytes += piece.length;
			yield piece;
		}
	})();
	return { source, produced: () => bytes };
}

interface Taken {
	bytes: number;
	inOrder: boolean;
	/** How far the source was ahead, at most: what was held on the way, the kernel's share with it. */
	lead: number;
}

/** Reads a stream of `megabytes` to its end. `produced`: how many bytes its source has yielded by now. */
async function take(stream: AsyncIterable<Uint8Array>, produced: () => number = () => 0): Promise<Taken> {
	const taken: Taken = { bytes: 0, inOrder: true, lead: 0 };
	for await (const piece of stream) {
		for (let at = 0; at < piece.length; at += 4_096) {
			taken.inOrder &&= piece[at] === (Math.floor((taken.bytes + at) / MEGABYTE) & 0xff);
		}
		taken.bytes += piece.length;
		taken.lead = Math.max(taken.lead, produced() - taken.bytes);
	}
	return taken;
}

describe("a message of 200 MB at bounded memory", () => {
	/** The kernel's buffers for both ends of a loopback connection are most of it. */
	const BOUND = 32 * MEGABYTE;

	test("from our client to our server, and back", async () => {
		const there = counted(200);
		const backAgain = counted(200);
		const done = Promise.withResolvers<Taken>();
		const url = await serve(
			taking((context, stream) => {
				void take(stream, there.produced)
					.then((taken) => {
						done.resolve(taken);
						return sendStream(context.connection!, backAgain.source);
					})
					.catch(done.reject);
			}),
		);
		const back = Promise.withResolvers<Taken>();
		const connection = await connect(
			url,
			taking((_, stream) => void take(stream, backAgain.produced).then(back.resolve, back.reject)),
		);
		expect(await sendStream(connection, there.source)).toBe(true);
		for (const taken of [await done.promise, await back.promise]) {
			expect(taken).toMatchObject({ bytes: 200 * MEGABYTE, inOrder: true });
			expect(taken.lead).toBeLessThan(BOUND);
		}
	}, 60_000);

	test("to and from ws", async () => {
		const fromUs = Promise.withResolvers<number>();
		const theirs = new WebSocketServer({ port: 0, host: "127.0.0.1", maxPayload: 300 * MEGABYTE });
		cleanUps.push(() => theirs.close());
		await new Promise((resolve) => theirs.once("listening", resolve));
		theirs.on("connection", (socket) => {
			socket.on("message", (data: Buffer) => fromUs.resolve(data.length));
		});
		const connection = await connect(
			`ws://127.0.0.1:${(theirs.address() as AddressInfo).port}`,
			taking(() => {}),
		);
		expect(await sendStream(connection, megabytes(200))).toBe(true);
		expect(await fromUs.promise).toBe(200 * MEGABYTE);

		const toUs = Promise.withResolvers<Taken>();
		const url = await serve(taking((_, stream) => void take(stream).then(toUs.resolve, toUs.reject)));
		const client = new WsClient(url, { perMessageDeflate: false });
		cleanUps.push(() => client.terminate());
		await new Promise((resolve) => client.once("open", resolve));
		const source = [...megabytes(200)].entries();
		for (const [index, piece] of source) {
			await new Promise((resolve) => client.send(piece, { fin: index === 199 }, resolve));
		}
		const taken = await toUs.promise;
		expect(taken).toMatchObject({ bytes: 200 * MEGABYTE, inOrder: true });
	}, 60_000);
});

describe("backpressure", () => {
	test("a consumer that is behind stops its peer, whose pings wait as well; then all goes on", async () => {
		const begun = Promise.withResolvers<MessageStream>();
		const url = await serve(taking((_, stream) => begun.resolve(stream)));
		const connection = await connect(
			url,
			taking(() => {}),
		);
		const { source, produced } = counted(64);
		const sent = sendStream(connection, source);
		const stream = await begun.promise;
		// The sender has come to rest when its socket has not drained for as long as a round trip takes elsewhere.
		const other = await connect(
			url,
			taking(() => {}),
		);
		for (let last = -1; last !== produced(); ) {
			last = produced();
			await roundTrip(other);
		}
		expect(produced()).toBeLessThan(64 * MEGABYTE);
		expect((await take(stream)).bytes).toBe(64 * MEGABYTE);
		expect(await sent).toBe(true);
	});

	test("a consumer that leaves early discards the rest, and the next message comes", async () => {
		const lengths: number[] = [];
		const second = Promise.withResolvers<void>();
		const url = await serve(
			taking((_, stream) => {
				void (async () => {
					for await (const piece of stream) {
						lengths.push(Math.min(piece.length, 1));
						if (lengths.length === 2) {
							second.resolve();
						}
						break;
					}
				})();
			}),
		);
		const connection = await connect(
			url,
			taking(() => {}),
		);
		await sendStream(connection, megabytes(8));
		connection.sendText("next");
		await second.promise;
		expect(lengths).toEqual([1, 1]);
	});

	test("a connection that breaks inside of a message makes its iteration throw", async () => {
		const result = Promise.withResolvers<unknown>();
		const url = await serve(taking((_, stream) => void take(stream).then(result.resolve, result.resolve)));
		const connection = await connect(
			url,
			taking(() => {}),
		);
		connection.beginMessage(false);
		connection.sendFragment(bytes("x"), false);
		connection.context.socket.end();
		expect(await result.promise).toMatchObject({ code: "connection_failed" });
	});

	test("a source that throws ends the connection with 1011: half a message cannot be taken back", async () => {
		const url = await serve(taking((_, stream) => void take(stream).catch(() => {})));
		const connection = await connect(
			url,
			taking(() => {}),
		);
		const source = (function* (): Generator<Uint8Array> {
			yield bytes("x");
			throw new Error("the disk is gone");
		})();
		await expect(sendStream(connection, source)).rejects.toThrow("the disk is gone");
		expect(connection.state).toBe("closed");
		expect(await sendStream(connection, [])).toBe(false);
	});
});

async function roundTrip(connection: Connection<Taking>): Promise<void> {
	const { socket } = connection.context;
	const heard = new Promise((resolve) => socket.once("data", resolve));
	connection.ping();
	await heard;
}

describe("pieces (RFC 6455 §5.4)", () => {
	type Piece = readonly [string, boolean, boolean];

	function pieces(limits: Limits = {}): { readonly us: Peer; readonly seen: Piece[] } {
		const seen: Piece[] = [];
		const handler: Handler<Peer> = {
			...recorder,
			piece: (_, data, text, last) => void seen.push([Buffer.from(data).toString("latin1"), text, last]),
		};
		return { us: peer("server", limits, handler), seen };
	}

	test("a message comes as it arrives: by frame and by chunk; control frames between", () => {
		const { us, seen } = pieces();
		us.feed(frame(TEXT, "ab", { fin: false }), frame(PING, "p"));
		const wire = frame(CONTINUATION, "cdef");
		us.feed(wire.subarray(0, 8), wire.subarray(8), frame(BINARY, "whole"), frame(BINARY, ""));
		expect(seen).toEqual([
			["ab", true, false],
			["cd", true, false],
			["ef", true, true],
			["whole", false, true],
			["", false, true],
		]);
		expect(us.notes).toEqual([["ping", "p"]]);
	});

	test("S16: text is checked as it arrives, over the pieces' edges, and no bad piece is handed on", () => {
		const { us, seen } = pieces();
		us.feed(frame(TEXT, hex("e2 82"), { fin: false }), frame(CONTINUATION, hex("ac"), { fin: false }));
		us.feed(frame(CONTINUATION, hex("c3 28")));
		expect(seen).toEqual([
			["â\u0082", true, false],
			["¬", true, false],
		]);
		expect(failure(us)?.[0]).toBe(1007);
		const cut = pieces();
		cut.us.feed(frame(TEXT, hex("e2 82")));
		expect(failure(cut.us)?.[0]).toBe(1007);
	});

	test("S11: maxMessageBytes does not bound what is not held, maxPiecedMessageBytes does", () => {
		const { us, seen } = pieces({ maxMessageBytes: 10, maxPiecedMessageBytes: 100 });
		us.feed(frame(BINARY, "x".repeat(60), { fin: false }), frame(CONTINUATION, "x".repeat(40)));
		expect(seen).toHaveLength(2);
		us.feed(frame(BINARY, "x".repeat(60), { fin: false }), frame(CONTINUATION, "x".repeat(41)));
		expect(failure(us)?.[0]).toBe(1009);
	});

	test("S12: a million empty fragments hold nothing", () => {
		const { us, seen } = pieces();
		us.feed(frame(BINARY, "", { fin: false }));
		const chunk = Buffer.concat(Array.from({ length: 10_000 }, () => frame(CONTINUATION, "", { fin: false })));
		for (let round = 0; round < 100; round++) {
			us.connection.receive(new Uint8Array(chunk));
		}
		us.feed(frame(CONTINUATION));
		expect(seen).toEqual([["", false, true]]);
	});
});

describe("sending in fragments (RFC 6455 §5.4)", () => {
	test("until the last, other messages throw; control frames go between", () => {
		const us = peer("server");
		expect(us.connection.beginMessage(true)).toBe(true);
		us.connection.sendFragment(bytes("a"), false);
		us.connection.ping();
		for (const send of [
			() => us.connection.sendText("x"),
			() => us.connection.sendBinary(bytes("x")),
			() => us.connection.sendRaw(bytes("x")),
			() => us.connection.beginMessage(true),
		]) {
			expect(send).toThrow(expect.objectContaining({ code: "message_unfinished" }));
		}
		us.connection.sendFragment(bytes("b"), true);
		us.connection.sendText("c");
		const out = { key: null };
		expect(us.written).toEqual([
			frame(TEXT, "a", { ...out, fin: false }),
			frame(PING, "", out),
			frame(CONTINUATION, "b", out),
			frame(TEXT, "c", out),
		]);
	});

	test("a fragment without a message, or that is no bytes, is its caller's mistake", () => {
		const us = peer("server");
		expect(() => us.connection.sendFragment(bytes("x"), true)).toThrow(
			expect.objectContaining({ code: "invalid_argument" }),
		);
		us.connection.beginMessage(false);
		expect(() => us.connection.sendFragment("x" as never, true)).toThrow(
			expect.objectContaining({ code: "invalid_argument" }),
		);
	});

	test("after the connection has closed nothing is sent, and nothing throws", () => {
		const us = peer("server");
		us.connection.beginMessage(true);
		us.connection.close();
		expect(us.connection.sendFragment(bytes("x"), true)).toBe(false);
		expect(us.connection.sendText("x")).toBe(false);
		expect(us.connection.beginMessage(true)).toBe(false);
	});
});
