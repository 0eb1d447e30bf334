/**
 * Compression with a context that subscribers share. permessage-deflate lets a message refer back to what the connection
 * received compressed before (RFC 7692 §7.2.1). A zlib stream per connection would do that, for 240 kB and one
 * compression each; but a dictionary made of those latest messages is the same to the receiver. So a connection holds
 * only the name of its context, those that lately received the same messages are in the same one, and a segment is
 * compressed once for all of them.
 *
 * Whoever joins begins with nothing, and is in step with the others once it has received a dictionary's worth.
 */
import { type DeflateEngine, frameLength, OPCODE, writeFrameHeader } from "@tidewire/websocket";
import type { Encoding } from "./encoding.ts";
import type { Segment } from "./segment.ts";

/** Of what was received lately, so much is referred to. More finds hardly more, and makes every compression dearer. */
const MAX_DICTIONARY_BYTES = 4_096;
/** So many contexts compress one segment for themselves; whoever comes then gets it compressed without a context. */
const MAX_CONTEXTS_PER_SEGMENT = 16;
/** The same of a segment that is kept for laggards: what is made of it stays as long, outside of the node's budget. */
const MAX_CONTEXTS_PER_KEPT_SEGMENT = 4;
/** Contexts that are remembered, so that connections meet in them; forgetting one costs a meeting, not correctness. */
const MAX_REMEMBERED = 256;

export interface DeflateSettings {
	readonly engine: DeflateEngine;
	readonly windowBits: number;
	/** Messages of fewer bytes, and of more, are sent as they are. */
	readonly threshold: number;
	readonly maxBytes: number;
}

interface Step {
	readonly frames: Uint8Array;
	readonly next: DeflateContext;
}

/** A message in a context: `name` is the same for one message only, for as long as the node runs. */
interface Passed {
	readonly name: number;
	/** How long it is, and as much of its end as may be referred to: bytes of its own, since contexts outlive segments. */
	readonly length: number;
	readonly end: Uint8Array;
}

interface Payload {
	readonly text: boolean;
	readonly bytes: Uint8Array;
	/** The frame as it is without compression. */
	readonly frame: Uint8Array;
	/** Made when it is first sent compressed. */
	passed: Passed | undefined;
}

/**
 * What has been made of a segment for the contexts of one encoding. It hangs on the segment and ends with it: a context
 * that held its own step would hold the next context and so, step by step, everything that was ever sent.
 */
export interface Deflated {
	readonly firstName: number;
	payloads: readonly Payload[] | undefined;
	readonly steps: Map<DeflateContext, Step>;
	/** Each message compressed without a context, and all of them as frames. */
	alone: { readonly each: readonly (Uint8Array | undefined)[]; readonly frames: Uint8Array } | undefined;
}

/** All contexts of one encoding and window. */
export class DeflateContexts {
	readonly encoding: Encoding;
	readonly settings: DeflateSettings;
	readonly maxDictionaryBytes: number;
	/** Where every connection begins. */
	readonly first: DeflateContext;
	readonly #remembered = new Map<string, DeflateContext>();
	#names = 0;

	constructor(encoding: Encoding, settings: DeflateSettings) {
		this.encoding = encoding;
		this.settings = settings;
		this.maxDictionaryBytes = Math.min(MAX_DICTIONARY_BYTES, 2 ** settings.windowBits);
		this.first = new DeflateContext(this, []);
	}

	step(context: DeflateContext, channel: string, segment: Segment): Step {
		const deflated = this.#deflated(segment);
		const made = deflated.steps.get(context);
		if (made !== undefined) {
			return made;
		}
		deflated.payloads ??= payloads(segment.frames(channel, this.encoding));
		const most = segment.kept ? MAX_CONTEXTS_PER_KEPT_SEGMENT : MAX_CONTEXTS_PER_SEGMENT;
		let step: Step;
		if (deflated.steps.size < most) {
			step = this.#inContext(context, deflated, deflated.payloads);
			deflated.steps.set(context, step);
		} else {
			step = this.#alone(context, deflated, deflated.payloads);
		}
		if (segment.kept) {
			// Made again from its frames, for the few who ask.
			deflated.payloads = undefined;
		}
		return step;
	}

	#deflated(segment: Segment): Deflated {
		segment.deflated ??= new Map();
		let deflated = segment.deflated.get(this);
		if (deflated === undefined) {
			deflated = { firstName: this.#names, payloads: undefined, steps: new Map(), alone: undefined };
			this.#names += segment.entries.length;
			segment.deflated.set(this, deflated);
		}
		return deflated;
	}

