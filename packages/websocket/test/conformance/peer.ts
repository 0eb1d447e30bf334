/**
 * The other side of a case: turns a script's frames into chunks of bytes, and our bytes back into frames. Written by
 * plain means, with none of the code under test; compression is Node's zlib streams, which carry their own context.
 */
import { constants, createDeflateRaw, createInflateRaw } from "node:zlib";
import {
	BINARY,
	type Chop,
	CLOSE,
	CONTINUATION,
	type Frame,
	fragmented,
	PING,
	PONG,
	type Script,
	TEXT,
} from "./case.ts";

export type Role = "server" | "client";

/** One direction's parameters, as they were agreed on. */
export interface Direction {
	readonly windowBits: number;
	readonly takeover: boolean;
}

/** What is wrong with bytes that we wrote. */
export class WireError extends Error {}

export interface Heard {
	readonly kind: "text" | "binary" | "ping" | "pong" | "close";
	readonly payload: Uint8Array;
	/** The chunk during which it was written. */
	readonly chunk: number;
	readonly compressed: boolean;
}

/** The frames as bytes and cut, for a connection in `role`: a server's peer masks (RFC 6455 §5.3). */
export function chunks(script: Script, frames: readonly Frame[], role: Role): readonly Uint8Array[] {
	const masked = role === "server";
	const encoded = frames.map((frame, index) =>
		encode(frame, masked ? 0x9e3779b9 ^ Math.imul(index, 0x85ebca6b) : undefined),
	);
	return cut(script.chop, encoded, script.frames);
}

function cut(chop: Chop, encoded: readonly Uint8Array[], frames: readonly Frame[]): readonly Uint8Array[] {
	if (chop === "frames") {
		return encoded;
	}
	const whole = Buffer.concat(encoded);
	if (chop === "whole") {
		return [whole];
	}
	if (chop === "octets") {
		return every(whole, 1);
	}
	if ("every" in chop) {
		return every(whole, chop.every);
	}
	if ("beforeFrames" in chop) {
		const starts = encoded.map((_, index) => encoded.slice(0, index).reduce((sum, each) => sum + each.length, 0));
		return at(
			whole,
			chop.beforeFrames.map((index) => starts[index]!),
		);
	}
	const header = encoded[0]!.length - frames[0]!.payload.length;
	return at(
		whole,
		chop.inPayload.map((place) => header + place),
	);
}

function every(whole: Uint8Array, size: number): readonly Uint8Array[] {
	return Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
		whole.subarray(index * size, (index + 1) * size),
	);
}

function at(whole: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
	return [0, ...places].map((from, index) => whole.subarray(from, places[index] ?? whole.length));
}

