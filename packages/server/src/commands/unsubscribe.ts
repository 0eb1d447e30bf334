/** `unsubscribe`: nothing of the channel follows its reply. */
import type { UnsubscribeMessage } from "@tidewire/protocol";
import type { Connection } from "../connection/connection.ts";
import { answerInOrder } from "../connection/reply-order.ts";
import type { TidewireNode } from "../node.ts";

export function unsubscribe(
	node: TidewireNode,
	connection: Connection,
	{ id, channel }: UnsubscribeMessage,
): undefined {
	const subscription = node.hub.find(connection, channel);
	if (subscription !== undefined) {
		node.hub.leave(subscription);
		node.presence.leave(connection, channel);
	}
	if (id !== undefined) {
		// Not subscribed is what was asked for, so it is no error.
		answerInOrder(connection, channel, () => connection.reply({ ack: id }));
	}
}
