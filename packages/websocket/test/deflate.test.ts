import { constants, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	type CompressionOptions,
	type DeflateParameters,
	type MessageCompression,
	messageCompression,
	OPCODE,
	resolveCompression,
} from "../src/index.ts";
import { zlibEngine } from "../src/node/index.ts";
import { farthestDistance } from "./distance.ts";
import {
	BINARY,
	bytes,
	CLOSE,
	CONTINUATION,
	client,
	failure,
	frame,
	hex,
	join,
	type Peer,
	PING,
	PONG,
	peer,
	recorder,
	server,
	TEXT,
} from "./wire.ts";

const RSV1 = { rsv: 4 };

const ALONE: DeflateParameters = {
	serverNoContextTakeover: true,
	clientNoContextTakeover: true,
	serverMaxWindowBits: 15,
	clientMaxWindowBits: 15,
};
const CARRIED: DeflateParameters = { ...ALONE, serverNoContextTakeover: false, clientNoContextTakeover: false };

function compression(
	role: "server" | "client",
	parameters: DeflateParameters = CARRIED,
	options: CompressionOptions = { threshold: 0 },
): MessageCompression {
	const resolved = resolveCompression(options);
	return messageCompression(role, parameters, zlibEngine(resolved), resolved);
}

function deflating(parameters: DeflateParameters = ALONE, limits = {}): Peer {
	return peer("server", limits, recorder, compression("server", parameters));
}

/** A payload as another implementation would compress it. */
function deflate(text: string | Uint8Array, options = {}): Uint8Array {
	const plain = typeof text === "string" ? bytes(text) : text;
	return deflateRawSync(plain, { finishFlush: constants.Z_SYNC_FLUSH, ...options }).subarray(0, -4);
}

const inflated = (payload: string): unknown => deflating().feed(frame(TEXT, hex(payload), RSV1)).notes[0];

describe("a compressed message (RFC 7692 §7.2.3, the RFC's own examples)", () => {
	test("§7.2.3.1: one block, in one frame and in two", () => {
		expect(inflated("f2 48 cd c9 c9 07 00")).toEqual(["text", "Hello"]);
		const us = deflating().feed(
			frame(TEXT, hex("f2 48 cd"), { ...RSV1, fin: false }),
			frame(CONTINUATION, hex("c9 c9 07 00")),
		);
		expect(us.notes).toEqual([["text", "Hello"]]);
	});

	test("§7.2.3.2: the second message refers to the first", () => {
		const us = deflating(CARRIED).feed(
			frame(TEXT, hex("f2 48 cd c9 c9 07 00"), RSV1),
			frame(TEXT, hex("f2 00 11 00 00"), RSV1),
		);
		expect(us.notes).toEqual([
			["text", "Hello"],
			["text", "Hello"],
		]);
	});

	test("§7.1.1: without context takeover that reference is an error", () => {
		const us = deflating(ALONE).feed(
			frame(TEXT, hex("f2 48 cd c9 c9 07 00"), RSV1),
			frame(TEXT, hex("f2 00 11 00 00"), RSV1),
		);
		expect(failure(us)?.[0]).toBe(1007);
	});

	test("§7.2.3.3: a block without compression", () => {
		expect(inflated("00 05 00 fa ff 48 65 6c 6c 6f 00")).toEqual(["text", "Hello"]);
	});

	test("§7.2.3.4: a block with BFINAL", () => {
		expect(inflated("f3 48 cd c9 c9 07 00 00")).toEqual(["text", "Hello"]);
	});

	test("§7.2.3.4: a new stream behind a final block still sees the window", () => {
		expect(inflated("f3 48 cd c9 c9 07 00 f2 00 11 00 00")).toEqual(["text", "HelloHello"]);
	});

	test("§7.2.3.5: two blocks", () => {
		expect(inflated("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")).toEqual(["text", "Hello"]);
	});

	test("§7.2.3.6: an empty message", () => {
		expect(inflated("00")).toEqual(["text", ""]);
		expect(inflated("02 00")).toEqual(["text", ""]);
		expect(inflated("")).toEqual(["text", ""]);
	});

	test("§6: a message without RSV1 is taken as it is, in between, and does not enter the window", () => {
		const us = deflating(CARRIED).feed(
			frame(TEXT, hex("f2 48 cd c9 c9 07 00"), RSV1),
			frame(TEXT, "plain"),
			frame(TEXT, hex("f2 00 11 00 00"), RSV1),
		);
		expect(us.notes.map(([, text]) => text)).toEqual(["Hello", "plain", "Hello"]);
	});
});

