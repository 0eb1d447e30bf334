/**
 * What turns messages into the bytes that a transport writes: a wire protocol's codec together with the transport's
 * framing. The hub encodes an entry once per encoding, so an encoding's `index` is its column in every cache.
 */
import type { Outbound, ServerCodec } from "@tidewire/protocol";
import { frameLength, OPCODE, writeFrameHeader } from "@tidewire/websocket";

export interface Encoding {
	/** Small and dense: the place of this encoding in a log entry's list of frames. */
	readonly index: number;
	readonly codec: ServerCodec;
	/** Lays out the whole frame in one allocation. */
	frame(outbound: Outbound): Uint8Array;
}

/** The encoding of a codec over WebSocket: one frame a message, never masked (RFC 6455 §5.1). */
export function webSocketEncoding(index: number, codec: ServerCodec): Encoding {
	return { index, codec, frame: webSocketFrame };
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
