import type { ClientCodec, ServerCodec } from "./codec.ts";

function later(): never {
	throw new Error("not written yet");
}
export const msgpackServer: ServerCodec = {
	subprotocol: "tidewire.v1.msgpack",
	enveloped: true,
	decode: later,
	encode: later,
	encodeEntry: later,
	encodeHistory: later,
};
export const msgpackClient: ClientCodec = { subprotocol: "tidewire.v1.msgpack", encode: later, decode: later };
