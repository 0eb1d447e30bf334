import { describe, expect, it } from "vitest";
import { channelsOfStreams, readPayloads, syntheticPayload } from "../../src/bench/payload.ts";
import { CliError } from "../../src/error.ts";

describe("payloads", () => {
	it.each([2, 3, 56, 57, 128, 5_000])("of %i bytes are JSON of that length", (bytes) => {
		const { text } = syntheticPayload(bytes);
		expect(Buffer.byteLength(text)).toBe(bytes);
		JSON.parse(text);
	});

	it("are a file's lines to the letter", () => {
		expect(readPayloads("a.jsonl", '{"p":1.0}\n\n 12345678901234567890 \n')).toEqual([
			{ text: '{"p":1.0}' },
			{ text: "12345678901234567890" },
		]);
	});

	it("are the data of a recording's lines, to the letter", () => {
		expect(readPayloads("a.jsonl", '{"at":1.5,"stream":"x","data":{"p": 1.0}}')).toEqual([
			{ text: '{"p": 1.0}', at: 1.5, stream: "x" },
		]);
	});

	it("name the line that is no JSON, and a file that holds none", () => {
		expect(() => readPayloads("a.jsonl", "1\n{\n")).toThrow(new CliError("failure", "a.jsonl:2 is no JSON"));
		expect(() => readPayloads("a.jsonl", "\n")).toThrow("a.jsonl holds no line");
	});

	it("deal streams out to channels as they are first seen", () => {
		const payloads = ["a", "b", "a", "c", "b"].map((stream) => ({ text: "1", at: 0, stream }));
		expect(channelsOfStreams(payloads, 2)).toEqual([0, 1, 0, 0, 1]);
		expect(channelsOfStreams(payloads, 16)).toEqual([0, 1, 0, 2, 1]);
	});
});
