import fc from "fast-check";
import { Packr, Unpackr } from "msgpackr";
import { describe, expect, test } from "vitest";
import type { Payload } from "../src/index.ts";
import { msgpackClient, msgpackServer } from "../src/msgpack.ts";
import { readMsgpack } from "../src/msgpack-reader.ts";
import { writeMsgpack } from "../src/msgpack-writer.ts";
import { runCodecSuite } from "./codec-suite.ts";
import { jsonValue } from "./messages.ts";
import { bytesOf, expectRefused, payloadOf, textOf } from "./speech.ts";

runCodecSuite("tidewire.v1.msgpack", {
	server: msgpackServer,
	client: msgpackClient,
	text: false,
	pack: writeMsgpack,
});

/** `{"id":1,"action":"publish","channel":"c","data":<these bytes>}` */
function publish(...data: number[]): Uint8Array {
	const head = writeMsgpack({ id: 1, action: "publish", channel: "c" });
	return new Uint8Array([0x84, ...head.subarray(1), 0xa4, ...bytesOf("data"), ...data]);
}

function ascii(text: string): readonly number[] {
	return [...bytesOf(text)];
}

describe("MessagePack data", () => {
	test("a value is made a JSON text once", () => {
		const frame = writeMsgpack({ action: "publish", channel: "c", data: { lat: 40.7128, n: -3, ok: true } });
		const message = msgpackServer.decode(frame, false) as { data: Payload };
		expect(textOf(message.data.bytes)).toBe('{"lat":40.7128,"n":-3,"ok":true}');
	});

	test.each([
		["uint64 of 2^53", [0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0], "an integer beyond 2^53-1"],
		["int64 of -2^63", [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], "an integer beyond 2^53-1"],
		["NaN", [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], "a number that is not finite"],
		["Infinity as float32", [0xca, 0x7f, 0x80, 0, 0], "a number that is not finite"],
		["a key that is a number", [0x81, 1, 2], "a key that is not a string"],
		["a key that is a map", [0x81, 0x80, 2], "a key that is not a string"],
		["a timestamp", [0xd6, 0xff, 0, 0, 0, 1], "an extension type"],
		["msgpackr's undefined", [0xd4, 0, 0], "an extension type"],
		["msgpackr's record", [0xd4, 0x72, 0x40], "an extension type"],
		["ext 8", [0xc7, 3, 0x78, 1, 2, 3], "an extension type"],
		["an empty ext 16", [0xc8, 0, 0, 5], "an extension type"],
		["fixext 16, inside", [0x91, 0xd8, 5, ...new Array<number>(16).fill(0)], "an extension type"],
		["bytes inside a value", [0x91, 0xc4, 1, 0], "binary data inside a value"],
	])("%s is invalid_data, as JSON readers could not be told", (_, data, problem) => {
		expectRefused(() => msgpackServer.decode(publish(...data), false), "invalid_data", problem, 1);
	});

	test("the largest integers that both hold are data", () => {
		const message = msgpackServer.decode(
			publish(0x92, 0xcf, 0, 0x1f, ...new Array<number>(6).fill(255), 0xd3, 255, 0xe0, 0, 0, 0, 0, 0, 1),
			false,
		);
		expect(message).toMatchObject({ data: { value: [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER] } });
	});

	test("bytes in any other field are refused", () => {
		const inInput = writeMsgpack({ id: 1, action: "mine", input: new Uint8Array(1) });
		expectRefused(() => msgpackServer.decode(inInput, false), "invalid_data", "binary data inside a value", 1);
		const twice = writeMsgpack({
			id: 1,
			action: "publish",
			channel: "c",
			data: new Uint8Array(1),
			name: new Uint8Array(1),
		});
		expectRefused(() => msgpackServer.decode(twice, false), "invalid_data", "binary data inside a value", 1);
	});

	test("base64 with `encoding` is understood too, and bytes with `encoding` are refused", () => {
		const message = { id: 1, action: "publish", channel: "c", encoding: "base64" };
		expect(msgpackServer.decode(writeMsgpack({ ...message, data: "AP8=" }), false)).toMatchObject({
			data: { encoding: "binary", bytes: new Uint8Array([0, 255]) },
		});
		const bytes = writeMsgpack({ ...message, data: new Uint8Array(1) });
		expectRefused(() => msgpackServer.decode(bytes, false), "bad_request", "binary data has none", 1);
	});

	test("an id beyond 2^53-1 is a bad id, not bad data", () => {
		const frame = new Uint8Array([
			0x82,
			0xa2,
			...ascii("id"),
			0xcf,
			...new Array<number>(8).fill(255),
			0xa6,
			...ascii("action"),
			0xa4,
			...ascii("ping"),
		]);
		expectRefused(() => msgpackServer.decode(frame, false), "bad_request", "`id` is 18446744073709552000");
	});
});

