/**
 * What is published: JSON texts of a given length, or the lines of a file as they are. A line of a recording,
 * `{"at": seconds, "stream": "…", "data": …}`, stands for its data.
 */
import { memberSpan } from "@tidewire/protocol/server";
import { CliError } from "../error.ts";

export interface Payload {
	/** JSON, in the words of its writer. */
	readonly text: string;
	/** Of a recording's line. */
	readonly at?: number;
	readonly stream?: string;
}

const HEAD = `{"lat":40.7128,"lng":-74.006,"eta":"3 minutes","pad":"`;
const TAIL = `"}`;

/** A JSON text of that many bytes, at least 2. */
export function syntheticPayload(bytes: number): Payload {
	const padding = bytes - HEAD.length - TAIL.length;
	return { text: padding < 0 ? `"${"x".repeat(bytes - 2)}"` : HEAD + "x".repeat(padding) + TAIL };
}

/** The payloads of a JSONL file. Throws `CliError` naming the line that is no JSON. */
export function readPayloads(file: string, contents: string): readonly Payload[] {
	const payloads = contents.split("\n").flatMap((line, index) => {
		const text = line.trim();
		return text === "" ? [] : [readLine(`${file}:${index + 1}`, text)];
	});
	if (payloads.length === 0) {
		throw new CliError("failure", `${file} holds no line`);
	}
	return payloads;
}

function readLine(where: string, text: string): Payload {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		throw new CliError("failure", `${where} is no JSON`);
	}
	if (typeof value !== "object" || value === null || !("at" in value) || !("stream" in value) || !("data" in value)) {
		return { text };
	}
	const { at, stream } = value;
	const bytes = Buffer.from(text);
	const span = memberSpan(bytes, "data");
	return span === undefined || typeof at !== "number" || typeof stream !== "string"
		? { text }
		: { text: bytes.toString("utf8", span.start, span.end), at, stream };
}

/** Streams become channels in the order in which they are first seen, round and round. */
export function channelsOfStreams(payloads: readonly Payload[], channels: number): readonly number[] {
	const seen = new Map<string, number>();
	return payloads.map(({ stream = "" }) => {
		const channel = seen.get(stream) ?? seen.size % channels;
		seen.set(stream, channel);
		return channel;
	});
}