describe("RSV1 (RFC 7692 §6, §6.1)", () => {
	const withRsv = (opcode: number, rsv = 4): Uint8Array => frame(opcode, "", { rsv });

	test.each([
		["ping", PING],
		["pong", PONG],
		["close", CLOSE],
	])("S15: on a %s frame", (name, opcode) => {
		expect(failure(deflating().feed(withRsv(opcode)))).toEqual([
			1002,
			`RSV1 is 1 in a ${name} frame, only a message's first may have it (RFC 7692 §6.1)`,
		]);
	});

	test("S15: on a continuation frame, of a compressed message and of a plain one", () => {
		for (const rsv of [0, 4]) {
			const us = deflating().feed(frame(TEXT, "a", { fin: false, rsv }), withRsv(CONTINUATION));
			expect(failure(us)?.[1]).toBe(
				"RSV1 is 1 in a continuation frame, only a message's first may have it (RFC 7692 §6.1)",
			);
		}
	});

	test("S15: where nothing was negotiated", () => {
		expect(failure(server().feed(withRsv(TEXT)))?.[1]).toContain("RSV1 is 1, no extension");
	});

	test.each([
		[1, "RSV3"],
		[2, "RSV2"],
		[3, "RSV2"],
		[5, "RSV3"],
		[6, "RSV2"],
	])("S15: bits %i are refused for their %s", (rsv, name) => {
		expect(failure(deflating().feed(withRsv(TEXT, rsv)))?.[1]).toContain(`${name} is 1, no extension`);
	});

	test("an outgoing message has it in its first frame only where it is compressed", () => {
		const us = deflating();
		us.connection.sendText("x".repeat(200));
		us.connection.sendText("");
		us.connection.ping();
		us.connection.beginMessage(true);
		us.connection.sendFragment(bytes("y".repeat(200)), false);
		us.connection.sendFragment(bytes("y"), true);
		us.connection.close();
		expect(us.written.map((each) => each[0])).toEqual([0xc1, 0x81, 0x89, 0x01, 0x80, 0x88]);
	});
});

describe("what is not DEFLATE (RFC 7692 §7.2.2)", () => {
	const whole = deflate("a text that is long enough to be worth it, and a text that repeats itself");

	test("S15: a stream cut short anywhere is an error, never half a message", () => {
		for (let end = 1; end < whole.length; end++) {
			expect(failure(deflating().feed(frame(BINARY, whole.subarray(0, end), RSV1)))).toEqual([
				1007,
				"a compressed message is not valid DEFLATE data (RFC 7692 §7.2.2)",
			]);
		}
	});

	test.each([
		["garbage", hex("ff ff ff ff")],
		["a reserved block type", hex("06")],
		["a distance beyond the window's beginning", hex("f2 00 11 00 00")],
		["garbage behind the stream", join(whole, hex("ff ff"))],
		["garbage behind a final block", hex("f3 48 cd c9 c9 07 00 ff ff")],
		["zlib's header in front", join(hex("78 9c"), whole)],
	])("S15: %s", (_, payload) => {
		expect(failure(deflating().feed(frame(BINARY, payload, RSV1)))?.[0]).toBe(1007);
	});

	test("S15: a message of nothing but final blocks costs a few calls of zlib, not one for every two bytes", () => {
		const payload = join(...Array.from({ length: 10_000 }, () => hex("03 00")));
		expect(failure(deflating().feed(frame(BINARY, payload, RSV1)))?.[0]).toBe(1007);
	});

	test("§8.1 of RFC 6455: text is checked after inflating", () => {
		expect(failure(deflating().feed(frame(TEXT, deflate(hex("c3 28")), RSV1)))?.[0]).toBe(1007);
		expect(deflating().feed(frame(BINARY, deflate(hex("c3 28")), RSV1)).notes).toEqual([["binary", "Ã("]]);
	});

	test("whatever comes compressed, only documented codes come out", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (payload, carried) => {
				const us = deflating(carried ? CARRIED : ALONE, { maxMessageBytes: 5_000 });
				us.feed(frame(BINARY, payload, RSV1));
				expect([undefined, 1007, 1009]).toContain(failure(us)?.[0]);
			}),
			{ numRuns: 500 },
		);
	});
});