function encode({ opcode, payload, fin, rsv }: Frame, key: number | undefined): Uint8Array {
	const { length } = payload;
	const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
	const start = 2 + extended + (key === undefined ? 0 : 4);
	const out = Buffer.alloc(start + length);
	out[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
	out[1] = (key === undefined ? 0 : 0x80) | (extended === 0 ? length : extended === 2 ? 126 : 127);
	if (extended === 2) {
		out.writeUInt16BE(length, 2);
	} else if (extended === 8) {
		out.writeBigUInt64BE(BigInt(length), 2);
	}
	out.set(payload, start);
	if (key !== undefined) {
		out.writeUInt32BE(key >>> 0, start - 4);
		mask(out, start, out.length, out.subarray(start - 4, start));
	}
	return out;
}

function mask(bytes: Uint8Array, from: number, until: number, key: Uint8Array): void {
	for (let index = from; index < until; index++) {
		bytes[index] = bytes[index]! ^ key[(index - from) & 3]!;
	}
}

/** Messages under permessage-deflate: compressed one after the other, then cut into fragments (RFC 7692 §6.1). */
export async function compress(
	messages: readonly Frame[],
	direction: Direction,
	fragmentBytes: number,
): Promise<readonly Frame[]> {
	const frames: Frame[] = [];
	let stream = newDeflate(direction);
	for (const { opcode, payload } of messages) {
		const deflated = await push(stream, payload, 4);
		const pieces = fragmentBytes === 0 ? [] : fragmented(opcode, deflated, fragmentBytes);
		const [first, ...rest] = pieces.length > 0 ? pieces : [{ opcode, payload: deflated, fin: true, rsv: 0 }];
		frames.push({ ...first!, rsv: 4 }, ...rest);
		if (!direction.takeover) {
			stream.close();
			stream = newDeflate(direction);
		}
	}
	stream.close();
	return frames;
}

function newDeflate({ windowBits }: Direction): ReturnType<typeof createDeflateRaw> {
	return createDeflateRaw({ windowBits, level: 1, flush: constants.Z_SYNC_FLUSH });
}

/** What we wrote, inflated where it is marked so, with no larger a window than was agreed on. */
export async function decompress(heard: readonly Heard[], direction: Direction): Promise<readonly Heard[]> {
	const out: Heard[] = [];
	let stream = newInflate(direction);
	for (const each of heard) {
		if (!each.compressed) {
			out.push(each);
			continue;
		}
		const tailed = Buffer.concat([each.payload, Uint8Array.of(0x00, 0x00, 0xff, 0xff)]);
		out.push({ ...each, payload: await push(stream, tailed, 0) });
		if (!direction.takeover) {
			stream.close();
			stream = newInflate(direction);
		}
	}
	stream.close();
	return out;
}

function newInflate({ windowBits }: Direction): ReturnType<typeof createInflateRaw> {
	return createInflateRaw({ windowBits, flush: constants.Z_SYNC_FLUSH });
}

/** One message through a stream, without the last `less` bytes of what comes out. */
async function push(
	stream: ReturnType<typeof createDeflateRaw | typeof createInflateRaw>,
	payload: Uint8Array,
	less: number,
): Promise<Uint8Array> {
	const pieces: Uint8Array[] = [];
	const collect = (piece: Uint8Array): void => void pieces.push(piece);
	const { promise, resolve, reject } = Promise.withResolvers<void>();
	stream.on("data", collect).on("error", reject);
	stream.write(payload);
	stream.flush(constants.Z_SYNC_FLUSH, resolve);
	await promise;
	stream.off("data", collect).off("error", reject);
	const whole = Buffer.concat(pieces);
	return whole.subarray(0, whole.length - less);
}

/** Reads what a connection in `role` wrote. Throws `WireError` for bytes that no peer would have to accept. */
export class Ear {
	private readonly masked: boolean;
	private readonly deflate: boolean;
	private readonly heard: Heard[] = [];
	private held: Uint8Array = new Uint8Array(0);
	private message:
		| { readonly kind: "text" | "binary"; readonly compressed: boolean; readonly pieces: Uint8Array[] }
		| undefined;

	constructor(role: Role, deflate: boolean) {
		this.masked = role === "client";
		this.deflate = deflate;
	}

	get all(): readonly Heard[] {
		return this.heard;
	}

	take(bytes: Uint8Array, chunk: number): void {
		let rest = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes]);
		while (rest.length >= 2) {
			const used = this.frame(rest, chunk);
			if (used === 0) {
				break;
			}
			rest = rest.subarray(used);
		}
		this.held = rest;
	}

	private frame(bytes: Uint8Array, chunk: number): number {
		const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
		const short = bytes[1]! & 0x7f;
		const extended = short < 126 ? 0 : short === 126 ? 2 : 8;
		const start = 2 + extended + (this.masked ? 4 : 0);
		if (bytes.length < start) {
			return 0;
		}
		const length = extended === 0 ? short : extended === 2 ? view.readUInt16BE(2) : Number(view.readBigUInt64BE(2));
		demand(((bytes[1]! & 0x80) !== 0) === this.masked, "a client masks, a server does not");
		demand(extended === 0 || length >= (extended === 2 ? 126 : 65_536), "a length is not in its shortest form");
		if (bytes.length < start + length) {
			return 0;
		}
		let payload = bytes.subarray(start, start + length);
		if (this.masked) {
			payload = payload.slice();
			mask(payload, 0, length, bytes.subarray(start - 4, start));
		}
		this.note(bytes[0]!, payload, chunk);
		return start + length;
	}

	private note(first: number, payload: Uint8Array, chunk: number): void {
		const opcode = first & 0x0f;
		const fin = (first & 0x80) !== 0;
		const compressed = (first & 0x40) !== 0;
		demand((first & 0x30) === 0, "RSV2 or RSV3 is 1");
		demand(this.heard.at(-1)?.kind !== "close", "a frame follows the close frame");
		if (opcode >= CLOSE) {
			demand(opcode === CLOSE || opcode === PING || opcode === PONG, `opcode ${opcode}`);
			demand(fin && !compressed && payload.length <= 125, "a control frame is fragmented, compressed or too long");
			const kind = opcode === CLOSE ? "close" : opcode === PING ? "ping" : "pong";
			this.heard.push({ kind, payload, chunk, compressed: false });
			return;
		}
		demand(opcode === TEXT || opcode === BINARY || opcode === CONTINUATION, `opcode ${opcode}`);
		demand((opcode === CONTINUATION) === (this.message !== undefined), "a fragment out of place");
		demand(!compressed || (this.deflate && opcode !== CONTINUATION), "RSV1 out of place");
		this.message ??= { kind: opcode === TEXT ? "text" : "binary", compressed, pieces: [] };
		this.message.pieces.push(payload);
		if (fin) {
			const { kind, compressed: deflated, pieces } = this.message;
			this.message = undefined;
			this.heard.push({
				kind,
				payload: pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces),
				chunk,
				compressed: deflated,
			});
		}
	}
}

function demand(condition: boolean, otherwise: string): void {
	if (!condition) {
		throw new WireError(otherwise);
	}
}
