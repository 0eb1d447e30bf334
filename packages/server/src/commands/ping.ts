/** `ping`: the client asks whether the server is there. */
import type { PingMessage } from "@tidewire/protocol";
import type { Connection } from "../connection/connection.ts";

export function ping(connection: Connection, { id }: PingMessage): undefined {
	if (id !== undefined) {
		connection.reply({ ack: id });
		// At once: not even the rest of this turn is waited for.
		connection.write();
	}
}
