/**
 * Writes as MessagePack what `JSON.stringify` would write as JSON, with bytes as they are: `undefined` and functions are
 * left out (in arrays: nil), `toJSON` is called, what is not finite is nil. It is our own because data of strangers
 * passes here on its way to other subscribers: a field named `constructor`, `toJSON` or `__proto__` is a field and
 * changes nothing, and any depth is written, without recursion.
 */

const encoder = new TextEncoder();

/** Throws a `TypeError` for a bigint, as JSON does; and what a `toJSON` throws. */
export function writeMsgpack(value: unknown): Uint8Array {
	const writer = new Writer();
	const open: Iterator<unknown>[] = [[value].values()];
	while (open.length > 0) {
		const next = open[open.length - 1]!.next();
		if (next.done === true) {
			open.pop();
			continue;
		}
		const inside = writeOne(writer, plain(next.value));
		if (inside !== undefined) {
			open.push(inside);
		}
	}
	return writer.finish();
}

/** Writes a value, or the header of an array or map, whose parts it then returns. */
function writeOne(writer: Writer, value: unknown): Iterator<unknown> | undefined {
	switch (typeof value) {
		case "string":
			writer.text(value);
			return undefined;
		case "number":
			writer.number(value);
			return undefined;
		case "boolean":
			writer.byte(value ? 0xc3 : 0xc2);
			return undefined;
		case "bigint":
			throw new TypeError("a bigint cannot be sent");
		case "object":
			break;
		default:
			writer.byte(0xc0);
			return undefined;
	}
	if (value === null) {
		writer.byte(0xc0);
		return undefined;
	}
	if (value instanceof Uint8Array) {
		writer.bytes(value);
		return undefined;
	}
	if (Array.isArray(value)) {
		writer.header(value.length, { fix: 0x90, fixMax: 15, wide: 0xdc });
		return value.values();
	}
	const entries = Object.entries(value).filter(([, field]) => isWritten(field));
	writer.header(entries.length, { fix: 0x80, fixMax: 15, wide: 0xde });
	return entries.flat(1).values();
}

function isWritten(value: unknown): boolean {
	return value !== undefined && typeof value !== "function" && typeof value !== "symbol";
}

function plain(value: unknown): unknown {
	if (typeof value !== "object" || value === null || value instanceof Uint8Array) {
		return value;
	}
	const { toJSON } = value as { readonly toJSON?: unknown };
	return typeof toJSON === "function" ? toJSON.call(value) : value;
}

class Writer {
	#bytes = new Uint8Array(256);
	#view = new DataView(this.#bytes.buffer);
	#length = 0;

	finish(): Uint8Array {
		return this.#bytes.slice(0, this.#length);
	}

	byte(value: number): void {
		this.#room(1).setUint8(this.#length - 1, value);
	}

	/** Arrays and maps: three widths of count. `wide + 1` is the type with 32 bits. */
	header(count: number, type: { readonly fix: number; readonly fixMax: number; readonly wide: number }): void {
		if (count <= type.fixMax) {
			this.byte(type.fix | count);
		} else if (count < 0x1_0000) {
			this.byte(type.wide);
			this.#room(2).setUint16(this.#length - 2, count);
		} else {
			this.byte(type.wide + 1);
			this.#room(4).setUint32(this.#length - 4, count);
		}
	}

	text(text: string): void {
		const encoded = encoder.encode(text);
		if (encoded.length < 32) {
			this.byte(0xa0 | encoded.length);
		} else if (encoded.length < 0x100) {
			this.byte(0xd9);
			this.byte(encoded.length);
		} else {
			this.header(encoded.length, { fix: 0, fixMax: -1, wide: 0xda });
		}
		this.#raw(encoded);
	}

	bytes(bytes: Uint8Array): void {
		if (bytes.length < 0x100) {
			this.byte(0xc4);
			this.byte(bytes.length);
		} else {
			this.header(bytes.length, { fix: 0, fixMax: -1, wide: 0xc5 });
		}
		this.#raw(bytes);
	}

	number(value: number): void {
		if (!Number.isFinite(value)) {
			this.byte(0xc0);
		} else if (!Number.isSafeInteger(value)) {
			this.byte(0xcb);
			this.#room(8).setFloat64(this.#length - 8, value);
		} else if (value >= 0) {
			this.#unsigned(value);
		} else {
			this.#negative(value);
		}
	}

	#unsigned(value: number): void {
		if (value < 0x80) {
			this.byte(value);
		} else if (value < 0x100) {
			this.byte(0xcc);
			this.byte(value);
		} else if (value < 0x1_0000) {
			this.byte(0xcd);
			this.#room(2).setUint16(this.#length - 2, value);
		} else if (value < 0x1_0000_0000) {
			this.byte(0xce);
			this.#room(4).setUint32(this.#length - 4, value);
		} else {
			this.byte(0xcf);
			this.#room(8).setBigUint64(this.#length - 8, BigInt(value));
		}
	}

	#negative(value: number): void {
		if (value >= -0x20) {
			this.byte(value + 0x100);
		} else if (value >= -0x8000_0000) {
			this.byte(0xd2);
			this.#room(4).setInt32(this.#length - 4, value);
		} else {
			this.byte(0xd3);
			this.#room(8).setBigInt64(this.#length - 8, BigInt(value));
		}
	}

	#raw(bytes: Uint8Array): void {
		const at = this.#grow(bytes.length);
		this.#bytes.set(bytes, at);
	}

	/** The view, after `count` more bytes at the end were made room for: growing replaces it. */
	#room(count: number): DataView {
		this.#grow(count);
		return this.#view;
	}

	/** Makes room for `count` more bytes and returns where they begin. */
	#grow(count: number): number {
		const at = this.#length;
		this.#length += count;
		if (this.#length > this.#bytes.length) {
			const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length));
			larger.set(this.#bytes.subarray(0, at));
			this.#bytes = larger;
			this.#view = new DataView(larger.buffer);
		}
		return at;
	}
}
