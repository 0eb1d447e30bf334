/**
 * What turns messages into the bytes that a transport writes: a wire protocol's codec together with the transport's
 * framing. The hub encodes an entry once per encoding, so an encoding's `index` is its column in every cache.
 */
import type { Outbound, ServerCodec } from "@tidewire/protocol";
import {
	type DeflateParameters,
	frameLength,
	type MessageCompression,
	messageCompression,
	OPCODE,
	type ResolvedCompression,
	writeFrameHeader,
} from "@tidewire/websocket";
import { zlibEngine } from "@tidewire/websocket/node";
import { type DeflateContext, DeflateContexts } from "./deflate-context.ts";

export interface Encoding {
	/** Small and dense: the place of this encoding in a segment's list of frames. */
	readonly index: number;
	readonly codec: ServerCodec;
	/** Lays out the whole frame in one allocation. */
	frame(outbound: Outbound): Uint8Array;
	/** The frames of several messages, one behind the other. */
	frames(outbounds: readonly Outbound[]): Uint8Array;
}

/** The encoding of a codec over WebSocket: one frame a message, never masked (RFC 6455 §5.1). */
export function webSocketEncoding(index: number, codec: ServerCodec, compression?: MessageCompression): Encoding {
	if (compression === undefined) {
		return { index, codec, frame: webSocketFrame, frames: webSocketFrames };
	}
	const frame = (outbound: Outbound): Uint8Array => compressedFrame(outbound, compression);
	return { index, codec, frame, frames: (outbounds) => Buffer.concat(outbounds.map(frame)) };
}

/** How a connection is written to. */
export interface Speech {
	readonly encoding: Encoding;
	/** Where its deflate context begins, where it shares one with others. */
	readonly context: DeflateContext | undefined;
	/** What it inflates with: one for all that agreed on the same, since nothing is held between messages. */
	readonly compression: MessageCompression | undefined;
}

/**
 * The encodings of one node over WebSocket, made as connections ask for them. Connections whose client lets the server
 * carry its context on (RFC 7692 §7.1.1.1) have the encoding without compression, and a context that compresses what
 * comes by channels. For the others each message is compressed alone, made once for all of an encoding.
 */
export class WebSocketEncodings {
	readonly #options: ResolvedCompression | undefined;
	readonly #encodings = new Map<string, Encoding>();
	readonly #contexts = new Map<string, DeflateContexts>();

	constructor(options: ResolvedCompression | undefined) {
		this.#options = options;
	}

	speech(codec: ServerCodec, agreed: DeflateParameters | undefined): Speech {
		const options = this.#options;
		if (agreed === undefined || options === undefined) {
			return { encoding: this.#encoding(codec, ""), context: undefined, compression: undefined };
		}
		const engine = zlibEngine(options);
		const compression = messageCompression("server", agreed, engine, options);
		const { serverMaxWindowBits: windowBits, serverNoContextTakeover: alone } = agreed;
		if (alone) {
			return { encoding: this.#encoding(codec, `${windowBits}`, compression), context: undefined, compression };
		}
		const encoding = this.#encoding(codec, "");
		const key = `${encoding.index} ${windowBits}`;
		let contexts = this.#contexts.get(key);
		if (contexts === undefined) {
			const { threshold, maxDeflateBytes } = options;
			contexts = new DeflateContexts(encoding, { engine, windowBits, threshold, maxBytes: maxDeflateBytes });
			this.#contexts.set(key, contexts);
		}
		return { encoding, context: contexts.first, compression };
	}

	#encoding(codec: ServerCodec, window: string, compression?: MessageCompression): Encoding {
		const key = `${codec.subprotocol} ${window}`;
		let encoding = this.#encodings.get(key);
		if (encoding === undefined) {
			encoding = webSocketEncoding(this.#encodings.size, codec, compression);
			this.#encodings.set(key, encoding);
		}
		return encoding;
	}
}

/** The frame, compressed where that gains something. */
function compressedFrame(outbound: Outbound, compression: MessageCompression): Uint8Array {
	const plain = webSocketFrame(outbound);
	const { length } = plain;
	const payload = plain.subarray(length < 128 ? 2 : length < 65_540 ? 4 : 10);
	return compression.frame(outbound.binary ? OPCODE.binary : OPCODE.text, payload) ?? plain;
}

function webSocketFrame(outbound: Outbound): Uint8Array {
	const headLength = byteLength(outbound.head);
	const tailLength = byteLength(outbound.tail);
	const length = headLength + outbound.data.length + tailLength;
	const frame = Buffer.allocUnsafe(frameLength(length) + length);
	writeFrame(frame, 0, outbound, length, headLength);
	return frame;
}

function webSocketFrames(outbounds: readonly Outbound[]): Uint8Array {
	const lengths = outbounds.map(({ head, data, tail }) => byteLength(head) + data.length + byteLength(tail));
	const frames = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + frameLength(length) + length, 0));
	let at = 0;
	for (const [index, outbound] of outbounds.entries()) {
		at = writeFrame(frames, at, outbound, lengths[index]!, byteLength(outbound.head));
	}
	return frames;
}

function byteLength(text: string): number {
	return text === "" ? 0 : Buffer.byteLength(text);
}

/** Writes one frame at a place; where it ends. */
function writeFrame(
	into: Buffer,
	at: number,
	{ binary, head, data, tail }: Outbound,
	length: number,
	headLength: number,
): number {
	const start = writeFrameHeader(into, at, binary ? OPCODE.binary : OPCODE.text, length);
	if (headLength > 0) {
		into.write(head, start);
	}
	into.set(data, start + headLength);
	if (tail !== "") {
		into.write(tail, start + headLength + data.length);
	}
	return start + length;
}