describe("S14: bombs", () => {
	const zeros = (length: number): Uint8Array => deflate(new Uint8Array(length), { level: 9 });

	test.each([
		[-1, undefined],
		[0, undefined],
		[1, 1009],
	])("maxMessageBytes counts inflated bytes: the limit %i", (over, code) => {
		for (const limit of [1, 1_000, 65_536, 200_000]) {
			const us = deflating(ALONE, { maxMessageBytes: limit });
			us.feed(frame(BINARY, deflate(new Uint8Array(limit + over)), RSV1));
			expect(failure(us)?.[0]).toBe(code);
		}
	});

	test("1,000:1 is refused before its memory is taken", () => {
		const bomb = frame(BINARY, zeros(256 * 1024 * 1024), RSV1);
		expect(bomb.length).toBeLessThan(300_000);
		const us = deflating(ALONE, { maxMessageBytes: 1024 * 1024 });
		const before = process.memoryUsage().arrayBuffers;
		us.connection.receive(bomb);
		expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
		expect(failure(us)).toEqual([1009, "a message inflates to more than 1048576 bytes (RFC 6455 §7.4.1)"]);
	});

	test("compressed bytes are limited as well, announced and as a sum", () => {
		const us = deflating(ALONE, { maxMessageBytes: 1_000 });
		expect(failure(us.feed(frame(BINARY, new Uint8Array(1_065), RSV1).subarray(0, 8)))?.[0]).toBe(1009);
		const sum = deflating(ALONE, { maxMessageBytes: 1_000 }).feed(
			frame(BINARY, new Uint8Array(1_000), { ...RSV1, fin: false }),
			frame(CONTINUATION, new Uint8Array(65)),
		);
		expect(failure(sum)?.[0]).toBe(1009);
	});

	test("what DEFLATE cannot shrink still fits the limit", () => {
		const plain = Uint8Array.from({ length: 100_000 }, (_, index) => (index * index * 7_919) >>> 5);
		const us = deflating(ALONE, { maxMessageBytes: plain.length });
		us.feed(frame(BINARY, deflate(plain, { level: 0 }), RSV1));
		expect(us.notes[0]?.[1]).toHaveLength(plain.length);
	});

	test("many small ones leave nothing behind", () => {
		const us = deflating(ALONE, { maxMessageBytes: 1024 * 1024 });
		const bomb = frame(BINARY, zeros(1024 * 1024), RSV1);
		us.connection.receive(bomb.slice());
		expect(us.connection).toMatchObject({ partial: undefined, message: undefined });
	});
});

