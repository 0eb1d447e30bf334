/**
 * A frame's header (RFC 6455 §5.2): from bytes and to bytes. It decodes what is there; whether that is allowed is
 * `rules.ts`'s business.
 */
import { type Opcode, RSV1 } from "./opcode.ts";

/** The longest header: 2 bytes, 8 of extended length, 4 of masking key. */
export const MAX_HEADER_BYTES = 14;

/** A decoded header. Mutable, so that one object can serve every frame. */
export interface FrameHeader {
	/** The first byte: FIN, RSV1–3, opcode. */
	first: number;
	masked: boolean;
	/** The 7-bit length field. */
	shortLength: number;
	/** The payload's length; rounded where the 64-bit form is above 2^53 − 1, which no limit allows. */
	length: number;
	/** Whether the most significant bit of a 64-bit length is set. */
	topBit: boolean;
	/** The masking key, its first byte in the highest bits; 0 where there is none. */
	key: number;
}

/** How long a header is, by its second byte. */
export function headerSize(second: number): number {
	const short = second & 0x7f;
	return 2 + (short < 126 ? 0 : short === 126 ? 2 : 8) + ((second & 0x80) === 0 ? 0 : 4);
}

/** Decodes the header at `at`, all of which must be there. */
export function readHeader(bytes: Uint8Array, at: number, into: FrameHeader): void {
	const second = bytes[at + 1]!;
	const short = second & 0x7f;
	into.first = bytes[at]!;
	into.shortLength = short;
	into.topBit = false;
	let next = at + 2;
	if (short < 126) {
		into.length = short;
	} else if (short === 126) {
		into.length = (bytes[next]! << 8) | bytes[next + 1]!;
		next += 2;
	} else {
		into.length = readUint32(bytes, next) * 0x1_0000_0000 + readUint32(bytes, next + 4);
		into.topBit = (bytes[next]! & 0x80) !== 0;
		next += 8;
	}
	into.masked = (second & 0x80) !== 0;
	into.key = into.masked ? readUint32(bytes, next) | 0 : 0;
}

function readUint32(bytes: Uint8Array, at: number): number {
	return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export interface FrameOptions {
	/** Whether the message ends with this frame. Default true. */
	readonly fin?: boolean;
	/** Whether the message that begins with this frame is compressed: RSV1 (RFC 7692 §6.1). Default false. */
	readonly compressed?: boolean;
	/** The masking key as a 32-bit integer, its first byte in the highest bits; only clients mask. The payload is the caller's to mask. */
	readonly key?: number;
}

/** How many bytes the header of an unmasked frame with this payload takes. A masked frame's takes 4 more. */
export function frameLength(payloadLength: number): number {
	return payloadLength < 126 ? 2 : payloadLength < 65_536 ? 4 : 10;
}

/** Writes a frame's header at `at` and returns where its payload goes. The length takes its shortest form (§5.2). */
export function writeFrameHeader(
	target: Uint8Array,
	at: number,
	opcode: Opcode,
	payloadLength: number,
	options?: FrameOptions,
): number {
	const key = options?.key;
	const mask = key === undefined ? 0 : 0x80;
	target[at] = (options?.fin === false ? 0 : 0x80) | (options?.compressed === true ? RSV1 : 0) | opcode;
	let next = at + 2;
	if (payloadLength < 126) {
		target[at + 1] = mask | payloadLength;
	} else if (payloadLength < 65_536) {
		target[at + 1] = mask | 126;
		target[next] = payloadLength >>> 8;
		target[next + 1] = payloadLength;
		next += 2;
	} else {
		target[at + 1] = mask | 127;
		writeUint32(target, next, Math.floor(payloadLength / 0x1_0000_0000));
		writeUint32(target, next + 4, payloadLength);
		next += 8;
	}
	if (key !== undefined) {
		writeUint32(target, next, key);
		next += 4;
	}
	return next;
}

function writeUint32(target: Uint8Array, at: number, value: number): void {
	target[at] = value >>> 24;
	target[at + 1] = value >>> 16;
	target[at + 2] = value >>> 8;
	target[at + 3] = value;
}
