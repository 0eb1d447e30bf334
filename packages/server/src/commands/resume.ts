/**
 * `resume`: the client comes back with the token of an earlier session. Sessions end with their connection for now, so
 * the answer is always that the connection keeps its new one; positions bring the missed messages all the same.
 */
import type { ResumeMessage } from "@tidewire/protocol";
import type { Connection } from "../connection/connection.ts";
import { newResumeToken } from "../connection/session.ts";

export function resume(connection: Connection, { id }: ResumeMessage): undefined {
	if (id !== undefined) {
		connection.reply({ ack: id, session: connection.session, resume: newResumeToken(), resumed: false });
	}
}
