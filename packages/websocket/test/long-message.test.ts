import { isUtf8 as platformIsUtf8 } from "node:buffer";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WebSocket as WsClient } from "ws";
import { Connection, resolveLimits } from "../src/index.ts";
import { checkUtf8, isUtf8, UTF8_BOUNDARY } from "../src/message/utf8.ts";
import { acceptSocket, socketHandler } from "../src/node/index.ts";
import { BINARY, CONTINUATION, failure, frame, server, TEXT } from "./wire.ts";

describe("UTF-8 by the platform's means is what it is by ours", () => {
	const texts = fc.string({ unit: "binary", minLength: 150, maxLength: 400 }).map((text) => Buffer.from(text));
	const broken = fc
		.tuple(texts, fc.nat(), fc.integer({ min: 0x80, max: 0xff }))
		.map(([text, at, byte]) => text.fill(byte, at % text.length, (at % text.length) + 1));

	test("whole, and at every cut into two pieces", () => {
		fc.assert(
			fc.property(fc.oneof(texts, broken), fc.nat(), (text, at) => {
				const cut = at % text.length;
				const inTwo = checkUtf8(
					checkUtf8(UTF8_BOUNDARY, text, 0, cut, platformIsUtf8),
					text,
					cut,
					text.length,
					platformIsUtf8,
				);
				const ours = isUtf8(text);
				return isUtf8(text, platformIsUtf8) === ours && (inTwo === UTF8_BOUNDARY) === ours;
			}),
			{ numRuns: 500 },
		);
	});

	test("the first bad byte is found in its piece, not later (Autobahn 6.4)", () => {
		const text = Buffer.from("a".repeat(200));
		for (const bad of [0, 100, 196, 197, 198, 199]) {
			const piece = Buffer.from(text).fill(0xff, bad, bad + 1);
			expect(checkUtf8(UTF8_BOUNDARY, piece, 0, piece.length, platformIsUtf8)).toBe(-1);
		}
		const cut = Buffer.concat([text, Buffer.from("🚗").subarray(0, 3)]);
		expect(checkUtf8(UTF8_BOUNDARY, cut, 0, cut.length, platformIsUtf8)).toBeGreaterThan(0);
		expect(checkUtf8(UTF8_BOUNDARY, Buffer.alloc(200, 0x80), 0, 200, platformIsUtf8)).toBe(-1);
	});
});

describe("a message in pieces long and short", () => {
	test.each([
		[[70_000]],
		[[5_000, 5_000]],
		[[10, 5_000, 10, 20, 9_000, 1]],
		[[4_095, 4_096, 4_097]],
		[[1, 1, 100_000, 0, 300]],
	])("%j bytes are one message, in order", (lengths) => {
		const us = server();
		let expected = "";
		for (const [index, length] of lengths.entries()) {
			const part = String.fromCharCode(97 + index).repeat(length);
			expected += part;
			const fin = index === lengths.length - 1;
			// A chunk of its own, as a socket gives it.
			us.connection.receive(frame(index === 0 ? TEXT : CONTINUATION, part, { fin }).slice());
		}
		const [note] = us.notes;
		expect(note?.[0]).toBe("text");
		expect(note?.[1] === expected).toBe(true);
	});

	test("S12: a piece that is a small part of its chunk is copied, so that it does not keep the chunk", () => {
		const us = server();
		us.feed(frame(BINARY, "", { fin: false }));
		const collected: WeakRef<ArrayBufferLike>[] = [];
		for (let index = 0; index < 20; index++) {
			const chunk = new Uint8Array(64 * 1024);
			const part = frame(CONTINUATION, new Uint8Array(5_000), { fin: false });
			const pings = frame(9);
			chunk.set(part);
			for (let at = part.length; at + pings.length <= chunk.length; at += pings.length) {
				chunk.set(pings, at);
			}
			us.connection.receive(chunk.subarray(0, part.length + pings.length * 100));
			collected.push(new WeakRef(chunk.buffer));
		}
		expect(failure(us)).toBeUndefined();
		const { message } = us.connection as unknown as { readonly message: { readonly pieces: readonly Uint8Array[] } };
		const kept = new Set(message.pieces.map((piece) => piece.buffer));
		expect(collected.some((chunk) => kept.has(chunk.deref()!))).toBe(false);
	});
});

