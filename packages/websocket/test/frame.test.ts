import { describe, expect, test } from "vitest";
import { frameLength, OPCODE, WebSocketError, writeFrameHeader } from "../src/index.ts";
import {
	BINARY,
	bytes,
	CLOSE,
	CONTINUATION,
	client,
	closeBody,
	failure,
	frame,
	hex,
	join,
	PING,
	PONG,
	RFC_KEY,
	server,
	TEXT,
} from "./wire.ts";

describe("the RFC's own examples (RFC 6455 §5.7)", () => {
	test("a single-frame unmasked text message", () => {
		expect(client().feed(hex("81 05 48 65 6c 6c 6f")).notes).toEqual([["text", "Hello"]]);
	});

	test("a single-frame masked text message", () => {
		expect(server().feed(hex("81 85 37 fa 21 3d 7f 9f 4d 51 58")).notes).toEqual([["text", "Hello"]]);
	});

	test("a fragmented unmasked text message", () => {
		expect(client().feed(hex("01 03 48 65 6c"), hex("80 02 6c 6f")).notes).toEqual([["text", "Hello"]]);
	});

	test("an unmasked ping, and its masked pong", () => {
		const us = client().feed(hex("89 05 48 65 6c 6c 6f"));
		expect(us.notes).toEqual([["ping", "Hello"]]);
		expect(join(...us.written)).toEqual(hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"));
	});

	test.each([
		[256, hex("82 7e 01 00")],
		[65_536, hex("82 7f 00 00 00 00 00 01 00 00")],
	])("%i bytes of binary in a single unmasked frame", (length, header) => {
		const payload = new Uint8Array(length).fill(0x5a);
		expect(client().feed(join(header, payload)).notes).toEqual([["binary", "Z".repeat(length)]]);
		const us = server();
		us.connection.sendBinary(payload);
		expect(join(...us.written)).toEqual(join(header, payload));
	});
});

describe("lengths (RFC 6455 §5.2)", () => {
	test.each([0, 1, 125, 126, 127, 128, 255, 256, 1_000, 65_535, 65_536, 100_000])("%i bytes, both ways", (length) => {
		const payload = Uint8Array.from({ length }, (_, index) => index * 7);
		const text = Buffer.from(payload).toString("latin1");
		expect(server().feed(frame(BINARY, payload)).notes).toEqual([["binary", text]]);
		const us = client();
		us.connection.sendBinary(payload);
		expect(join(...us.written)).toEqual(frame(BINARY, payload));
		expect(frameLength(length)).toBe(frame(BINARY, payload, { key: null }).length - length);
	});

	test("a header for a hub's own frames", () => {
		const target = new Uint8Array(20);
		expect(writeFrameHeader(target, 3, OPCODE.text, 126, { fin: false })).toBe(7);
		expect(target.subarray(3, 7)).toEqual(hex("01 7e 00 7e"));
		expect(writeFrameHeader(target, 0, OPCODE.binary, 2 ** 32 + 5, { key: RFC_KEY })).toBe(14);
		expect(target.subarray(0, 14)).toEqual(hex("82 ff 00 00 00 01 00 00 00 05 37 fa 21 3d"));
	});

	test.each([
		["0 in 16 bits", hex("82 fe 00 00 00 00 00 00"), "length 0 is encoded in 16 bits"],
		["125 in 16 bits", hex("82 fe 00 7d 00 00 00 00"), "length 125 is encoded in 16 bits"],
		["125 in 64 bits", hex("82 ff 00 00 00 00 00 00 00 7d 00 00 00 00"), "length 125 is encoded in 64 bits"],
		["65535 in 64 bits", hex("82 ff 00 00 00 00 00 00 ff ff 00 00 00 00"), "length 65535 is encoded in 64 bits"],
		["the most significant bit", hex("82 ff 80 00 00 00 00 00 00 01 00 00 00 00"), "most significant bit"],
		["all bits", hex("82 ff ff ff ff ff ff ff ff ff 00 00 00 00"), "most significant bit"],
	])("S10: %s fails with 1002", (_, header, text) => {
		const us = server().feed(header);
		expect(failure(us)).toEqual([1002, expect.stringContaining(text)]);
		expect(failure(us)?.[1]).toContain("RFC 6455 §5.2");
	});

	test.each([
		["2^53", hex("82 ff 00 20 00 00 00 00 00 00 00 00 00 00")],
		["2^63 - 1", hex("82 ff 7f ff ff ff ff ff ff ff 00 00 00 00")],
		["the limit + 1", hex("82 ff 00 00 00 00 01 00 00 01 00 00 00 00")],
	])("S10, S11: %s is too large at once", (_, header) => {
		expect(failure(server().feed(header))?.[0]).toBe(1009);
	});
});

describe("bits and opcodes (RFC 6455 §5.2)", () => {
	test.each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])("opcode %i is reserved", (opcode) => {
		expect(failure(server().feed(frame(opcode)))).toEqual([
			1002,
			`opcode 0x${opcode.toString(16)} is reserved (RFC 6455 §5.2)`,
		]);
	});

	test.each([
		[4, "RSV1"],
		[2, "RSV2"],
		[1, "RSV3"],
		[7, "RSV1"],
	])("reserved bits %i on any frame", (rsv, name) => {
		for (const opcode of [TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE]) {
			expect(failure(server().feed(frame(opcode, "", { rsv })))).toEqual([1002, expect.stringContaining(name)]);
		}
	});
});

