/**
 * `received`: a durable consumer has everything up to a position. There is no reply. What says nothing new is ignored:
 * an older position, one of another epoch, one that was never sent here, and any of a channel that is not subscribed to,
 * since the server may have ended that subscription a moment before.
 */
import { parsePosition, type ReceivedMessage } from "@tidewire/protocol";
import type { Connection } from "../connection/connection.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";

export function received(
	node: TidewireNode,
	connection: Connection,
	{ channel, position: text }: ReceivedMessage,
): undefined {
	const subscription = node.hub.find(connection, channel);
	if (subscription === undefined) {
		return;
	}
	const consumer = node.durables.of(subscription);
	if (consumer === undefined) {
		throw new Refusal("bad_request", `the subscription to channel "${channel}" is not durable`);
	}
	const position = parsePosition(text);
	if (position !== undefined) {
		node.durables.received(subscription, consumer, position);
	}
}
