/** `cancel`: the caller wants no more of a streaming reply. The handler's signal is aborted; the ack ends the stream. */
import type { CancelMessage } from "@tidewire/protocol";
import type { Connection } from "../connection/connection.ts";

export function cancel(connection: Connection, { id, of }: CancelMessage): undefined {
	for (const call of connection.calls ?? []) {
		if (call.id === of) {
			call.cancel.abort();
		}
	}
	if (id !== undefined) {
		connection.reply({ ack: id });
	}
}
