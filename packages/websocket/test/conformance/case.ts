/**
 * What a case of the conformance table is: frames that a peer sends, how their bytes are cut into chunks, and what an
 * echo must answer. Cases say nothing of roles; `play.ts` plays each in both.
 */

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

/** A frame as the peer sends it, right or wrong. */
export interface Frame {
	readonly opcode: number;
	readonly payload: Uint8Array;
	readonly fin: boolean;
	/** RSV1–3 as a number: RSV1 is 4. */
	readonly rsv: number;
}

/**
 * Where the bytes are cut: not at all, after each frame, after each octet, after every `every` octets, before the frames
 * with these indices, or within the payload of the one frame.
 */
export type Chop =
	| "whole"
	| "frames"
	| "octets"
	| { readonly every: number }
	| { readonly beforeFrames: readonly number[] }
	| { readonly inPayload: readonly number[] };

export interface Answer {
	readonly kind: "text" | "binary" | "pong";
	readonly payload: Uint8Array;
	/** The chunk (from 0) that must bring this answer, where that matters. */
	readonly chunk?: number;
}

export interface Script {
	readonly frames: readonly Frame[];
	readonly chop: Chop;
	/** All that the peer must hear before the close frame, in order. */
	readonly answers: readonly Answer[];
	/**
	 * The code of our close frame; null for one without a code. Where we stay open to the end, the peer begins the closing
	 * handshake with 1000.
	 */
	readonly close: number | null;
	/** The chunk (from 0) in which the connection must fail: neither before, nor (non-strict) later. */
	readonly failsIn?: number;
	/** RFC 6455 leaves the outcome open: it is recorded, not judged. */
	readonly informational?: boolean;
	/** permessage-deflate as it was negotiated, for cases 12 and 13. */
	readonly deflate?: DeflateCase;
}

/** The offer that a client makes, and what the answering server asks of a client in turn (RFC 7692 §7.1). */
export interface DeflateCase {
	/** The client's Sec-WebSocket-Extensions. */
	readonly offer: string;
	/** What our peer, where it is the server, answers to our own offer. */
	readonly answer: string;
	/** Frames are cut into fragments of this size; 0 for none. */
	readonly fragmentBytes: number;
}

export interface Case {
	/** The number that the public suite gives it. */
	readonly id: string;
	readonly about: string;
	/** Made when it is played: some scripts are large. */
	readonly script: () => Script;
}

const encoder = new TextEncoder();

export function octets(payload: string | Uint8Array): Uint8Array {
	return typeof payload === "string" ? encoder.encode(payload) : payload;
}

export function frame(
	opcode: number,
	payload: string | Uint8Array = "",
	{ fin = true, rsv = 0 }: { readonly fin?: boolean; readonly rsv?: number } = {},
): Frame {
	return { opcode, payload: octets(payload), fin, rsv };
}

export const text = (payload: string | Uint8Array): Frame => frame(TEXT, payload);
export const ping = (payload: string | Uint8Array = ""): Frame => frame(PING, payload);
export const pong = (payload: string | Uint8Array = ""): Frame => frame(PONG, payload);

/** A close frame; without a code an empty one. */
export function close(code?: number, reason: string | Uint8Array = ""): Frame {
	if (code === undefined) {
		return frame(CLOSE);
	}
	return frame(CLOSE, Uint8Array.of(code >>> 8, code & 0xff, ...octets(reason)));
}

/** One message in fragments. */
export function fragments(opcode: number, ...payloads: readonly (string | Uint8Array)[]): readonly Frame[] {
	return payloads.map((payload, index) =>
		frame(index === 0 ? opcode : CONTINUATION, payload, { fin: index === payloads.length - 1 }),
	);
}

/** One message in fragments of `size` bytes. */
export function fragmented(opcode: number, payload: Uint8Array, size: number): readonly Frame[] {
	const pieces: Uint8Array[] = [];
	for (let at = 0; at < payload.length; at += size) {
		pieces.push(payload.subarray(at, at + size));
	}
	return fragments(opcode, ...pieces);
}

/** The answer that echoes a message or a ping. */
export function echo(of: Frame, chunk?: number): Answer {
	const kind = of.opcode === TEXT ? "text" : of.opcode === BINARY ? "binary" : "pong";
	return chunk === undefined ? { kind, payload: of.payload } : { kind, payload: of.payload, chunk };
}

/** A script whose frames are all right: every message is echoed, every ping answered. */
export function legal(frames: readonly Frame[], answers: readonly Answer[], chop: Chop = "whole"): Script {
	return { frames, answers, chop, close: 1000 };
}

/** A script that breaks a rule; `answers` are for what came before. */
export function illegal(
	code: number,
	frames: readonly Frame[],
	answers: readonly Answer[] = [],
	chop: Chop = "whole",
): Script {
	return { frames, answers, chop, close: code };
}
