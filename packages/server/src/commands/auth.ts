/**
 * `auth`: credentials in band, at first or anew. A refusal leaves the caller what it was, or ends a connection that was
 * nobody. Where nobody can tell whose they are (`unavailable`), the connection stays, and may ask again.
 */
import type { AuthMessage } from "@tidewire/protocol";
import { authenticate } from "../auth/authenticate.ts";
import { SHOWN } from "../auth/caller.ts";
import type { Connection } from "../connection/connection.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";

const NO_COOKIES: Readonly<Record<string, string>> = Object.freeze(Object.create(null));

export async function auth(node: TidewireNode, connection: Connection, { id, token }: AuthMessage): Promise<void> {
	if (!connection.caller.admitted) {
		connection.caller = SHOWN;
	}
	const caller = await authenticate(node.options, {
		token,
		cookies: NO_COOKIES,
		headers: {},
		params: connection.entrance.params,
		remoteAddress: connection.transport.remoteAddress,
	});
	if (caller === undefined) {
		connection.fail(id, new Refusal("unauthenticated", "the token is not valid"));
		if (!connection.caller.admitted) {
			connection.close("unauthenticated", "the token is not valid");
		}
		return;
	}
	const was = connection.caller;
	if (was.user !== null && was.user.id !== caller.user?.id) {
		throw new Refusal("forbidden", "this connection belongs to another user");
	}
	connection.caller = caller;
	node.sessions.ownerChanged(connection, was);
	if (id !== undefined) {
		connection.reply(caller.user === null ? { ack: id } : { ack: id, user: caller.user.id });
	}
}
