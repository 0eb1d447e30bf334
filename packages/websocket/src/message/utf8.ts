/**
 * UTF-8 checked as it arrives (RFC 6455 §8.1, RFC 3629 §4): the state between two pieces is one small integer, and the
 * first byte that cannot be right is an error at once, wherever frames and chunks are cut.
 */

/** Between characters: where a text must begin and end. */
export const UTF8_BOUNDARY = 0;
/** No continuation can make this text valid. */
export const UTF8_INVALID = -1;

/** Whether all of `bytes` is one valid text, by a means of the platform. */
export type IsUtf8 = (bytes: Uint8Array) => boolean;

/** From here on the platform's check pays for the view that it takes. */
const QUICK_FROM = 128;

/**
 * Goes on from `state` over `bytes[start…end)`. Hot for long texts, which `quick` checks all but the ends of: characters
 * that the cuts may have split.
 */
export function checkUtf8(state: number, bytes: Uint8Array, start: number, end: number, quick?: IsUtf8): number {
	if (quick === undefined || end - start < QUICK_FROM) {
		return scan(state, bytes, start, end);
	}
	let from = start;
	let now = state;
	while (now !== UTF8_BOUNDARY) {
		now = scan(now, bytes, from, ++from);
		if (now === UTF8_INVALID) {
			return UTF8_INVALID;
		}
	}
	let until = end - 1;
	while (until > end - 4 && (bytes[until]! & 0xc0) === 0x80) {
		until--;
	}
	return quick(bytes.subarray(from, until)) ? scan(UTF8_BOUNDARY, bytes, until, end) : UTF8_INVALID;
}

/**
 * Byte by byte. The state packs how many continuation bytes are due and the range that
 * the next one must be in, which is narrower than 80–BF after E0, ED, F0 and F4.
 */
function scan(state: number, bytes: Uint8Array, start: number, end: number): number {
	let due = state & 0x03;
	let low = (state >>> 8) & 0xff;
	let high = (state >>> 16) & 0xff;
	for (let at = start; at < end; at++) {
		const byte = bytes[at]!;
		if (due > 0) {
			if (byte < low || byte > high) {
				return UTF8_INVALID;
			}
			due--;
			low = 0x80;
			high = 0xbf;
		} else if (byte >= 0x80) {
			if (byte < 0xc2 || byte > 0xf4) {
				return UTF8_INVALID;
			}
			due = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
			// No overlong forms (E0, F0), no surrogates (ED), nothing above U+10FFFF (F4).
			low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
			high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
		}
	}
	return due === 0 ? UTF8_BOUNDARY : due | (low << 8) | (high << 16);
}

/** Whether all of `bytes` is one valid text. */
export function isUtf8(bytes: Uint8Array, quick?: IsUtf8): boolean {
	return checkUtf8(UTF8_BOUNDARY, bytes, 0, bytes.length, quick) === UTF8_BOUNDARY;
}
