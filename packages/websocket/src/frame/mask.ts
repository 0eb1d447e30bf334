/**
 * Masking (RFC 6455 §5.3), in place. Hot: every byte that a client sends passes here once, so the same pass also tells
 * whether there was anything but ASCII.
 */

/** Above this many bytes whole words pay for their set-up. */
const WORDS_FROM = 256;

const keyBytes = new Uint8Array(4);
const keyWord = new Int32Array(keyBytes.buffer);

/**
 * Masks or unmasks `bytes[start…end)`. `key` is a 32-bit integer with the key's first byte in its highest bits, that
 * byte being for `start`. Returns non-zero where any resulting byte is 0x80 or above.
 */
export function applyMask(bytes: Uint8Array, start: number, end: number, key: number): number {
	const k0 = key >>> 24;
	const k1 = (key >>> 16) & 0xff;
	const k2 = (key >>> 8) & 0xff;
	const k3 = key & 0xff;
	let seen = 0;
	let at = start;
	if (end - start >= WORDS_FROM) {
		// Up to the next word boundary of the underlying buffer, then word by word with the key turned to fit.
		const skew = (4 - ((bytes.byteOffset + start) & 3)) & 3;
		let turned = key;
		for (const stop = start + skew; at < stop; at++) {
			seen |= bytes[at]! ^= turned >>> 24;
			turned = rotateKey(turned, 1);
		}
		// Through memory, so that the word has this machine's byte order.
		keyBytes[0] = turned >>> 24;
		keyBytes[1] = turned >>> 16;
		keyBytes[2] = turned >>> 8;
		keyBytes[3] = turned;
		const word = keyWord[0]!;
		const count = (end - at) >>> 2;
		const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, count);
		let seenWords = 0;
		for (let index = 0; index < count; index++) {
			seenWords |= words[index]! ^= word;
		}
		if ((seenWords & 0x8080_8080) !== 0) {
			seen |= 0x80;
		}
		at += count * 4;
		for (; at < end; at++) {
			seen |= bytes[at]! ^= turned >>> 24;
			turned = rotateKey(turned, 1);
		}
		return seen & 0x80;
	}
	for (const stop = end - 3; at < stop; at += 4) {
		const b0 = bytes[at]! ^ k0;
		const b1 = bytes[at + 1]! ^ k1;
		const b2 = bytes[at + 2]! ^ k2;
		const b3 = bytes[at + 3]! ^ k3;
		bytes[at] = b0;
		bytes[at + 1] = b1;
		bytes[at + 2] = b2;
		bytes[at + 3] = b3;
		seen |= b0 | b1 | b2 | b3;
	}
	if (at < end) {
		seen |= bytes[at++]! ^= k0;
	}
	if (at < end) {
		seen |= bytes[at++]! ^= k1;
	}
	if (at < end) {
		seen |= bytes[at]! ^= k2;
	}
	return seen & 0x80;
}

/** The key for the byte that is `count` bytes further on. */
export function rotateKey(key: number, count: number): number {
	const bits = (count & 3) * 8;
	return bits === 0 ? key : (key << bits) | (key >>> (32 - bits));
}
