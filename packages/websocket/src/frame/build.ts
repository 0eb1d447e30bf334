/**
 * A whole frame in one allocation: header and payload, masked where there is a key (RFC 6455 §5.2, §5.3). Hot: every
 * message and pong that a connection itself sends is built here.
 */
import { WebSocketError } from "../errors.ts";
import { type FrameOptions, frameLength, writeFrameHeader } from "./header.ts";
import { applyMask } from "./mask.ts";
import type { Opcode } from "./opcode.ts";
import { MAX_CONTROL_BYTES } from "./rules.ts";

export type Allocate = (length: number) => Uint8Array;

const encoder = new TextEncoder();
/** Where short texts are encoded before their length is known. Used within one call, so one for all. */
const scratch = new Uint8Array(16 * 1024);
/** Up to here a loop is quicker than `set`. */
const SMALL = 64;

/** `key`: the masking key, where a client sends. `allocate`: default `new Uint8Array(length)`. */
export function buildFrame(
	opcode: Opcode,
	payload: string | Uint8Array,
	key: number | undefined,
	allocate: Allocate | undefined,
): Uint8Array {
	if (typeof payload !== "string") {
		return build(opcode, payload, payload.length, key, allocate);
	}
	if (payload.length * 3 <= scratch.length) {
		return build(opcode, scratch, encoder.encodeInto(payload, scratch).written, key, allocate);
	}
	const bytes = encoder.encode(payload);
	return build(opcode, bytes, bytes.length, key, allocate);
}

/** A frame that is compressed, or not its message's only one. */
export function buildFragment(
	opcode: Opcode,
	payload: Uint8Array,
	shape: { readonly fin: boolean; readonly compressed: boolean },
	key: number | undefined,
	allocate: Allocate | undefined,
): Uint8Array {
	return build(opcode, payload, payload.length, key, allocate, shape);
}

/** An unmasked frame's header alone: its payload follows as it is. */
export function buildHeader(opcode: Opcode, length: number, allocate: Allocate | undefined): Uint8Array {
	const size = frameLength(length);
	const header = allocate === undefined ? new Uint8Array(size) : allocate(size);
	writeFrameHeader(header, 0, opcode, length);
	return header;
}

function build(
	opcode: Opcode,
	source: Uint8Array,
	length: number,
	key: number | undefined,
	allocate: Allocate | undefined,
	shape?: Pick<FrameOptions, "fin" | "compressed">,
): Uint8Array {
	const size = frameLength(length) + length + (key === undefined ? 0 : 4);
	const frame = allocate === undefined ? new Uint8Array(size) : allocate(size);
	const at = writeFrameHeader(frame, 0, opcode, length, key === undefined ? shape : { ...shape, key });
	if (length < SMALL) {
		for (let index = 0; index < length; index++) {
			frame[at + index] = source[index]!;
		}
	} else {
		frame.set(length === source.length ? source : source.subarray(0, length), at);
	}
	if (key !== undefined) {
		applyMask(frame, at, size, key);
	}
	return frame;
}

/** A text's bytes, in memory of their own. */
export function utf8(text: string): Uint8Array {
	return encoder.encode(text);
}

/**
 * Refuses what is neither text nor bytes (`invalid_argument`): a number here has cost others uninitialised memory on
 * the wire (CVE-2016-10518).
 */
export function assertPayload(payload: unknown): void {
	if (typeof payload !== "string" && !(payload instanceof Uint8Array)) {
		throw new WebSocketError("invalid_argument", `a payload is a string or a Uint8Array, not ${typeof payload}`);
	}
}

/** A control frame's payload as bytes. Throws `WebSocketError` above 125 (`payload_too_large`). */
export function controlPayload(payload: string | Uint8Array): Uint8Array {
	assertPayload(payload);
	const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
	if (bytes.length > MAX_CONTROL_BYTES) {
		const text = `a control frame of ${bytes.length} bytes, at most 125 (RFC 6455 §5.5)`;
		throw new WebSocketError("payload_too_large", text);
	}
	return bytes;
}
