import { expect, test } from "vitest";
import type { Payload } from "../src/index.ts";
import { jsonClient } from "../src/index.ts";
import { jsonServer } from "../src/server.ts";
import { runCodecSuite } from "./codec-suite.ts";
import { bytesOf, expectRefused, payloadOf, textOf } from "./speech.ts";

runCodecSuite("tidewire.v1.json", {
	server: jsonServer,
	client: jsonClient,
	text: true,
	pack: (value) => bytesOf(JSON.stringify(value)),
});

const LETTER = '{"p":1.0,"n":12345678901234567890,"2":0,"1":0}';

function published(text: string): string {
	const message = jsonServer.decode(bytesOf(text), true) as { data: Payload };
	return textOf(message.data.bytes);
}

test("published data survives to the letter, from a publisher's frame to a subscriber's", () => {
	const text = published(`{"id":4,"action":"publish","channel":"order_123","data": \t\r\n${LETTER} \n}`);
	expect(text).toBe(LETTER);
	const entry = { offset: 42, data: bytesOf(text), encoding: "json" } as const;
	expect(textOf(payloadOf(jsonServer.encodeEntry("order_123", entry)))).toBe(
		`{"channel":"order_123","offset":42,"data":${LETTER}}`,
	);
	expect(textOf(payloadOf(jsonServer.encodeHistory({ ack: 5 }, [entry])))).toBe(
		`{"ack":5,"messages":[{"offset":42,"data":${LETTER}}]}`,
	);
});

test("white space inside the data is the publisher's", () => {
	expect(published('{"action":"publish","channel":"c","data":[ 1 , 2 ]}')).toBe("[ 1 , 2 ]");
});

test("of two members named data the last counts, in the text as in the value, however it is escaped", () => {
	expect(published('{"action":"publish","data":1,"channel":"c","d\\u0061ta":2.0}')).toBe("2.0");
	expect(published('{"action":"publish","d\\u0061ta":1.0,"channel":"c","data":{"data":3}}')).toBe('{"data":3}');
});

test("a channel message has its fields in their place", () => {
	const entry = { offset: 3, previous: 1, name: "moved", key: "k", from: "ann", data: bytesOf("1"), encoding: "json" };
	expect(textOf(payloadOf(jsonServer.encodeEntry('a"b', { ...entry, encoding: "json" })))).toBe(
		'{"channel":"a\\"b","offset":3,"prev":1,"name":"moved","key":"k","from":"ann","data":1}',
	);
});

test("JSON data is laid out around the stored bytes, which are not copied", () => {
	const data = bytesOf("{}");
	expect(jsonServer.encodeEntry("c", { offset: 1, data, encoding: "json" }).data).toBe(data);
});

test("binary data is base64 in JSON", () => {
	const data = new Uint8Array([0, 255, 128]);
	const frame = payloadOf(jsonServer.encodeEntry("c", { offset: 1, data, encoding: "binary" }));
	expect(textOf(frame)).toBe('{"channel":"c","offset":1,"data":"AP+A","encoding":"base64"}');
	expect(jsonClient.encode({ type: "publish", channel: "c", data })).toBe(
		'{"action":"publish","channel":"c","data":"AP+A","encoding":"base64"}',
	);
});

test.each([["AP-A"], ["AP+"], ["AP+A "], ["AP+A===="], ["AB=="], ["=AAA"], [5], [null], [{}]])(
	"RFC 4648 §4: %j is not base64",
	(data) => {
		const text = JSON.stringify({ id: 1, action: "publish", channel: "c", data, encoding: "base64" });
		expectRefused(() => jsonServer.decode(bytesOf(text), true), "bad_request", "it must be base64", 1);
	},
);

test("an encoding that is not base64 is refused", () => {
	const text = '{"id":1,"action":"publish","channel":"c","data":"","encoding":"hex"}';
	expectRefused(
		() => jsonServer.decode(bytesOf(text), true),
		"bad_request",
		'`encoding` is "hex", it must be "base64"',
		1,
	);
});

test.each([
	["nothing", ""],
	["white space", " \n"],
	["half an object", '{"id":1'],
	["two values", "{} {}"],
	["NaN", '{"id":NaN}'],
	["a comma too many", '{"id":1,}'],
	["RFC 8259 §8.1: a byte order mark", '\ufeff{"action":"ping"}'],
])("%s is not JSON", (_, text) => {
	expectRefused(() => jsonServer.decode(bytesOf(text), true), "bad_request", /^the message is not JSON$/);
});

test.each([
	["[]", "an array"],
	["null", "null"],
	["5", "5"],
	['"ping"', '"ping"'],
])("%s is JSON, but no message", (text, shown) => {
	expectRefused(() => jsonServer.decode(bytesOf(text), true), "bad_request", `this is ${shown}`);
});

test("bytes that are not UTF-8 are refused, though the transport should have seen to it", () => {
	expectRefused(() => jsonServer.decode(new Uint8Array([0x22, 0xff, 0x22]), true), "bad_request", "not UTF-8");
});

test("a binary frame is refused", () => {
	expectRefused(() => jsonServer.decode(bytesOf('{"action":"ping"}'), false), "bad_request", "binary frame");
});

test("S19 100,000 levels, a number of 1 MB and a million empty items are answered, not crashed on", () => {
	const inData = (data: string): Uint8Array => bytesOf(`{"id":1,"action":"publish","channel":"c","data":${data}}`);
	const deep = inData("[".repeat(100_000) + "]".repeat(100_000));
	expectRefused(() => jsonServer.decode(deep, true), "bad_request", "nests deeper than 512 levels");
	expectRefused(() => jsonServer.decode(bytesOf('{"a":'.repeat(100_000)), true), "bad_request", "not JSON");
	expect(published(textOf(inData("1".repeat(1_000_000))))).toHaveLength(1_000_000);
	expect(published(textOf(inData(`[${"[],".repeat(1_000_000)}[]]`)))).toHaveLength(3_000_004);
});

test("S19 a lone surrogate written as an escape stays in data, and is refused in names", () => {
	expect(published('{"action":"publish","channel":"c","data":"\\ud800"}')).toBe('"\\ud800"');
	expectRefused(
		() => jsonServer.decode(bytesOf('{"action":"publish","channel":"\\ud800","data":1}'), true),
		"bad_request",
		"lone surrogate",
	);
});

test("the application's input travels as `input`, so that its own id or action is not mistaken", () => {
	expect(jsonClient.encode({ type: "call", id: "m", action: "contact", input: { id: 5 } })).toBe(
		'{"id":"m","action":"contact","input":{"id":5}}',
	);
	expect(jsonClient.encode({ type: "call", action: "contact", input: undefined })).toBe(
		'{"action":"contact","input":{}}',
	);
});
