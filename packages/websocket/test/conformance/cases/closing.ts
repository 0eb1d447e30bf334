/** Group 7: the closing handshake (RFC 6455 §5.5.1, §7). */
import {
	type Case,
	CLOSE,
	close,
	echo,
	type Frame,
	fragments,
	frame,
	illegal,
	legal,
	ping,
	TEXT,
	text,
} from "../case.ts";

const HELLO = "Hello World!";

/** The peer closes with 1000 itself; what it sends after that is not looked at. */
function closed(id: string, about: string, frames: readonly Frame[], message?: Frame): Case {
	return { id, about, script: () => legal(frames, message === undefined ? [] : [echo(message)]) };
}

/** A close frame alone and the code of ours. */
function answered(id: string, about: string, frame: Frame, code: number | null): Case {
	return { id, about, script: () => ({ frames: [frame], chop: "whole", answers: [], close: code }) };
}

/** §7.4.1 and §7.4.2. 1012–1014 were assigned later, and no case asks for them. */
const GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
const BAD_CODES = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
/** Above all ranges; §7.4.2 does not name them. */
const UNDEFINED_CODES = [5000, 65_535];

const [FIRST, LAST] = fragments(TEXT, "fragment1", "fragment2");
const LONG = text(new Uint8Array(256 * 1024).fill(0x42));

export const CLOSING: readonly Case[] = [
	closed("7.1.1", "a message, then a close", [text(HELLO), close(1000)], text(HELLO)),
	closed("7.1.2", "two closes", [close(1000), close(1000)]),
	closed("7.1.3", "a ping after a close", [close(1000), ping()]),
	closed("7.1.4", "a message after a close", [close(1000), text(HELLO)]),
	closed("7.1.5", "a close between two fragments", [FIRST!, close(1000), LAST!]),
	{
		id: "7.1.6",
		about: "a message of 256 KiB, a close and a ping in one",
		script: () => ({ ...legal([LONG, close(1000), ping()], [echo(LONG)]), informational: true }),
	},
	answered("7.3.1", "a close without a code", close(), null),
	answered("7.3.2", "a close with half a code", frame(CLOSE, Uint8Array.of(0x03)), 1002),
	answered("7.3.3", "a close with a code", close(1000), 1000),
	answered("7.3.4", "a close with a reason", close(1000, HELLO), 1000),
	answered("7.3.5", "a close with a reason of 123 bytes", close(1000, "*".repeat(123)), 1000),
	answered("7.3.6", "a close with a reason of 124 bytes (§5.5)", close(1000, "*".repeat(124)), 1002),
	{
		id: "7.5.1",
		about: "a close with a reason that is not UTF-8",
		script: () => illegal(1007, [close(1000, Buffer.from("cebae1bdb9cf83cebcceb5eda080656469746564", "hex"))]),
	},
	...GOOD_CODES.map((code, index) => answered(`7.7.${index + 1}`, `close code ${code}`, close(code), code)),
	...BAD_CODES.map((code, index) => answered(`7.9.${index + 1}`, `close code ${code}`, close(code), 1002)),
	...UNDEFINED_CODES.map(
		(code, index): Case => ({
			id: `7.13.${index + 1}`,
			about: `close code ${code}`,
			script: () => ({ ...illegal(1002, [close(code)]), informational: true }),
		}),
	),
];
