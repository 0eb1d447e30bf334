/**
 * Names as they stand in the file: each UTF-16 unit in the one to three bytes that UTF-8 would give it (CESU-8). So any
 * string has bytes of its own, lone surrogates and NUL included, and SQLite's bytewise order is the order of
 * JavaScript's comparison, in which the seam lists names. For all names without surrogates it is plain UTF-8.
 */
const SURROGATE = /[\ud800-\udfff]/;
const MASK = 0x3f;

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function toNameBytes(name: string): Uint8Array {
	if (!SURROGATE.test(name)) {
		return utf8.encode(name);
	}
	const bytes: number[] = [];
	for (let index = 0; index < name.length; index++) {
		const unit = name.charCodeAt(index);
		if (unit < 0x80) {
			bytes.push(unit);
		} else if (unit < 0x800) {
			bytes.push(0xc0 | (unit >> 6), 0x80 | (unit & MASK));
		} else {
			bytes.push(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & MASK), 0x80 | (unit & MASK));
		}
	}
	return Uint8Array.from(bytes);
}

export function toName(bytes: Uint8Array): string {
	// Only a surrogate is ED A0…BF.
	const odd = bytes.some((byte, index) => byte === 0xed && (bytes[index + 1] ?? 0) >= 0xa0);
	if (!odd) {
		return text.decode(bytes);
	}
	const units: number[] = [];
	for (let index = 0; index < bytes.length; ) {
		const first = bytes[index++]!;
		if (first < 0x80) {
			units.push(first);
		} else if (first < 0xe0) {
			units.push(((first & 0x1f) << 6) | (bytes[index++]! & MASK));
		} else {
			units.push(((first & 0x0f) << 12) | ((bytes[index++]! & MASK) << 6) | (bytes[index++]! & MASK));
		}
	}
	return String.fromCharCode(...units);
}

/** The first bytes after all names that begin with `prefix`; undefined where there are none, as for the empty one. */
export function endOfPrefix(prefix: Uint8Array): Uint8Array | undefined {
	for (let length = prefix.byteLength; length > 0; length--) {
		const last = prefix[length - 1]!;
		if (last < 0xff) {
			const end = prefix.slice(0, length);
			end[length - 1] = last + 1;
			return end;
		}
	}
	return undefined;
}
