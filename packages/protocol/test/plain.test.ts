import { describe, expect, test } from "vitest";
import { jsonClient } from "../src/index.ts";
import { plainServer } from "../src/server.ts";
import { runCodecSuite } from "./codec-suite.ts";
import { bytesOf, expectRefused, payloadOf, textOf } from "./speech.ts";

// The SDK does not speak plain; but what it says in JSON, plain understands, and replies look the same.
runCodecSuite("plain", {
	server: plainServer,
	client: jsonClient,
	text: true,
	pack: (value) => bytesOf(JSON.stringify(value)),
});

describe("plain", () => {
	test("a channel message arrives as exactly the text that was published", () => {
		const text = '{"lat":40.7128,"lng":-74.006,"eta":"3 minutes"}';
		const frame = plainServer.encodeEntry("order_123", { offset: 1, data: bytesOf(text), encoding: "json" });
		expect(frame.binary).toBe(false);
		expect(textOf(payloadOf(frame))).toBe(text);
	});

	test("binary data is a binary frame, both ways", () => {
		const data = new Uint8Array([0, 255]);
		const frame = plainServer.encodeEntry("c", { offset: 1, data, encoding: "binary" });
		expect(frame).toEqual({ binary: true, head: "", data, tail: "" });
		expect(plainServer.decode(data, false)).toEqual({
			type: "bare",
			data: { encoding: "binary", bytes: data, value: data },
		});
	});

	test("the smallest useful exchange, to the letter", () => {
		const message = '{"id":"msg_123","action":"contact_driver","message":"I\'m waiting outside"}';
		expect(plainServer.decode(bytesOf(message), true)).toEqual({
			type: "call",
			id: "msg_123",
			action: "contact_driver",
			input: { message: "I'm waiting outside" },
		});
		expect(textOf(payloadOf(plainServer.encode({ ack: "msg_123" })))).toBe('{"ack":"msg_123"}');
	});

	test.each([
		[' {"type":"message","text":"Hello"}\n', '{"type":"message","text":"Hello"}'],
		['{"id":5,"p":1.0}', '{"id":5,"p":1.0}'],
		["[1, 2]", "[1, 2]"],
		[" null ", "null"],
		['"action"', '"action"'],
		["1.0", "1.0"],
		['{"__proto__":{"action":"ping"}}', '{"__proto__":{"action":"ping"}}'],
	])("%j has no action: it is bare data, without outer white space", (text, bare) => {
		expect(plainServer.decode(bytesOf(text), true)).toEqual({
			type: "bare",
			data: { encoding: "json", bytes: bytesOf(bare), value: JSON.parse(bare) as unknown },
		});
	});

	test("an action of the wrong type is a mistake, not bare data", () => {
		expectRefused(
			() => plainServer.decode(bytesOf('{"id":1,"action":null}'), true),
			"bad_request",
			"`action` is null",
			1,
		);
	});

	test("what is neither JSON nor binary is refused", () => {
		expectRefused(() => plainServer.decode(bytesOf("hello"), true), "bad_request", /^the message is not JSON$/);
	});
});
