/** What a message's id counts in. */
import type { MessageId } from "@tidewire/protocol";
import type { Connection } from "../connection/connection.ts";
import type { TidewireNode } from "../node.ts";

/** Undefined where it is only echoed. A session is stored with the first id that counts in it. */
export function idScope(node: TidewireNode, connection: Connection, id: MessageId | undefined): string | undefined {
	if (id !== undefined && connection.encoding.codec.enveloped) {
		// Where it cannot be, its client is told later that the session is gone.
		node.sessions.store(connection);
	}
	return id === undefined ? undefined : connection.idScope;
}
