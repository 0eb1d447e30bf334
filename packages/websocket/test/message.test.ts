import { describe, expect, test } from "vitest";
import { BINARY, bytes, CONTINUATION, failure, frame, hex, join, type Peer, server, TEXT } from "./wire.ts";

describe("fragmentation (RFC 6455 §5.4)", () => {
	test("a message in one, two or many fragments is one message", () => {
		const us = server().feed(
			frame(BINARY, "a", { fin: false }),
			frame(CONTINUATION, "", { fin: false }),
			frame(CONTINUATION, "b".repeat(1_000), { fin: false }),
			frame(CONTINUATION, "c"),
			frame(TEXT, "", { fin: false }),
			frame(CONTINUATION),
		);
		expect(us.notes).toEqual([
			["binary", `a${"b".repeat(1_000)}c`],
			["text", ""],
		]);
	});

	test("a continuation without a beginning", () => {
		const text = "continuation frame without a message to continue (RFC 6455 §5.4)";
		expect(failure(server().feed(frame(CONTINUATION, "x")))).toEqual([1002, text]);
		expect(failure(server().feed(frame(TEXT, "x"), frame(CONTINUATION, "x")))).toEqual([1002, text]);
	});

	test("a second beginning", () => {
		const us = server().feed(frame(TEXT, "x", { fin: false }), frame(BINARY, "y"));
		expect(failure(us)).toEqual([1002, "binary frame inside of a fragmented message (RFC 6455 §5.4)"]);
	});

	test("Autobahn 9.3.1: 65,536 fragments of 64 bytes pass with the default limits", () => {
		const us = server();
		const piece = frame(CONTINUATION, "x".repeat(64), { fin: false });
		us.feed(frame(BINARY, "x".repeat(64), { fin: false }));
		for (let index = 0; index < 65_534; index++) {
			us.connection.receive(piece.slice());
		}
		us.feed(frame(CONTINUATION, "x".repeat(64)));
		expect(us.notes).toHaveLength(1);
		expect(us.notes[0]?.[1]).toHaveLength(4 * 1024 * 1024);
	});

	test("nothing is held after a message that came in pieces", () => {
		const us = server().feed(frame(TEXT, "x", { fin: false }), frame(CONTINUATION, "y"));
		const wire = frame(TEXT, "z".repeat(300));
		us.feed(wire.subarray(0, 1), wire.subarray(1, 200), wire.subarray(200));
		expect(us.connection).toMatchObject({ partial: undefined, message: undefined });
	});
});

describe("text is UTF-8, checked as it arrives (RFC 6455 §8.1)", () => {
	const valid = [
		"κόσμε",
		"\u0000\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}",
		"\ufeffa byte order mark is part of the text",
		"🚗".repeat(100),
	];

	test.each(valid)("%j is valid, whole and at every cut into two fragments", (text) => {
		const payload = new TextEncoder().encode(text);
		expect(server().feed(frame(TEXT, payload)).notes).toEqual([["text", text]]);
		for (let cut = 0; cut <= payload.length; cut++) {
			const us = server().feed(
				frame(TEXT, payload.subarray(0, cut), { fin: false }),
				frame(CONTINUATION, payload.subarray(cut)),
			);
			expect(us.notes).toEqual([["text", text]]);
		}
	});

	test.each([
		["a continuation byte first", "80"],
		["a character cut short by ASCII", "c3 41"],
		["a character cut short by the end", "41 e2 82"],
		["an overlong slash", "c0 af"],
		["an overlong slash in three", "e0 80 af"],
		["an overlong slash in four", "f0 80 80 af"],
		["a surrogate", "ed a0 80"],
		["above U+10FFFF", "f4 90 80 80"],
		["F5", "f5 80 80 80"],
		["FE", "fe"],
		["FF", "ff"],
	])("S16: %s fails with 1007, whole and cut everywhere", (_, text) => {
		const payload = hex(text);
		expect(failure(server().feed(frame(TEXT, payload)))).toEqual([1007, "a text message is not UTF-8 (RFC 6455 §8.1)"]);
		expect(failure(server().feed(frame(TEXT, join(bytes("x".repeat(400)), payload))))?.[0]).toBe(1007);
		for (let cut = 0; cut <= payload.length; cut++) {
			const us = server().feed(
				frame(TEXT, payload.subarray(0, cut), { fin: false }),
				frame(CONTINUATION, payload.subarray(cut)),
			);
			expect(failure(us)?.[0]).toBe(1007);
		}
	});

	test("binary is not looked at", () => {
		expect(server().feed(frame(BINARY, bytes(0xff, 0xfe))).notes).toEqual([["binary", "ÿþ"]]);
	});

	describe("S16: the first bad byte ends it, not the message's end (Autobahn 6.3, 6.4)", () => {
		const good = bytes("κόσμε");
		const failsWith = (us: Peer): unknown => failure(us)?.[0];

		test("6.4.1, 6.4.2: in a fragment, before the next", () => {
			expect(
				failsWith(
					server().feed(frame(TEXT, good, { fin: false }), frame(CONTINUATION, bytes(0xf4, 0x90), { fin: false })),
				),
			).toBe(1007);
			expect(
				failsWith(server().feed(frame(TEXT, good, { fin: false }), frame(CONTINUATION, bytes(0xf4), { fin: false }))),
			).toBeUndefined();
		});

		test("6.4.3, 6.4.4: in mid-frame, before the frame's end", () => {
			const wire = frame(TEXT, join(good, bytes(0xf4, 0x90, 0x80, 0x80), bytes("edited")));
			const header = 6;
			expect(failsWith(server().feed(wire.subarray(0, header + good.length + 1)))).toBeUndefined();
			expect(failsWith(server().feed(wire.subarray(0, header + good.length + 2)))).toBe(1007);
		});
	});
});
