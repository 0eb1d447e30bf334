/** From a frame's bytes to a parsed JSON value, and every way in which that fails to `bad_request`. */
import { ProtocolError } from "./codes.ts";
import { nestsDeeper } from "./json-span.ts";
import { MAX_NESTING } from "./publish-data.ts";

// RFC 8259 §8.1: no byte order mark. Keeping it makes JSON.parse refuse it.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function parseJson(bytes: Uint8Array): unknown {
	let value: unknown;
	try {
		value = JSON.parse(utf8.decode(bytes));
	} catch (error) {
		// A SyntaxError from JSON, a TypeError from UTF-8, a RangeError where the engine gave up. The engine's words quote
		// the input and change with its version: they stay here.
		throw new ProtocolError("bad_request", `the message is not ${error instanceof TypeError ? "UTF-8" : "JSON"}`);
	}
	if (nestsDeeper(bytes, MAX_NESTING)) {
		throw new ProtocolError("bad_request", `the message nests deeper than ${MAX_NESTING} levels`);
	}
	return value;
}
