/**
 * The client's half of `tidewire.v1.json`. It runs in browsers and is kept small: messages that the SDK itself made are
 * not validated, and what a server sends is checked only for its shape.
 */
import type { ClientCodec } from "./codec.ts";
import type { ServerMessage } from "./message.ts";

export const jsonClient: ClientCodec = {
	subprotocol: "tidewire.v1.json",
	encode: (_message): string => {
		throw new Error("not written yet");
	},
	decode: (_payload): ServerMessage => {
		throw new Error("not written yet");
	},
};