describe("a payload that is handed over", () => {
	function sender() {
		const written: Uint8Array[] = [];
		const nothing = (): void => {};
		const handler = {
			message: nothing,
			ping: nothing,
			pong: nothing,
			close: nothing,
			end: nothing,
			write: (_context: undefined, bytes: Uint8Array): void => void written.push(bytes),
		};
		return { written, connection: new Connection("server", handler, undefined, resolveLimits()) };
	}

	test("goes out without a copy where it is long, copied where it is short or kept", () => {
		const { written, connection } = sender();
		const long = new Uint8Array(20_000).fill(7);
		connection.sendBinary(long, true);
		expect(written).toHaveLength(2);
		expect(written[1]).toBe(long);
		expect(Buffer.concat(written)).toEqual(Buffer.from(frame(BINARY, long, { key: null })));
		connection.sendBinary(long);
		connection.sendText(Uint8Array.of(0x61), true);
		expect(written).toHaveLength(4);
		expect(written[2]).toEqual(frame(BINARY, long, { key: null }));
	});

	interface EchoPeer {
		readonly socket: Duplex;
		connection?: Connection<EchoPeer>;
	}

	/** Echoes, and tells every other client as well. */
	async function relay() {
		const peers = new Set<EchoPeer>();
		const handler = socketHandler<EchoPeer>({
			message: (_peer, data, text) => {
				for (const { connection } of peers) {
					text ? connection?.sendText(data, true) : connection?.sendBinary(data, true);
				}
			},
			ping: () => {},
			pong: () => {},
			close: () => {},
		});
		const http = createServer().on("upgrade", (request, socket, head) => {
			const options = { context: (owned: Socket): EchoPeer => ({ socket: owned }) };
			const connection = acceptSocket(request, socket as Socket, head, options, handler);
			if (connection !== undefined) {
				connection.context.connection = connection;
				peers.add(connection.context);
			}
		});
		http.listen(0, "127.0.0.1");
		await once(http, "listening");
		const connect = async (): Promise<WsClient> => {
			const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
			const client = new WsClient(url, { perMessageDeflate: false });
			await once(client, "open");
			return client;
		};
		return { http, connect };
	}

	/** Resolves with the lengths of the next messages, each of which must be full of one byte. */
	function receive(client: WsClient, count: number): Promise<readonly number[]> {
		return new Promise((resolve, reject) => {
			const lengths: number[] = [];
			client.on("message", (data: Buffer) => {
				if (!data.every((byte) => byte === lengths.length % 251)) {
					reject(new Error(`message ${lengths.length} of ${data.length} bytes is not what was sent`));
				}
				lengths.push(data.length);
				if (lengths.length === count) {
					resolve(lengths);
				}
			});
		});
	}

	test("echoes of all lengths in one packet come back in order, to all", async () => {
		const { http, connect } = await relay();
		const [client, other] = [await connect(), await connect()];
		const lengths = [1, 20_000, 5, 5, 3_000, 17_000, 0, 4_097, 125, 200_000, 9, 16_384, 16_383];
		const back = Promise.all([receive(client, lengths.length), receive(other, lengths.length)]);
		for (const [index, length] of lengths.entries()) {
			client.send(Buffer.alloc(length, index));
		}
		expect(await back).toEqual([lengths, lengths]);
		client.terminate();
		other.terminate();
		http.close();
	});

	test("what a client has not read yet is not written over by the answers to others", async () => {
		const { http, connect } = await relay();
		const [client, stalled] = [await connect(), await connect()];
		stalled.pause();
		// More than the kernel takes for one that does not read.
		const count = 2_000;
		const lengths = Array.from({ length: count }, (_, index) => 1 + ((index * 977) % 12_000));
		const first = receive(client, count);
		for (const [index, length] of lengths.entries()) {
			client.send(Buffer.alloc(length, index % 251));
		}
		expect(await first).toEqual(lengths);
		const late = receive(stalled, count);
		stalled.resume();
		expect(await late).toEqual(lengths);
		client.terminate();
		stalled.terminate();
		http.close();
	});
});
