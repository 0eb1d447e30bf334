import type { ServerCodec } from "./codec.ts";

function later(): never {
	throw new Error("not written yet");
}
export const jsonServer: ServerCodec = {
	subprotocol: "tidewire.v1.json",
	enveloped: true,
	decode: later,
	encode: later,
	encodeEntry: later,
	encodeHistory: later,
};
