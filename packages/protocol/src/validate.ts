import type { ClientMessage } from "./message.ts";

/**
 * From a parsed value to a client message. `readData` turns the `data` of a publish (and its `encoding`, undefined where
 * there is none) into what the message carries; it may throw `ProtocolError`. Throws `ProtocolError` and nothing else.
 */
export function validateClientMessage<Data>(
	_value: unknown,
	_readData: (data: unknown, encoding: unknown) => Data,
): ClientMessage<Data> {
	throw new Error("not written yet");
}
