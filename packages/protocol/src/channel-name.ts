/**
 * What a channel may be called (PROTOCOL.md, "Channel names"): 1–200 bytes of UTF-8 in Unicode's normal form C, without
 * control characters. Names are compared bytewise, so a name that is not in form C would be a twin of one that is.
 */
import { utf8Length } from "./utf8.ts";

export const MAX_CHANNEL_NAME_BYTES = 200;

/** C0, DEL, C1, and the line and paragraph separators, which end lines in logs and in event streams. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** What is wrong with a channel's name, as the end of a sentence that begins with the name; undefined where it is fine. */
export function channelNameProblem(name: string): string | undefined {
	if (name === "") {
		return "is empty";
	}
	// The cheap bound first: a string never has fewer bytes than UTF-16 units.
	if (name.length > MAX_CHANNEL_NAME_BYTES || utf8Length(name) > MAX_CHANNEL_NAME_BYTES) {
		return `is longer than ${MAX_CHANNEL_NAME_BYTES} bytes`;
	}
	if (!name.isWellFormed()) {
		return "has a lone surrogate, which no UTF-8 can hold";
	}
	if (CONTROL.test(name)) {
		return "has a control character";
	}
	return name === name.normalize("NFC") ? undefined : "is not in Unicode normal form C";
}

/** Whether the name belongs to the protocol itself: a caller's own channels (`@user`, `@device:…`), and `$…` for later. */
export function isReservedChannel(name: string): boolean {
	return name.startsWith("@") || name.startsWith("$");
}
