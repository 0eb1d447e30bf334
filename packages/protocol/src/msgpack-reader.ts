/**
 * Reads MessagePack (the specification at github.com/msgpack/msgpack, `spec.md`) strictly, into values that JSON can
 * hold. It is our own because the input is a stranger's: nothing is allocated by an announced length, extension types
 * are skipped instead of made into objects, strings must be UTF-8, a key `__proto__` stays a key, and depth is bounded.
 *
 * What is well-formed but beyond JSON (integers beyond 2^53, keys that are no strings, extension types, NaN, bytes
 * inside a value) does not end the reading: it is reported as `foreign`, so that the message's id can still be answered.
 */
import { ProtocolError } from "./codes.ts";
import { MAX_NESTING } from "./publish-data.ts";

export interface MsgpackValue {
	readonly value: unknown;
	/** The first thing in it that JSON cannot hold. */
	readonly foreign: string | undefined;
	/** How many byte strings there are in it. */
	readonly byteStrings: number;
}

/** Throws `ProtocolError` where the bytes are not exactly one value, or nest deeper than `maxNesting`. */
export function readMsgpack(bytes: Uint8Array, maxNesting: number = MAX_NESTING): MsgpackValue {
	const reader = new Reader(bytes, maxNesting);
	const value = reader.read(0);
	if (reader.at !== bytes.length) {
		throw malformed(`${bytes.length - reader.at} bytes follow the value`);
	}
	return { value, foreign: reader.foreign, byteStrings: reader.byteStrings };
}

function malformed(problem: string): ProtocolError {
	return new ProtocolError("bad_request", `the message is not MessagePack: ${problem}`);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** In bytes. */
const SHORT_STRING = 24;

class Reader {
	readonly #bytes: Uint8Array;
	readonly #view: DataView;
	readonly #maxNesting: number;
	at = 0;
	foreign: string | undefined;
	byteStrings = 0;

	constructor(bytes: Uint8Array, maxNesting: number) {
		this.#bytes = bytes;
		this.#maxNesting = maxNesting;
		this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}

	/** `depth` is the number of arrays and maps around the value. */
	read(depth: number): unknown {
		const type = this.#view.getUint8(this.#take(1));
		if (type < 0x80) {
			return type;
		}
		if (type < 0x90) {
			return this.#map(type & 0x0f, depth);
		}
		if (type < 0xa0) {
			return this.#array(type & 0x0f, depth);
		}
		if (type < 0xc0) {
			return this.#string(type & 0x1f);
		}
		if (type >= 0xe0) {
			return type - 0x100;
		}
		switch (type) {
			case 0xc0:
				return null;
			case 0xc2:
				return false;
			case 0xc3:
				return true;
			case 0xc4:
			case 0xc5:
			case 0xc6:
				return this.#binary(this.#unsigned(1 << (type - 0xc4)));
			case 0xc7:
			case 0xc8:
			case 0xc9:
				return this.#extension(this.#unsigned(1 << (type - 0xc7)));
			case 0xca:
				return this.#float(this.#view.getFloat32(this.#take(4)));
			case 0xcb:
				return this.#float(this.#view.getFloat64(this.#take(8)));
			case 0xcc:
			case 0xcd:
			case 0xce:
				return this.#unsigned(1 << (type - 0xcc));
			case 0xcf:
				return this.#integer(this.#view.getBigUint64(this.#take(8)));
			case 0xd0:
				return this.#view.getInt8(this.#take(1));
			case 0xd1:
				return this.#view.getInt16(this.#take(2));
			case 0xd2:
				return this.#view.getInt32(this.#take(4));
			case 0xd3:
				return this.#integer(this.#view.getBigInt64(this.#take(8)));
			case 0xd4:
			case 0xd5:
			case 0xd6:
			case 0xd7:
			case 0xd8:
				return this.#extension(1 << (type - 0xd4));
			case 0xd9:
			case 0xda:
			case 0xdb:
				return this.#string(this.#unsigned(1 << (type - 0xd9)));
			case 0xdc:
				return this.#array(this.#unsigned(2), depth);
			case 0xdd:
				return this.#array(this.#unsigned(4), depth);
			case 0xde:
				return this.#map(this.#unsigned(2), depth);
			case 0xdf:
				return this.#map(this.#unsigned(4), depth);
			default:
				throw malformed("0xc1 is no type");
		}
	}

	/** Steps over `count` bytes, if they are there, and returns where they begin. */
	#take(count: number): number {
		const at = this.at;
		if (count > this.#bytes.length - at) {
			throw malformed("it ends too early");
		}
		this.at = at + count;
		return at;
	}

	#unsigned(width: number): number {
		const at = this.#take(width);
		switch (width) {
			case 1:
				return this.#view.getUint8(at);
			case 2:
				return this.#view.getUint16(at);
			default:
				return this.#view.getUint32(at);
		}
	}

	#integer(value: bigint): number {
		const number = Number(value);
		if (!Number.isSafeInteger(number)) {
			this.foreign ??= "an integer beyond 2^53-1";
		}
		return number;
	}

	#float(value: number): number {
		if (!Number.isFinite(value)) {
			this.foreign ??= "a number that is not finite";
		}
		return value;
	}

	#string(length: number): string {
		const start = this.#take(length);
		if (length < SHORT_STRING) {
			const ascii = this.#ascii(start, start + length);
			if (ascii !== undefined) {
				return ascii;
			}
		}
		try {
			return utf8.decode(this.#bytes.subarray(start, start + length));
		} catch {
			throw malformed("a string is not UTF-8");
		}
	}

	/** Most strings are short names of fields, for which a call into the decoder costs more than this loop. */
	#ascii(start: number, end: number): string | undefined {
		let text = "";
		for (let at = start; at < end; at++) {
			const byte = this.#bytes[at]!;
			if (byte >= 0x80) {
				return undefined;
			}
			text += String.fromCharCode(byte);
		}
		return text;
	}

	/** A copy, as the frame's buffer may be used again. */
	#binary(length: number): Uint8Array {
		this.byteStrings++;
		const start = this.#take(length);
		return new Uint8Array(this.#bytes.subarray(start, start + length));
	}

	#extension(length: number): null {
		this.#take(length + 1);
		this.foreign ??= "an extension type";
		return null;
	}

	#enter(least: number, depth: number): void {
		if (depth >= this.#maxNesting) {
			throw new ProtocolError("bad_request", `the message nests deeper than ${this.#maxNesting} levels`);
		}
		// Each item is a byte at least: what cannot be there is not waited for.
		if (least > this.#bytes.length - this.at) {
			throw malformed("it ends too early");
		}
	}

	#array(length: number, depth: number): unknown[] {
		this.#enter(length, depth);
		const items: unknown[] = [];
		for (let index = 0; index < length; index++) {
			items.push(this.read(depth + 1));
		}
		return items;
	}

	#map(length: number, depth: number): Record<string, unknown> {
		this.#enter(length * 2, depth);
		const fields: Record<string, unknown> = {};
		for (let index = 0; index < length; index++) {
			const key = this.read(depth + 1);
			const value = this.read(depth + 1);
			if (typeof key !== "string") {
				this.foreign ??= "a key that is not a string";
			} else if (key === "__proto__") {
				// Assigned, it would set the prototype.
				Object.defineProperty(fields, key, { value, writable: true, enumerable: true, configurable: true });
			} else {
				fields[key] = value;
			}
		}
		return fields;
	}
}
