/**
 * `resume`: the client comes back with the newest token of an earlier session, and goes on with it; a connection that
 * still has it is closed. Where the token opens nothing, whyever, the connection keeps its own session.
 */
import type { ResumeMessage } from "@tidewire/protocol";
import type { Connection } from "../connection/connection.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import { brokerRefusal } from "./publish.ts";

/** A client holds one token, and perhaps the one before it. */
const MAX_WRONG_TOKENS = 5;

/** How many a connection has shown. */
const wrongTokens = new WeakMap<Connection, number>();

export async function resume(node: TidewireNode, connection: Connection, { id, token }: ResumeMessage): Promise<void> {
	const { sessions } = node;
	if (!connection.encoding.codec.enveloped) {
		throw new Refusal("bad_request", "a connection without a subprotocol has no session");
	}
	if (sessions.holds(connection) || connection.subscriptions.length > 0 || connection.calls !== undefined) {
		throw new Refusal("bad_request", "resume must come before what the session is used for");
	}
	const resumed = await sessions
		.resume(connection, token)
		.catch((cause: unknown) => Promise.reject(brokerRefusal(cause)));
	switch (resumed.status) {
		case "resumed":
			answer(connection, id, resumed.token, true);
			return;
		case "busy":
			throw new Refusal("unavailable", "others resume this session at the same time");
		case "unknown":
			countWrong(connection);
			answer(connection, id, sessions.greet(connection), false);
			return;
		case "forbidden":
			countWrong(connection);
			throw new Refusal("forbidden", "this session belongs to another user");
		default:
			return resumed satisfies never;
	}
}

function answer(connection: Connection, id: ResumeMessage["id"], token: string, resumed: boolean): void {
	if (id !== undefined) {
		connection.reply({ ack: id, session: connection.session, resume: token, resumed });
	}
}

function countWrong(connection: Connection): void {
	const count = (wrongTokens.get(connection) ?? 0) + 1;
	wrongTokens.set(connection, count);
	if (count > MAX_WRONG_TOKENS) {
		connection.close("policy", "too many resume tokens that open nothing");
	}
}
