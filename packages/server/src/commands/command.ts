/**
 * Which command performs a message: one file for each, with its permission, its effect and its reply together. A command that
 * returns a promise holds up the messages behind it until that settles; what it leaves running does not.
 */
import type { ClientMessage, Payload, PublishMessage } from "@tidewire/protocol";
import type { Connection } from "../connection/connection.ts";
import { answerInOrder, answersBefore } from "../connection/reply-order.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import { auth } from "./auth.ts";
import { call } from "./call.ts";
import { cancel } from "./cancel.ts";
import { history } from "./history.ts";
import { ping } from "./ping.ts";
import { presence } from "./presence.ts";
import { bare, publish } from "./publish.ts";
import { received } from "./received.ts";
import { resume } from "./resume.ts";
import { subscribe } from "./subscribe.ts";
import { unsubscribe } from "./unsubscribe.ts";

/**
 * Performs one message. Throws or rejects with `Refusal`, or with anything else for an internal error; the connection
 * answers both.
 */
export function perform(
	node: TidewireNode,
	connection: Connection,
	message: ClientMessage<Payload>,
): Promise<void> | undefined {
	if (!connection.caller.admitted && message.type !== "auth" && message.type !== "ping") {
		throw new Refusal("unauthenticated", "the first message must be auth");
	}
	const before = answersBefore(connection, channelsAsked(message));
	return before === undefined
		? begin(node, connection, message)
		: before.then(() => (connection.closed ? undefined : begin(node, connection, message)));
}

/** Of which channels what was published before must have been answered: their replies keep their order. */
function channelsAsked(message: ClientMessage<Payload>): readonly string[] {
	switch (message.type) {
		case "subscribe":
			return message.targets.map(({ channel }) => channel);
		case "history":
		case "presence":
			return [message.channel];
		default:
			return NONE;
	}
}

const NONE: readonly string[] = [];

function begin(node: TidewireNode, connection: Connection, message: ClientMessage<Payload>): Promise<void> | undefined {
	switch (message.type) {
		case "subscribe":
			return subscribe(node, connection, message);
		case "unsubscribe":
			return unsubscribe(node, connection, message);
		case "publish":
			return publishInOrder(node, connection, message);
		case "bare":
			return bare(node, connection, message);
		case "call":
			return call(node, connection, message);
		case "cancel":
			return cancel(connection, message);
		case "history":
			return history(node, connection, message);
		case "auth":
			return auth(node, connection, message);
		case "resume":
			return resume(node, connection, message);
		case "ping":
			return ping(connection, message);
		case "presence":
			return presence(node, connection, message);
		case "received":
			return received(node, connection, message);
		default:
			return message satisfies never;
	}
}

/** One that is refused is not answered before those that the broker is still to accept. */
function publishInOrder(
	node: TidewireNode,
	connection: Connection,
	message: PublishMessage<Payload>,
): Promise<void> | undefined {
	const refused = (cause: unknown): undefined => {
		answerInOrder(connection, message.channel, () => connection.fail(message.id, cause));
	};
	try {
		return publish(node, connection, message)?.catch(refused);
	} catch (cause) {
		return refused(cause);
	}
}
