/**
 * Any bytes, as a compressed payload, and as a payload to compress. The first byte of an input chooses the window and
 * whether there is a dictionary: then that many of the first bytes are it.
 *
 * Promised: nothing is thrown, nothing above the limit comes out, and what we compress is the same again when inflated.
 */
import { resolveCompression } from "../../src/index.ts";
import { zlibEngine } from "../../src/node/index.ts";
import { promise } from "../finding.ts";

const MAX_BYTES = 4_096;
const engine = zlibEngine(resolveCompression());

export function fuzz(input: Uint8Array): void {
	const settings = input[0] ?? 0;
	const windowBits = 8 + (settings & 0x07);
	// No longer than a window of 8 bits, so that every one can use all of it.
	const split = 1 + (settings >>> 3);
	const dictionary = split === 1 ? undefined : input.slice(1, split);
	const payload = input.slice(split);
	for (const limit of [MAX_BYTES, 100, 0]) {
		const inflated = engine.inflate(payload, limit, dictionary);
		promise(typeof inflated === "string" || inflated.length <= limit, "more than the limit");
	}
	if (payload.length > 0) {
		const deflated = engine.deflate(payload, windowBits, dictionary);
		const again = engine.inflate(deflated, payload.length, dictionary);
		promise(typeof again !== "string" && Buffer.compare(again, payload) === 0, "not the same again");
	}
}
