/** How much the broker is to keep of a channel, by its declaration. */
import type { Retention } from "@tidewire/broker";
import type { ChannelRoute } from "@tidewire/contract";

const NOTHING: Retention = { messages: 0, bytes: 0, ageMs: 0 };

export function retentionOf({ declaration }: Pick<ChannelRoute, "declaration">): Retention {
	return declaration.history === false ? NOTHING : declaration.history;
}
