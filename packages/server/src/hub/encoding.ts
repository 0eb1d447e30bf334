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

export interface Encoding {
	/** Small and dense: the place of this encoding in a log entry's list of frames. */
	readonly index: number;
	readonly codec: ServerCodec;
	/** Lays out the whole frame in one allocation. */
	frame(outbound: Outbound): Uint8Array;
}

/** The encoding of a codec over WebSocket: one frame a message, never masked (RFC 6455 §5.1). */
export function webSocketEncoding(index: number, codec: ServerCodec, compression?: MessageCompression): Encoding {
	return {
		index,
		codec,
		frame: compression === undefined ? webSocketFrame : (outbound) => compressedFrame(outbound, compression),
	};
}

/**
 * The encodings of one node over WebSocket, made as connections ask for them: one for each codec, and one for each codec
 * and window that permessage-deflate was agreed on with, 27 at most. Each message is compressed alone (RFC 7692
 * §7.1.1.1), so that all connections of an encoding are sent the same bytes, made once.
 */
export class WebSocketEncodings {
	readonly #options: ResolvedCompression | undefined;
	readonly #made = new Map<ServerCodec, Map<number, Encoding>>();
	#count = 0;

	constructor(options: ResolvedCompression | undefined) {
		this.#options = options;
	}

	of(codec: ServerCodec, agreed?: DeflateParameters): Encoding {
		let byWindow = this.#made.get(codec);
		if (byWindow === undefined) {
			byWindow = new Map();
			this.#made.set(codec, byWindow);
		}
		const window = agreed?.serverMaxWindowBits ?? 0;
		let encoding = byWindow.get(window);
		if (encoding === undefined) {
			encoding = webSocketEncoding(this.#count++, codec, this.compression(agreed));
			byWindow.set(window, encoding);
		}
		return encoding;
	}

	/** What a connection inflates with: one for all that agreed on the same, since nothing is held between messages. */
	compression(agreed: DeflateParameters | undefined): MessageCompression | undefined {
		const options = this.#options;
		return agreed === undefined || options === undefined
			? undefined
			: messageCompression("server", agreed, zlibEngine(options), options);
	}
}

/** The frame, compressed where that gains something. */
function compressedFrame(outbound: Outbound, compression: MessageCompression): Uint8Array {
	const plain = webSocketFrame(outbound);
	const { length } = plain;
	const payload = plain.subarray(length < 128 ? 2 : length < 65_540 ? 4 : 10);
	return compression.frame(outbound.binary ? OPCODE.binary : OPCODE.text, payload) ?? plain;
}

function webSocketFrame({ binary, head, data, tail }: Outbound): Uint8Array {
	const headLength = head === "" ? 0 : Buffer.byteLength(head);
	const tailLength = tail === "" ? 0 : Buffer.byteLength(tail);
	const length = headLength + data.length + tailLength;
	const frame = Buffer.allocUnsafe(frameLength(length) + length);
	let at = writeFrameHeader(frame, 0, binary ? OPCODE.binary : OPCODE.text, length);
	if (headLength > 0) {
		at += frame.write(head, at);
	}
	frame.set(data, at);
	if (tailLength > 0) {
		frame.write(tail, at + data.length);
	}
	return frame;
}
