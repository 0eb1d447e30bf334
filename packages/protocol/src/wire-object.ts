/** The client's way out: from a message as the SDK holds it to the object that travels. */
import { ProtocolError } from "./codes.ts";
import type { ClientMessage } from "./message.ts";

export function wireObject(message: ClientMessage): Record<string, unknown> {
	const { type, ...fields } = message;
	switch (message.type) {
		case "subscribe": {
			const { type: _, targets, many, rewind, ...rest } = message;
			const [first] = targets;
			return {
				action: type,
				...rest,
				// `fromEntries` defines properties: a channel may be called __proto__.
				...(many
					? { channels: Object.fromEntries(targets.map(({ channel, since }) => [channel, since])) }
					: { channel: first?.channel, ...(first?.since != null && { since: first.since }) }),
				...(rewind && { rewind: "messages" in rewind ? rewind.messages : `${Math.round(rewind.seconds * 1000)}ms` }),
			};
		}
		case "call": {
			const { type: _, input, ...rest } = message;
			// Always as `input`: an object that has a field `id`, `action` or `input` itself is not mistaken then.
			return { ...rest, input: input === undefined ? {} : input };
		}
		case "bare":
			throw new ProtocolError("bad_request", "bare data travels without an envelope only");
		default:
			return { action: type, ...fields };
	}
}