describe("what is held for context takeover (RFC 7692 §7.1.1)", () => {
	const bytesHeld = (of: MessageCompression): number =>
		["sent", "received"].reduce((sum, name) => {
			const history = Reflect.get(of, name) as { readonly buffer: Uint8Array } | undefined;
			return sum + (history?.buffer.length ?? 0);
		}, 0);

	test("S14: at most 1.5 windows, however much has passed; by what has passed before that", () => {
		const us = compression("server", { ...CARRIED, clientMaxWindowBits: 12 });
		us.inflate(deflate("Hello"), 1_000);
		expect(bytesHeld(us)).toBeLessThanOrEqual(5);
		for (let round = 0; round < 200; round++) {
			const text = `${round} `.repeat(200);
			us.inflate(deflate(text), 100_000);
			us.deflate(bytes(text));
		}
		expect(bytesHeld(us)).toBeLessThanOrEqual(1.5 * (4_096 + 4_096));
	});

	test("nothing where neither side carries on, and then all connections share one object", () => {
		const resolved = resolveCompression();
		const make = (parameters: DeflateParameters): MessageCompression =>
			messageCompression("server", parameters, zlibEngine(resolved), resolved);
		expect(make(ALONE)).toBe(make({ ...ALONE }));
		expect(make(ALONE)).not.toBe(make({ ...ALONE, serverMaxWindowBits: 9 }));
		expect(make(CARRIED)).not.toBe(make(CARRIED));
		expect(bytesHeld(compression("server", ALONE))).toBe(0);
	});
});

describe("what is sent (RFC 7692 §7.2.1)", () => {
	test("below the threshold, above maxDeflateBytes and where nothing is gained a message goes as it is", () => {
		const us = compression("server", ALONE, { maxDeflateBytes: 1_000 });
		expect(us.deflate(bytes("x".repeat(63)))).toBeUndefined();
		expect(us.deflate(bytes("x".repeat(64)))).toBeDefined();
		expect(us.deflate(bytes("x".repeat(1_000)))).toBeDefined();
		expect(us.deflate(bytes("x".repeat(1_001)))).toBeUndefined();
		expect(us.deflate(Uint8Array.from({ length: 64 }, (_, index) => index * 37))).toBeUndefined();
	});

	test("a frame made once is right for every connection that agreed on the same", () => {
		const made = compression("server", ALONE).frame(OPCODE.text, bytes("Hello ".repeat(20)));
		expect(made?.[0]).toBe(0xc1);
		for (const parameters of [ALONE, { ...ALONE, clientNoContextTakeover: false }]) {
			const us = peer("client", {}, recorder, compression("client", parameters));
			us.feed(made!, made!);
			expect(us.notes).toEqual([
				["text", "Hello ".repeat(20)],
				["text", "Hello ".repeat(20)],
			]);
		}
		expect(compression("server", ALONE).frame(OPCODE.text, bytes(""))).toBeUndefined();
	});

	test("a frame for many needs a server that begins anew with each message", () => {
		expect(() => compression("server", CARRIED).frame(OPCODE.text, bytes("x".repeat(100)))).toThrow(
			expect.objectContaining({ code: "invalid_argument" }),
		);
	});

	test.each([8, 9, 10, 12, 15])(
		"§7.1.2: a window of %i bits is not looked beyond, within a message and across",
		(bits) => {
			const parameters = { ...CARRIED, serverMaxWindowBits: bits };
			const us = compression("server", parameters, { threshold: 0, historyBytes: 32_768, level: 9 });
			let farthest = 0;
			const random = Array.from({ length: 5 }, (_, seed) =>
				Uint8Array.from({ length: 150 + seed * 41 }, (_, index) => Math.imul(index + seed, 2_654_435_761) >>> 24),
			);
			for (let round = 0; round < 60; round++) {
				const plain = join(...Array.from({ length: (round % 7) + 1 }, (_, index) => random[(round * 3 + index) % 5]!));
				const deflated = us.deflate(plain);
				if (deflated !== undefined) {
					farthest = Math.max(farthest, farthestDistance(deflated));
				}
			}
			expect(farthest).toBeGreaterThan(2 ** Math.min(bits, 10) / 4);
			expect(farthest).toBeLessThanOrEqual(2 ** bits);
		},
	);

	test("options outside of their range are refused", () => {
		for (const options of [{ level: 0 }, { memLevel: 10 }, { serverMaxWindowBits: 7 }, { clientMaxWindowBits: 16 }]) {
			expect(() => resolveCompression(options)).toThrow(expect.objectContaining({ code: "invalid_option" }));
		}
	});
});