	#inContext(context: DeflateContext, { firstName }: Deflated, payloads: readonly Payload[]): Step {
		const frames: Uint8Array[] = [];
		let next = context;
		for (const [index, payload] of payloads.entries()) {
			const deflated = this.#deflate(payload.bytes, next.dictionary);
			if (deflated === undefined) {
				// What is not sent compressed does not enter the receiver's window.
				frames.push(payload.frame);
			} else {
				frames.push(compressedFrame(payload.text, deflated));
				next = this.#after(next, this.#passed(payload, firstName + index));
			}
		}
		return { frames: frames.length === 1 ? frames[0]! : Buffer.concat(frames), next };
	}

	#alone(context: DeflateContext, deflated: Deflated, payloads: readonly Payload[]): Step {
		if (deflated.alone === undefined) {
			const each = payloads.map(({ bytes }) => this.#deflate(bytes, undefined));
			const frames = payloads.map(({ text, frame }, index) => {
				const compressed = each[index];
				return compressed === undefined ? frame : compressedFrame(text, compressed);
			});
			deflated.alone = { each, frames: Buffer.concat(frames) };
		}
		const { each, frames } = deflated.alone;
		let next = context;
		for (const [index, payload] of payloads.entries()) {
			if (each[index] !== undefined) {
				next = this.#after(next, this.#passed(payload, deflated.firstName + index));
			}
		}
		return { frames, next };
	}

	#passed(payload: Payload, name: number): Passed {
		payload.passed ??= {
			name,
			length: payload.bytes.length,
			end: new Uint8Array(payload.bytes.subarray(-this.maxDictionaryBytes)),
		};
		return payload.passed;
	}

	#deflate(payload: Uint8Array, dictionary: Uint8Array | undefined): Uint8Array | undefined {
		const { engine, windowBits, threshold, maxBytes } = this.settings;
		if (payload.length < threshold || payload.length > maxBytes || payload.length === 0) {
			return undefined;
		}
		const deflated = engine.deflate(payload, windowBits, dictionary);
		return deflated.length < payload.length ? deflated : undefined;
	}

	/** The context of those who were in this one and received a message: the same object for all of them. */
	#after(context: DeflateContext, message: Passed): DeflateContext {
		const passed = [...context.passed, message];
		let bytes = passed.reduce((sum, { length }) => sum + length, 0);
		while (passed.length > 1 && bytes - passed[0]!.length >= this.maxDictionaryBytes) {
			bytes -= passed.shift()!.length;
		}
		// A name says which message it was, so equal names say that the dictionaries are equal.
		const name = passed.map((each) => each.name).join();
		let next = this.#remembered.get(name);
		if (next === undefined) {
			if (this.#remembered.size >= MAX_REMEMBERED) {
				this.#remembered.clear();
			}
			next = new DeflateContext(this, passed);
			this.#remembered.set(name, next);
		}
		return next;
	}
}

/** What a connection has lately received compressed. */
export class DeflateContext {
	readonly #contexts: DeflateContexts;
	readonly passed: readonly Passed[];
	#dictionary: Uint8Array | undefined;

	constructor(contexts: DeflateContexts, passed: readonly Passed[]) {
		this.#contexts = contexts;
		this.passed = passed;
	}

	get dictionary(): Uint8Array | undefined {
		if (this.#dictionary === undefined && this.passed.length > 0) {
			const all = Buffer.concat(this.passed.map(({ end }) => end));
			this.#dictionary = all.subarray(-this.#contexts.maxDictionaryBytes);
		}
		return this.#dictionary;
	}

	/** A segment for those who are in this context, and the context that they are in when they have it. */
	step(channel: string, segment: Segment): Step {
		return this.#contexts.step(this, channel, segment);
	}
}

/** The payloads of frames as this server writes them: never masked, never fragmented. */
function payloads(frames: Uint8Array): readonly Payload[] {
	const view = new DataView(frames.buffer, frames.byteOffset, frames.length);
	const found: Payload[] = [];
	let at = 0;
	while (at < frames.length) {
		const short = frames[at + 1]! & 0x7f;
		const head = short < 126 ? 2 : short === 126 ? 4 : 10;
		const length = short < 126 ? short : short === 126 ? view.getUint16(at + 2) : Number(view.getBigUint64(at + 2));
		const end = at + head + length;
		found.push({
			text: (frames[at]! & 0x0f) === OPCODE.text,
			bytes: frames.subarray(at + head, end),
			frame: frames.subarray(at, end),
			passed: undefined,
		});
		at = end;
	}
	return found;
}

function compressedFrame(text: boolean, deflated: Uint8Array): Uint8Array {
	const frame = new Uint8Array(frameLength(deflated.length) + deflated.length);
	const opcode = text ? OPCODE.text : OPCODE.binary;
	frame.set(deflated, writeFrameHeader(frame, 0, opcode, deflated.length, { compressed: true }));
	return frame;
}
