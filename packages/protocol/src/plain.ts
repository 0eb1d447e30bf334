import type { ServerCodec } from "./codec.ts";

function later(): never {
	throw new Error("not written yet");
}
export const plainServer: ServerCodec = {
	subprotocol: undefined,
	enveloped: false,
	decode: later,
	encode: later,
	encodeEntry: later,
	encodeHistory: later,
};
