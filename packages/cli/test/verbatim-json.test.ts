/** Data goes through the command line to the letter. */
import { jsonClient } from "@tidewire/protocol";
import { jsonServer } from "@tidewire/protocol/server";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonText, verbatimJson, withMember } from "../src/verbatim-json.ts";

const LETTERS = '{"p":1.0,"n":12345678901234567890,"2":0,"1":0, "data" : {"a":"\\u0041"}}';

function published(text: string): string {
	const payload = verbatimJson.encode({ type: "publish", id: 1, channel: "a", data: new JsonText(text) });
	const message = jsonServer.decode(new TextEncoder().encode(String(payload)), true);
	return new TextDecoder().decode(message.type === "publish" ? message.data?.bytes : undefined);
}

function received(text: string): unknown {
	const message = verbatimJson.decode(`{"channel":"a","offset":1,"data":${text}}`);
	return "data" in message && message.data instanceof JsonText ? message.data.text : message;
}

describe("verbatim JSON", () => {
	it("publishes a text as it was typed, but for the white space around it", () => {
		expect(published(` ${LETTERS}\n`)).toBe(LETTERS);
	});

	it("receives a text as it was published", () => {
		expect(received(LETTERS)).toBe(LETTERS);
	});

	it("keeps any JSON both ways", () => {
		fc.assert(
			fc.property(fc.json(), (text) => {
				expect(published(text)).toBe(text.trim());
				expect(received(text)).toBe(text.trim());
			}),
		);
	});

	it("writes a text as a member of an object", () => {
		expect(withMember({ channel: "a" }, "data", new JsonText("1.0"))).toBe('{"channel":"a","data":1.0}');
	});

	it("leaves every other message to the JSON codec", () => {
		const ask = { type: "ping", id: 1 } as const;
		expect(verbatimJson.encode(ask)).toBe(jsonClient.encode(ask));
		expect(verbatimJson.decode('{"ack":1}')).toEqual({ ack: 1 });
		const binary = '{"channel":"a","offset":1,"data":"AQI=","encoding":"base64"}';
		expect(verbatimJson.decode(binary)).toEqual(jsonClient.decode(binary));
	});

	it("refuses what is no JSON", () => {
		expect(() => new JsonText("{oops")).toThrow(SyntaxError);
	});
});
