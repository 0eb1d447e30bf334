/**
 * Base64 of RFC 4648 §4, in browsers and Node alike. Decoding is strict: no white space, no missing padding, no stray
 * bits, so that one value has one text.
 */

/** What `String.fromCharCode` takes at once without coming near the limit on arguments. */
const CHUNK = 8_192;

export function encodeBase64(bytes: Uint8Array): string {
	let binary = "";
	for (let at = 0; at < bytes.length; at += CHUNK) {
		binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
	}
	return btoa(binary);
}

/** The bytes, or undefined where the text is not the base64 of any. */
export function decodeBase64(text: string): Uint8Array | undefined {
	let binary: string;
	try {
		binary = atob(text);
	} catch {
		return undefined;
	}
	return btoa(binary) === text ? Uint8Array.from(binary, (unit) => unit.charCodeAt(0)) : undefined;
}
