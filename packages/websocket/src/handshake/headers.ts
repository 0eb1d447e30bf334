/**
 * Header fields of a handshake as both Node and tests have them, and the grammar of their values (RFC 9110 §5.6). Every
 * scan here goes over a value once, byte by byte, without regular expressions that could backtrack.
 */

/** Lowercased names to values: Node's `IncomingMessage.headers`, a plain record, a `Map`, or Fetch's `Headers`. */
export type HeaderSource =
	| Readonly<Record<string, string | readonly string[] | undefined>>
	| { get(name: string): string | readonly string[] | null | undefined };

/** Header fields to send, as name and value. */
export type HeaderFields = Readonly<Record<string, string>>;

/** All values of a field. Names of `Object.prototype` are no fields. */
export function fieldValues(headers: HeaderSource, name: string): readonly string[] {
	const value = isLookup(headers) ? headers.get(name) : Object.hasOwn(headers, name) ? headers[name] : undefined;
	if (value === undefined || value === null) {
		return [];
	}
	return typeof value === "string" ? [value] : value;
}

function isLookup(
	headers: HeaderSource,
): headers is { get(name: string): string | readonly string[] | null | undefined } {
	// A header that is called "get" holds a string or an array, never a function.
	return typeof headers.get === "function";
}

/** How often a field stands in Node's `rawHeaders` (name, value, name, value …). */
export function countRaw(rawHeaders: readonly string[], name: string): number {
	let count = 0;
	for (let index = 0; index < rawHeaders.length; index += 2) {
		const raw = rawHeaders[index]!;
		if (raw.length === name.length && raw.toLowerCase() === name) {
			count++;
		}
	}
	return count;
}

/** Whether a comma-separated field holds this token, in any case. `token` is lower case. */
export function hasToken(values: readonly string[], token: string): boolean {
	for (const value of values) {
		for (const item of value.split(",")) {
			if (item.trim().toLowerCase() === token) {
				return true;
			}
		}
	}
	return false;
}

/** The tokens of a comma-separated list, or undefined where it is not one (RFC 9110 §5.6.1; empty items are skipped). */
export function parseTokens(values: readonly string[]): readonly string[] | undefined {
	const tokens: string[] = [];
	for (const value of values) {
		for (const item of value.split(",")) {
			const token = item.trim();
			if (token === "") {
				continue;
			}
			if (!isToken(token)) {
				return undefined;
			}
			tokens.push(token);
		}
	}
	return tokens;
}

/** RFC 9110 §5.6.2: `1*tchar`. */
export function isToken(text: string): boolean {
	for (let index = 0; index < text.length; index++) {
		const code = text.charCodeAt(index);
		const letterOrDigit =
			(code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39);
		if (!letterOrDigit && !"!#$%&'*+-.^_`|~".includes(text[index]!)) {
			return false;
		}
	}
	return text.length > 0;
}

/** Whether a field's value can stand in a message: no control characters but tab, nothing above U+00FF (RFC 9110 §5.5). */
export function isFieldValue(text: string): boolean {
	for (let index = 0; index < text.length; index++) {
		const code = text.charCodeAt(index);
		if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) {
			return false;
		}
	}
	return true;
}
