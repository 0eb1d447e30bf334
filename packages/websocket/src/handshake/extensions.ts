/**
 * The grammar of Sec-WebSocket-Extensions (RFC 6455 §9.1): a list of extensions, each with parameters, in one pass over
 * the text. Lists of pairs, not records: a parameter called `__proto__` is a pair like any other, and a name that comes
 * twice stays visible.
 */
import { isToken } from "./headers.ts";

export interface Extension {
	readonly name: string;
	/** Name and value in the order received; a parameter without a value has undefined. Names are as received. */
	readonly parameters: readonly (readonly [name: string, value: string | undefined])[];
}

/** The extensions of all values of the field, or undefined where one breaks the grammar. Empty items are skipped. */
export function parseExtensions(values: readonly string[]): readonly Extension[] | undefined {
	const extensions: Extension[] = [];
	for (const text of values) {
		let at = 0;
		while (at < text.length) {
			const name = readItem(text, at, ";,");
			at = name.end;
			const parameters: (readonly [string, string | undefined])[] = [];
			while (text[at] === ";") {
				const parameter = readItem(text, at + 1, "=;,");
				at = parameter.end;
				let value: string | undefined;
				if (text[at] === "=") {
					const read = readValue(text, at + 1);
					if (read === undefined) {
						return undefined;
					}
					value = read.text;
					at = read.end;
				}
				if (!isToken(parameter.text)) {
					return undefined;
				}
				parameters.push([parameter.text, value]);
			}
			if (name.text !== "" || parameters.length > 0) {
				if (!isToken(name.text)) {
					return undefined;
				}
				extensions.push({ name: name.text, parameters });
			}
			// Here stands a comma, or the end.
			at++;
		}
	}
	return extensions;
}

interface Read {
	readonly text: string;
	/** Where the next delimiter stands, or the length of the text. */
	readonly end: number;
}

/** What stands before the next delimiter, without the white space around it. */
function readItem(text: string, from: number, delimiters: string): Read {
	let end = from;
	while (end < text.length && !delimiters.includes(text[end]!)) {
		end++;
	}
	return { text: trim(text, from, end), end };
}

/** A token, or a quoted string whose content is one (RFC 6455 §9.1 demands that). */
function readValue(text: string, from: number): Read | undefined {
	let start = from;
	while (isSpace(text, start)) {
		start++;
	}
	if (text[start] !== '"') {
		const item = readItem(text, start, ";,");
		return isToken(item.text) ? item : undefined;
	}
	const parts: string[] = [];
	let at = start + 1;
	for (; text[at] !== '"'; at++) {
		if (text[at] === "\\") {
			at++;
		}
		if (at >= text.length) {
			return undefined;
		}
		parts.push(text[at]!);
	}
	at++;
	while (isSpace(text, at)) {
		at++;
	}
	if (at < text.length && text[at] !== ";" && text[at] !== ",") {
		return undefined;
	}
	const value = parts.join("");
	return isToken(value) ? { text: value, end: at } : undefined;
}

function trim(text: string, from: number, until: number): string {
	let start = from;
	let end = until;
	while (start < end && isSpace(text, start)) {
		start++;
	}
	while (end > start && isSpace(text, end - 1)) {
		end--;
	}
	return text.slice(start, end);
}

function isSpace(text: string, at: number): boolean {
	return text[at] === " " || text[at] === "\t";
}
