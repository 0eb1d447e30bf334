/**
 * The shared deflate context against an inflater that knows nothing of it: zlib's own stream, carried on from message to
 * message as a browser does.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { constants, createInflateRaw, type InflateRaw } from "node:zlib";
import type { Entry } from "@tidewire/broker";
import { jsonServer } from "@tidewire/protocol/server";
import { zlibEngine } from "@tidewire/websocket/node";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DeflateContext, DeflateContexts } from "../../src/hub/deflate-context.ts";
import { webSocketEncoding } from "../../src/hub/encoding.ts";
import { Segment } from "../../src/hub/segment.ts";

const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/** A receiver with one inflater for its whole life, as RFC 7692 §7.2.2 has it. */
class Receiver {
	context: DeflateContext;
	readonly texts: string[] = [];
	bytes = 0;
	readonly #inflater: InflateRaw = createInflateRaw({ windowBits: 15 });
	#inflated = Buffer.alloc(0);

	constructor(contexts: DeflateContexts) {
		this.context = contexts.first;
		this.#inflater.on("data", (chunk: Buffer) => {
			this.#inflated = Buffer.concat([this.#inflated, chunk]);
		});
	}

	async receive(segment: Segment, channel = "a"): Promise<Uint8Array> {
		const { frames, next } = this.context.step(channel, segment);
		this.context = next;
		this.bytes += frames.length;
		let at = 0;
		while (at < frames.length) {
			const short = frames[at + 1]! & 0x7f;
			const head = short < 126 ? 2 : 4;
			const length = short < 126 ? short : Buffer.from(frames).readUInt16BE(at + 2);
			const payload = frames.subarray(at + head, at + head + length);
			this.texts.push((frames[at]! & 0x40) === 0 ? Buffer.from(payload).toString() : await this.#inflate(payload));
			at += head + length;
		}
		return frames;
	}

	async #inflate(payload: Uint8Array): Promise<string> {
		this.#inflated = Buffer.alloc(0);
		this.#inflater.write(payload);
		await new Promise<void>((resolve) => this.#inflater.write(TAIL, () => resolve()));
		await new Promise<void>((resolve) => this.#inflater.flush(constants.Z_SYNC_FLUSH, () => resolve()));
		return this.#inflated.toString();
	}
}

let compressions = 0;

function contextsOf(windowBits = 15): DeflateContexts {
	const zlib = zlibEngine({ level: 6, memLevel: 8 });
	const engine: typeof zlib = {
		...zlib,
		deflate: (...args) => {
			compressions++;
			return zlib.deflate(...args);
		},
	};
	return new DeflateContexts(webSocketEncoding(0, jsonServer), {
		engine,
		windowBits,
		threshold: 32,
		maxBytes: 1 << 20,
	});
}

function segmentOf(offset: number, ...texts: readonly string[]): Segment {
	const entries = texts.map(
		(text, index): Entry => ({ offset: offset + index, timeMs: 0, encoding: "json", data: Buffer.from(text) }),
	);
	const segment = new Segment(offset - 1, entries[0]!);
	for (const entry of entries.slice(1)) {
		segment.push(entry);
	}
	return segment;
}

function tick(n: number): string {
	return JSON.stringify({
		symbol: ["BTCUSDT", "ETHUSDT"][n % 2],
		price: (64_000 + n * 1.37).toFixed(2),
		time: 1e12 + n,
	});
}

describe("a deflate context that connections share", () => {
	it("compresses a message once for all who are in step, and gives them the same bytes", async () => {
		const contexts = contextsOf();
		const receivers = Array.from({ length: 50 }, () => new Receiver(contexts));
		compressions = 0;
		for (let n = 1; n <= 40; n++) {
			const segment = segmentOf(n, tick(n));
			const frames = await Promise.all(receivers.map((receiver) => receiver.receive(segment)));
			expect(new Set(frames).size).toBe(1);
		}
		expect(compressions).toBe(40);
		for (const { texts } of receivers) {
			expect(texts).toEqual(
				Array.from({ length: 40 }, (_, at) => `{"channel":"a","offset":${at + 1},"data":${tick(at + 1)}}`),
			);
		}
	});

	it("saves more than half of what each message alone would take", async () => {
		const contexts = contextsOf();
		const receiver = new Receiver(contexts);
		let alone = 0;
		for (let n = 1; n <= 200; n++) {
			const segment = segmentOf(n, tick(n));
			alone += contexts.first.step("a", segment).frames.length;
			await receiver.receive(segment);
		}
		expect(receiver.bytes).toBeLessThan(alone / 2);
	});

	it("brings who joins late into step with the others, without a wrong byte on the way", async () => {
		const contexts = contextsOf();
		const early = new Receiver(contexts);
		const late = new Receiver(contexts);
		for (let n = 1; n <= 120; n++) {
			const segment = segmentOf(n, tick(n));
			await early.receive(segment);
			if (n > 30) {
				await late.receive(segment);
			}
		}
		expect(late.context).toBe(early.context);
		expect(late.texts).toEqual(early.texts.slice(30));
	});

	it("does not mistake messages of one channel for those of another", async () => {
		const contexts = contextsOf();
		const [both, one] = [new Receiver(contexts), new Receiver(contexts)];
		for (let n = 1; n <= 60; n++) {
			const [a, b] = [segmentOf(n, tick(n)), segmentOf(n, tick(n + 1))];
			await both.receive(a, "a");
			await both.receive(b, "b");
			await one.receive(a, "a");
		}
		expect(both.texts.filter((text) => text.includes('"a"'))).toEqual(one.texts);
	});

	it("compresses at most 16 times for one segment, however many contexts there are (a crowd out of step)", async () => {
		const contexts = contextsOf();
		const receivers = Array.from({ length: 60 }, () => new Receiver(contexts));
		for (const [index, receiver] of receivers.entries()) {
			await receiver.receive(segmentOf(1, tick(index)), `own ${index}`);
		}
		compressions = 0;
		const segment = segmentOf(2, tick(1_000));
		for (const receiver of receivers) {
			await receiver.receive(segment);
		}
		expect(compressions).toBe(17);
		expect(new Set(receivers.map(({ texts }) => texts.at(-1))).size).toBe(1);
		const after = segmentOf(3, tick(1_001));
		for (const receiver of receivers) {
			await receiver.receive(after);
			expect(receiver.texts.at(-1)).toContain(tick(1_001));
		}
	});

	it("does so where a flush goes from channel to channel for each connection: in step, and 17 times a segment", async () => {
		const contexts = contextsOf();
		const receivers = Array.from({ length: 40 }, () => new Receiver(contexts));
		for (const [index, receiver] of receivers.entries()) {
			await receiver.receive(segmentOf(1, tick(index)), `own ${index}`);
		}
		for (let n = 2; n <= 60; n++) {
			const [a, b] = [segmentOf(n, tick(n)), segmentOf(n, tick(n + 1))];
			compressions = 0;
			for (const receiver of receivers) {
				await receiver.receive(a, "a");
				await receiver.receive(b, "b");
			}
			expect(compressions).toBeLessThanOrEqual(2 * 17);
		}
		expect(compressions).toBe(2);
		expect(new Set(receivers.map(({ context }) => context)).size).toBe(1);
		expect(receivers[39]!.texts.slice(1)).toEqual(receivers[0]!.texts.slice(1));
	});

	it("holds no segment and no frames once all have had them: where one began does not lead to where all are", async () => {
		setFlagsFromString("--expose-gc");
		const collectGarbage = runInNewContext("gc") as () => void;
		const contexts = contextsOf();
		const sent: WeakRef<object>[] = [];
		let context = contexts.first;
		const send = (n: number): void => {
			const segment = segmentOf(n, tick(n));
			const { frames, next } = context.step("a", segment);
			context = next;
			sent.push(new WeakRef(segment), new WeakRef(frames));
		};
		for (let n = 1; n <= 1_000; n++) {
			send(n);
		}
		await new Promise((resolve) => setImmediate(resolve));
		collectGarbage();
		expect(sent.filter((each) => each.deref() !== undefined).length).toBeLessThan(10);
	});

	it.each([9, 10, 15])("keeps within the window that the client allowed: 2^%i", async (windowBits) => {
		const contexts = contextsOf(windowBits);
		const receiver = new Receiver(contexts);
		for (let n = 1; n <= 100; n++) {
			await receiver.receive(segmentOf(n, tick(n), tick(n + 500)));
		}
		expect(receiver.context.dictionary!.length).toBeLessThanOrEqual(2 ** windowBits);
		expect(receiver.texts).toHaveLength(200);
	});

	it("decodes to what was sent, whoever gets which messages in whichever order (property)", async () => {
		const text = fc.oneof(
			fc.integer({ min: 0, max: 50 }).map(tick),
			fc.string({ maxLength: 20 }).map((short) => JSON.stringify(short)),
			fc.integer({ min: 1, max: 9_000 }).map((length) => JSON.stringify("x".repeat(length))),
			fc
				.uint8Array({ minLength: 40, maxLength: 200 })
				.map((bytes) => JSON.stringify(Buffer.from(bytes).toString("base64"))),
		);
		const delivery = fc.record({
			texts: fc.array(text, { minLength: 1, maxLength: 4 }),
			to: fc.uniqueArray(fc.nat(4), { minLength: 1 }),
		});
		await fc.assert(
			fc.asyncProperty(fc.array(delivery, { maxLength: 60 }), async (deliveries) => {
				const contexts = contextsOf();
				const receivers = Array.from({ length: 5 }, () => new Receiver(contexts));
				const expected: string[][] = receivers.map(() => []);
				for (const [index, { texts, to }] of deliveries.entries()) {
					const segment = segmentOf(index * 10 + 1, ...texts);
					for (const which of to) {
						await receivers[which]!.receive(segment);
						expected[which]!.push(...texts);
					}
				}
				for (const [which, { texts }] of receivers.entries()) {
					expect(texts.map((each) => each.slice(each.indexOf('"data":') + 7, -1))).toEqual(expected[which]);
				}
			}),
			{ numRuns: 60 },
		);
	});
});
