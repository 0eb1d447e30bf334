import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	BINARY,
	bytes,
	CLOSE,
	CONTINUATION,
	closeBody,
	frame,
	join,
	type Note,
	type Peer,
	PING,
	PONG,
	peer,
	TEXT,
} from "./wire.ts";

const payload = fc.oneof(
	fc.uint8Array({ maxLength: 20 }),
	fc.uint8Array({ minLength: 120, maxLength: 300 }),
	fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => bytes(text)),
);
const key = fc.integer({ min: 0, max: 0xffffffff });

/** Frames as a client may send them, most of them right. */
const piece = fc.oneof(
	fc.tuple(fc.constantFrom(TEXT, BINARY), payload, key, fc.boolean()).map(([opcode, data, mask, split]) => {
		const half = data.length >>> 1;
		return split
			? join(
					frame(opcode, data.subarray(0, half), { fin: false, key: mask }),
					frame(PING, "in between", { key: mask }),
					frame(CONTINUATION, data.subarray(half), { key: mask }),
				)
			: frame(opcode, data, { key: mask });
	}),
	fc
		.tuple(fc.constantFrom(PING, PONG), fc.uint8Array({ maxLength: 125 }), key)
		.map(([opcode, data, mask]) => frame(opcode, data, { key: mask })),
	fc
		.tuple(fc.constantFrom(1000, 1006, 4000), fc.string({ maxLength: 20 }))
		.map(([code, reason]) => frame(CLOSE, closeBody(code, reason))),
	fc.uint8Array({ minLength: 1, maxLength: 20 }),
);

const stream = fc.array(piece, { maxLength: 8 }).map((pieces) => join(...pieces));

function play(wire: Uint8Array, cuts: readonly number[]): { readonly notes: readonly Note[]; readonly us: Peer } {
	// Enough that no pong is left out, since that alone may depend on the chunks.
	const us = peer("server", { maxMessageBytes: 4_096, maxPongsPerChunk: 65_536 });
	const places = [...new Set([0, ...cuts.map((cut) => cut % (wire.length + 1)), wire.length])].sort((a, b) => a - b);
	for (let index = 1; index < places.length; index++) {
		us.feed(wire.subarray(places[index - 1], places[index]));
	}
	us.connection.receiveEnd();
	return { notes: us.notes, us };
}

describe("F16: however the bytes are cut, the events are the same", () => {
	test("one byte at a time", () => {
		fc.assert(
			fc.property(stream, (wire) => {
				const whole = play(wire, []);
				const single = play(wire, Array.from(wire.keys()));
				expect(single.notes).toEqual(whole.notes);
				expect(join(...single.us.written)).toEqual(join(...whole.us.written));
			}),
			{ numRuns: 300 },
		);
	});

	test("at any places", () => {
		fc.assert(
			fc.property(stream, fc.array(fc.nat(), { maxLength: 12 }), (wire, cuts) => {
				const whole = play(wire, []);
				const parts = play(wire, cuts);
				expect(parts.notes).toEqual(whole.notes);
				expect(join(...parts.us.written)).toEqual(join(...whole.us.written));
			}),
			{ numRuns: 1_000 },
		);
	});
});

describe("garbage", () => {
	test("ends in exactly one close, with a code that may be seen, and never in a throw", () => {
		fc.assert(
			fc.property(
				fc.constantFrom("server" as const, "client" as const),
				fc.uint8Array({ maxLength: 400 }),
				(role, wire) => {
					const us = peer(role, { maxMessageBytes: 1_000 }).feed(
						wire.subarray(0, wire.length >>> 1),
						wire.subarray(wire.length >>> 1),
					);
					us.connection.receiveEnd();
					const closes = us.notes.filter((note) => note[0] === "close");
					expect(closes).toHaveLength(1);
					expect(us.notes.filter((note) => note[0] === "end")).toHaveLength(1);
					expect(new TextEncoder().encode(closes[0]?.[2] ?? "").length).toBeLessThanOrEqual(123);
					expect(us.connection.state).toBe("closed");
				},
			),
			{ numRuns: 2_000 },
		);
	});
});
