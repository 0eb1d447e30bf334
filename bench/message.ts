/**
 * What is published: a position of a given size, and recorded ticks. Each message ends in a stamp, 16 digits at a fixed
 * place from its end, which the publisher sets to when the message was due: microseconds of the machine's monotonic
 * clock, which all processes share, above a base that gives them all the same length.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/** Where the digits begin is behind this, for the load client too (`load/dialect.c`). */
export const STAMP_KEY = '"at":';
export const STAMP_BASE = 1_000_000_000_000_000;

/** As a frame from the server it has four bytes more. */
export const POSITION_BYTES = 126;

/** JSON of so many bytes, with a stamp. */
export function position(bytes: number = POSITION_BYTES): string {
	const head = `{"lat":40.7128,"lng":-74.006,"eta":"3 minutes","pad":"`;
	const tail = `",${STAMP_KEY}${STAMP_BASE}}`;
	return head + "x".repeat(bytes - head.length - tail.length) + tail;
}

export interface Tick {
	/** Microseconds since the recording began. */
	readonly atMicros: number;
	/** 0 … 15 */
	readonly stream: number;
	/** JSON, without a stamp. */
	readonly text: string;
}

/** 30 seconds of a feed with 16 streams (`data/README.md`). */
export function recordedTicks(): readonly Tick[] {
	const lines = gunzipSync(readFileSync(join(import.meta.dirname, "data/ticks.jsonl.gz"))).toString("utf8");
	const streams = new Map<string, number>();
	let firstMicros: number | undefined;
	return lines
		.trimEnd()
		.split("\n")
		.map((line) => {
			const { at, stream, data } = JSON.parse(line) as { at: number; stream: string; data: object };
			const atMicros = Math.round(at * 1e6);
			firstMicros ??= atMicros;
			const number = streams.get(stream) ?? streams.size;
			streams.set(stream, number);
			return { atMicros: atMicros - firstMicros, stream: number, text: JSON.stringify(data) };
		});
}

export function stamped(text: string): string {
	return `${text.slice(0, -1)},${STAMP_KEY}${STAMP_BASE}}`;
}
