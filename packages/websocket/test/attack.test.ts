import { describe, expect, test } from "vitest";
import { ERROR_CODES, resolveLimits, WebSocketError } from "../src/index.ts";
import { BINARY, CONTINUATION, client, failure, frame, hex, join, PING, PONG, server, TEXT } from "./wire.ts";

describe("maxMessageBytes", () => {
	test.each([
		[-1, undefined],
		[0, undefined],
		[1, 1009],
	])("S11: the limit %i, whole, announced, and as a sum of fragments", (over, code) => {
		const limit = 1_000;
		const length = limit + over;
		expect(failure(server({ maxMessageBytes: limit }).feed(frame(BINARY, new Uint8Array(length))))?.[0]).toBe(code);
		const announced = hex(`82 fe ${(length >>> 8).toString(16)} ${(length & 0xff).toString(16)} 00 00 00 00`);
		expect(failure(server({ maxMessageBytes: limit }).feed(announced))?.[0]).toBe(code);
		const sum = server({ maxMessageBytes: limit }).feed(
			frame(BINARY, new Uint8Array(length - 1), { fin: false }),
			frame(CONTINUATION, "x"),
		);
		expect(failure(sum)?.[0]).toBe(code);
	});

	test("a limit of 0 takes empty messages only", () => {
		expect(server({ maxMessageBytes: 0 }).feed(frame(TEXT)).notes).toEqual([["text", ""]]);
		expect(failure(server({ maxMessageBytes: 0 }).feed(frame(TEXT, "x")))?.[0]).toBe(1009);
	});

	test("S10: an announced length alone allocates nothing of its size", () => {
		const peers = Array.from({ length: 1_000 }, () => server());
		const before = process.memoryUsage().arrayBuffers;
		for (const us of peers) {
			// 16 MiB announced by each, 10 bytes sent.
			us.feed(join(hex("82 ff 00 00 00 00 01 00 00 00 00 00 00 00"), new Uint8Array(10)));
		}
		expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000 * 4_096);
		expect(peers.every((us) => failure(us) === undefined)).toBe(true);
	});

	test("S12: a flood of empty fragments is cut with 1008", () => {
		const us = server();
		const empty = frame(CONTINUATION, "", { fin: false });
		const chunk = join(...Array.from({ length: 10_000 }, () => empty));
		us.feed(frame(TEXT, "", { fin: false }));
		for (let count = 0; count < 1_000_000 && failure(us) === undefined; count += 10_000) {
			us.feed(chunk);
		}
		expect(failure(us)).toEqual([1008, "a message of too many fragments below 32 bytes"]);
	});

	test("S12: 65,536 fragments of 1 byte pass, and take memory by their bytes", () => {
		const us = server();
		const one = frame(CONTINUATION, "x", { fin: false });
		const chunk = join(...Array.from({ length: 4_096 }, () => one));
		us.feed(frame(BINARY, "", { fin: false }));
		const before = process.memoryUsage().arrayBuffers;
		for (let round = 0; round < 16; round++) {
			us.connection.receive(chunk.slice());
		}
		expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * chunk.length + 4 * 65_536);
		us.feed(frame(CONTINUATION));
		expect(us.notes[0]?.[1]).toHaveLength(65_536);
	});
});

describe("maxPongsPerChunk", () => {
	test("S13: of a flood of pings only the first and the latest of a chunk are answered (RFC 6455 §5.5.3)", () => {
		const us = server({ maxPongsPerChunk: 2 });
		us.feed(join(...Array.from({ length: 500 }, (_, index) => frame(PING, `${index}`))));
		const pong = (text: string): Uint8Array => frame(PONG, text, { key: null });
		expect(us.written).toEqual([pong("0"), pong("1"), pong("499")]);
		expect(us.notes).toHaveLength(500);
	});

	test("S13: a million pongs make us write nothing and hold nothing", () => {
		const us = server();
		const chunk = join(...Array.from({ length: 500 }, () => frame(PONG, "x".repeat(125))));
		for (let round = 0; round < 20; round++) {
			us.feed(chunk);
			us.notes.length = 0;
		}
		expect(us.written).toEqual([]);
		expect(us.connection).toMatchObject({ partial: undefined, message: undefined });
	});

	test("a ping that is cut in two still counts", () => {
		const us = client({ maxPongsPerChunk: 0 });
		const wire = join(frame(PING, "aa", { key: null }), frame(PING, "bb", { key: null }));
		us.feed(wire.subarray(0, 3), wire.subarray(3));
		expect(us.written).toEqual([frame(PONG, "bb")]);
	});
});

describe("limits and errors", () => {
	test.each([
		{ maxMessageBytes: -1 },
		{ maxMessageBytes: 1.5 },
		{ maxMessageBytes: Number.POSITIVE_INFINITY },
		{ maxMessageBytes: "1" as never },
		{ maxPongsPerChunk: Number.NaN },
		{ closeTimeoutMs: -1 },
	])("%j is refused", (limits) => {
		expect(() => resolveLimits(limits)).toThrow(expect.objectContaining({ code: "invalid_option" }));
	});

	test("the defaults", () => {
		expect(resolveLimits()).toEqual({
			maxMessageBytes: 16_777_216,
			maxPiecedMessageBytes: Number.MAX_SAFE_INTEGER,
			maxPongsPerChunk: 32,
			closeTimeoutMs: 5_000,
		});
	});

	test("an error keeps its code and cause", () => {
		const cause = new Error("why");
		const error = new WebSocketError("timeout", "late", { cause });
		expect(error).toMatchObject({ name: "WebSocketError", code: "timeout", cause });
		expect(Object.keys(ERROR_CODES)).toContain(error.code);
	});
});