describe("masking (RFC 6455 §5.1, §5.3)", () => {
	test("S9: a server refuses unmasked frames", () => {
		const us = server().feed(frame(TEXT, "Hello", { key: null }));
		expect(failure(us)).toEqual([1002, "text frame is not masked, a client must mask (RFC 6455 §5.1)"]);
	});

	test("S9: a client refuses masked frames", () => {
		const us = client().feed(frame(TEXT, "Hello"));
		expect(failure(us)).toEqual([1002, "text frame is masked, a server must not mask (RFC 6455 §5.1)"]);
	});

	test("a key of zeros leaves the payload as it is, and its UTF-8 is checked all the same", () => {
		expect(server().feed(frame(TEXT, "grüß", { key: 0 })).notes).toEqual([["text", "grüß"]]);
		expect(failure(server().feed(frame(TEXT, bytes(0xff), { key: 0 })))?.[0]).toBe(1007);
	});

	test("any key, at any alignment of the chunk in its buffer", () => {
		const payload = Uint8Array.from({ length: 600 }, (_, index) => index * 31);
		for (const key of [RFC_KEY, 0xffffffff, 0x80000000, 0x01020304, 0x000000ff]) {
			for (let skew = 0; skew < 4; skew++) {
				const wire = frame(BINARY, payload, { key });
				const chunk = new Uint8Array(skew + wire.length).subarray(skew);
				chunk.set(wire);
				const us = server();
				us.connection.receive(chunk);
				expect(us.notes).toEqual([["binary", Buffer.from(payload).toString("latin1")]]);
			}
		}
	});

	test("a client asks its source for a key for each frame", () => {
		const us = client();
		us.connection.sendText("Hello");
		us.connection.close(1000, "bye");
		expect(us.written).toEqual([frame(TEXT, "Hello"), frame(CLOSE, closeBody(1000, "bye"))]);
	});
});

describe("control frames (RFC 6455 §5.5)", () => {
	test.each([
		[PING, "ping"],
		[PONG, "pong"],
		[CLOSE, "close"],
	])("%i of 126 bytes or in fragments", (opcode, name) => {
		const us = server().feed(frame(opcode, "x".repeat(126)));
		expect(failure(us)).toEqual([1002, `${name} carries 126 bytes, at most 125 (RFC 6455 §5.5)`]);
		const fragment = server().feed(frame(opcode, "", { fin: false }));
		expect(failure(fragment)).toEqual([1002, `${name} is fragmented, a control frame must not be (RFC 6455 §5.5)`]);
	});

	test("§5.5.2: a ping is answered with a pong of the same payload", () => {
		const payload = bytes(...Array.from({ length: 125 }, (_, index) => index * 2));
		const us = server().feed(frame(PING, payload), frame(PING));
		expect(us.written).toEqual([frame(PONG, payload, { key: null }), frame(PONG, "", { key: null })]);
	});

	test("§5.5.3: a pong that nobody asked for is no error and gets no answer", () => {
		const us = server().feed(frame(PONG, "x"));
		expect(us.notes).toEqual([["pong", "x"]]);
		expect(us.written).toEqual([]);
	});

	test("§5.4: control frames come between fragments, in mid-message", () => {
		const us = server().feed(
			join(frame(TEXT, "Hel", { fin: false }), frame(PING, "1"), frame(PONG, "2"), frame(CONTINUATION, "lo")),
		);
		expect(us.notes).toEqual([
			["ping", "1"],
			["pong", "2"],
			["text", "Hello"],
		]);
	});
});

describe("our caller's mistakes throw", () => {
	test.each<[string, (us: ReturnType<typeof server>) => unknown, string]>([
		["a ping of 126 bytes", (us) => us.connection.ping(new Uint8Array(126)), "payload_too_large"],
		["a pong of 126 bytes", (us) => us.connection.pong("é".repeat(63)), "payload_too_large"],
		["a ping of a number (CVE-2016-10518)", (us) => us.connection.ping(100 as never), "invalid_argument"],
		["a text of a number", (us) => us.connection.sendText(100 as never), "invalid_argument"],
		["a binary of a string", (us) => us.connection.sendBinary("x" as never), "invalid_argument"],
	])("%s", (_, call, code) => {
		const us = server();
		expect(() => call(us)).toThrow(expect.objectContaining({ code }));
		expect(() => call(us)).toThrow(WebSocketError);
		expect(us.written).toEqual([]);
	});

	test("a text with lone surrogates goes out as valid UTF-8", () => {
		const us = server();
		us.connection.sendText("a\ud800b");
		expect(us.written).toEqual([frame(TEXT, "a\ufffdb", { key: null })]);
	});

	test("a long text is sent whole", () => {
		const us = server();
		us.connection.sendText("é".repeat(50_000));
		expect(us.written).toEqual([frame(TEXT, "é".repeat(50_000), { key: null })]);
	});
});