describe("hostile MessagePack", () => {
	test.each([
		["nothing", []],
		["the type that is none", [0xc1]],
		["two values", [0xc0, 0xc0]],
		["an array of 2^32-1 that is not there", [0xdd, 255, 255, 255, 255]],
		["an array of 32 M, which V8 would allocate at once", [0xdd, 1, 255, 255, 255]],
		["arrays of 32 M in one another", [0xdd, 1, 255, 255, 255, 0xdd, 1, 255, 255, 255]],
		["a map of 2^32-1", [0xdf, 255, 255, 255, 255]],
		["a map whose last value is missing", [0x81, 0xa1, 0x61]],
		["a string of 4 GB", [0xdb, 255, 255, 255, 255]],
		["bytes of 4 GB", [0xc6, 255, 255, 255, 255]],
		["an extension of 4 GB", [0xc9, 255, 255, 255, 255, 1]],
		["a string that is not UTF-8", [0xa2, 0xff, 0xff]],
		["a surrogate in UTF-8's clothes", [0xa3, 0xed, 0xa0, 0x80]],
		["half a float", [0xcb, 0, 0, 0]],
	])("%s is refused", (_, frame) => {
		expectRefused(() => msgpackServer.decode(new Uint8Array(frame), false), "bad_request", "is not MessagePack");
	});

	test("100,000 arrays in one another are refused before the stack ends", () => {
		const frame = new Uint8Array(100_001).fill(0x91);
		expectRefused(() => msgpackServer.decode(frame, false), "bad_request", "nests deeper than 512 levels");
	});

	test("a text frame is refused", () => {
		expectRefused(() => msgpackServer.decode(bytesOf("{}"), true), "bad_request", "text frame");
	});

	test("a value that is no map is no message", () => {
		expectRefused(() => msgpackServer.decode(new Uint8Array([0x90]), false), "bad_request", "this is an array");
		expectRefused(() => msgpackServer.decode(new Uint8Array([0xc4, 0]), false), "bad_request", "this is binary data");
	});
});

describe("the reader and the writer against msgpackr", () => {
	const packr = new Packr({ useRecords: false });
	const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" as const });
	// msgpackr calls any `toJSON` and renames `__proto__`: it cannot be asked about those names.
	const tame = jsonValue.filter((value) => !/__proto__|toJSON|constructor/.test(JSON.stringify(value)));

	test("reads what msgpackr writes", () => {
		fc.assert(
			fc.property(tame, (value) => {
				expect(readMsgpack(packr.pack(value)).value).toEqual(value);
			}),
		);
	});

	test("writes what msgpackr reads", () => {
		fc.assert(
			fc.property(tame, (value) => {
				expect(unpackr.unpack(writeMsgpack(value))).toEqual(value);
			}),
		);
	});

	test.each([[0], [31], [32], [255], [256], [65_535], [65_536]])("lengths at the edge of a width: %d", (length) => {
		for (const value of ["x".repeat(length), new Array(length).fill(7), new Uint8Array(length)]) {
			expect(readMsgpack(writeMsgpack(value)).value).toEqual(value);
			const theirs: unknown = unpackr.unpack(writeMsgpack(value));
			expect(theirs instanceof Uint8Array ? new Uint8Array(theirs) : theirs).toEqual(value);
		}
	});

	test.each([
		[127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER],
		[-1, -32, -33, -128, -129, -32_769, -(2 ** 31), -(2 ** 31) - 1, Number.MIN_SAFE_INTEGER],
		[0.5, 2 ** 53, -1e300, 5e-324],
	])("numbers at the edge of a width: %d …", (...numbers) => {
		expect(readMsgpack(writeMsgpack(numbers)).value).toEqual(numbers);
		expect(unpackr.unpack(writeMsgpack(numbers))).toEqual(numbers);
	});

	test("writes what JSON would: without undefined and functions, with toJSON, nil for what is not finite", () => {
		const value = { a: undefined, b: () => 1, c: new Date(0), d: [undefined, Number.NaN], e: Symbol("s"), f: null };
		expect(readMsgpack(writeMsgpack(value)).value).toEqual(JSON.parse(JSON.stringify(value)));
		expect(() => writeMsgpack({ a: 1n })).toThrow(TypeError);
	});

	test("S18 fields named constructor, toJSON and __proto__ reach MessagePack subscribers as they are", () => {
		const text = '{"constructor":1,"toJSON":2,"__proto__":{"then":3}}';
		const frame = msgpackServer.encodeEntry("c", { offset: 1, data: bytesOf(text), encoding: "json" });
		const message = msgpackClient.decode(payloadOf(frame)) as { data: object };
		expect(JSON.stringify(message.data)).toBe(text);
		expect(Object.getPrototypeOf(message.data)).toBe(Object.prototype);
	});
});
