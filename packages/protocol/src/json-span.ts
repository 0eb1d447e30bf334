/**
 * Where things stand in a JSON text, so that a publisher's own text can be cut out of its envelope and travel on
 * unchanged. It works on UTF-8 bytes: everything it looks for is ASCII, and no byte of a longer sequence is. The text
 * must have passed `JSON.parse`; this is a search, not a check. One pass, and no recursion: a text of 100,000 brackets
 * costs what its length costs.
 */

/** From `start` up to, not including, `end`. */
export interface Span {
	readonly start: number;
	readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const utf8 = new TextDecoder();

/** RFC 8259 §2: the four characters that may stand around a value. */
function isSpace(byte: number | undefined): boolean {
	return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** The text without the white space around it. */
export function trimSpan(json: Uint8Array): Span {
	let end = json.length;
	while (end > 0 && isSpace(json[end - 1])) {
		end--;
	}
	return { start: Math.min(skipSpace(json, 0), end), end };
}

/**
 * The value of a member of the object that the text is; undefined where there is none. Of several members with the name
 * the last counts, as for `JSON.parse`. `name` is ASCII.
 */
export function memberSpan(json: Uint8Array, name: string): Span | undefined {
	let found: Span | undefined;
	let at = skipSpace(json, 0) + 1;
	while (at < json.length) {
		const key = skipSpace(json, at);
		if (json[key] !== QUOTE) {
			break;
		}
		const keyEnd = skipString(json, key);
		const start = skipSpace(json, skipSpace(json, keyEnd) + 1);
		const end = skipValue(json, start);
		if (isKey(json, key, keyEnd, name)) {
			found = { start, end };
		}
		at = skipSpace(json, end) + 1;
	}
	return found;
}

/** Whether arrays and objects stand more than `levels` deep in one another. */
export function nestsDeeper(json: Uint8Array, levels: number): boolean {
	// Each level needs two brackets, so that most messages are too short to look at.
	if (json.length <= levels * 2) {
		return false;
	}
	let depth = 0;
	let at = 0;
	while (at < json.length) {
		const byte = json[at];
		if (byte === QUOTE) {
			at = skipString(json, at);
			continue;
		}
		if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
			depth++;
			if (depth > levels) {
				return true;
			}
		} else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
			depth--;
		}
		at++;
	}
	return false;
}

function skipSpace(json: Uint8Array, from: number): number {
	let at = from;
	while (isSpace(json[at])) {
		at++;
	}
	return at;
}

/** `from` is the opening quote; returns the place after the closing one. */
function skipString(json: Uint8Array, from: number): number {
	let at = from + 1;
	while (at < json.length && json[at] !== QUOTE) {
		at += json[at] === BACKSLASH ? 2 : 1;
	}
	return at + 1;
}

function skipValue(json: Uint8Array, from: number): number {
	let at = from;
	let depth = 0;
	while (at < json.length) {
		const byte = json[at];
		if (byte === QUOTE) {
			at = skipString(json, at);
		} else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
			depth++;
			at++;
		} else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
			if (depth === 0) {
				return at;
			}
			depth--;
			at++;
		} else if (depth === 0 && (byte === COMMA || isSpace(byte))) {
			return at;
		} else {
			at++;
			continue;
		}
		if (depth === 0) {
			return at;
		}
	}
	return at;
}

/** Whether the string from the quote at `start` to the place after the quote before `end` is the name. */
function isKey(json: Uint8Array, start: number, end: number, name: string): boolean {
	let escaped = false;
	let same = end - start - 2 === name.length;
	for (let at = start + 1; at < end - 1; at++) {
		escaped ||= json[at] === BACKSLASH;
		same &&= json[at] === name.charCodeAt(at - start - 1);
	}
	return escaped ? JSON.parse(utf8.decode(json.subarray(start, end))) === name : same;
}
