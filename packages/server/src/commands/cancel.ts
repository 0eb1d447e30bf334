/** `cancel`: the caller wants no more of a streaming reply. The handler's signal is aborted; the ack ends the stream. */
import type { CancelMessage } from "@tidewire/protocol";
import type { Connection } from "../connection/connection.ts";
import { callKey } from "./call.ts";

export function cancel(connection: Connection, { id, of }: CancelMessage): undefined {
	connection.calls?.get(callKey(of))?.abort();
	if (id !== undefined) {
		connection.reply({ ack: id });
	}
}