describe("round trips", () => {
	const bits = fc.integer({ min: 8, max: 15 });
	const parameters: fc.Arbitrary<DeflateParameters> = fc.record({
		serverNoContextTakeover: fc.boolean(),
		clientNoContextTakeover: fc.boolean(),
		serverMaxWindowBits: bits,
		clientMaxWindowBits: bits,
	});
	const options = fc.record({
		threshold: fc.constantFrom(0, 64),
		level: fc.integer({ min: 1, max: 9 }),
		memLevel: fc.integer({ min: 1, max: 9 }),
		historyBytes: fc.constantFrom(0, 100, 4_096, 32_768),
	});
	const word = fc.constantFrom("order_", "driver_", "at ", "{", "}", '"', "ü", "🚗", "52.13");
	const text = fc.oneof(
		fc.string({ unit: "grapheme", maxLength: 80 }),
		fc.array(word, { maxLength: 400 }).map((words) => words.join("")),
		fc.integer({ min: 1, max: 3_000 }).map((count) => "abc".repeat(count)),
	);

	test("any messages, any parameters, any options: what one side sends the other receives, both ways", () => {
		fc.assert(
			fc.property(parameters, options, fc.array(text, { minLength: 1, maxLength: 8 }), (agreed, own, texts) => {
				const left = peer("server", {}, recorder, compression("server", agreed, own));
				const right = peer("client", {}, recorder, compression("client", agreed, own));
				for (const each of texts) {
					left.connection.sendText(each);
					right.feed(...left.written.splice(0));
					right.connection.sendText(each);
					left.feed(...right.written.splice(0));
				}
				const expected = texts.map((each) => ["text", each]);
				expect(right.notes).toEqual(expected);
				expect(left.notes).toEqual(expected);
			}),
			{ numRuns: 150 },
		);
	});

	test("a compressed message cut into fragments and chunks at every split", () => {
		const plain = "Hello, and hello again ".repeat(3);
		const payload = deflate(plain);
		for (let cut = 0; cut <= payload.length; cut++) {
			const wire = join(
				frame(TEXT, payload.subarray(0, cut), { ...RSV1, fin: false }),
				frame(PING, "in between"),
				frame(CONTINUATION, payload.subarray(cut)),
			);
			for (let split = 0; split <= wire.length; split++) {
				const us = deflating().feed(wire.subarray(0, split), wire.subarray(split));
				expect(us.notes).toEqual([
					["ping", "in between"],
					["text", plain],
				]);
			}
		}
	});
});

describe("a client", () => {
	test("masks what it has compressed (RFC 7692 §6)", () => {
		const us = peer("client", {}, recorder, compression("client"));
		us.connection.sendText("Hello".repeat(20));
		const [wire] = us.written;
		expect([wire![0], wire![1]! & 0x80]).toEqual([0xc1, 0x80]);
		expect(deflating(CARRIED).feed(wire!).notes).toEqual([["text", "Hello".repeat(20)]]);
	});

	test("S45: refuses a server's bomb as a server does", () => {
		const us = peer("client", { maxMessageBytes: 1_000 }, recorder, compression("client"));
		us.feed(frame(BINARY, deflate(new Uint8Array(100_000)), { ...RSV1, key: null }));
		expect(failure(us)?.[0]).toBe(1009);
		expect(failure(client().feed(frame(BINARY, "", { ...RSV1, key: null })))?.[0]).toBe(1002);
	});
});
