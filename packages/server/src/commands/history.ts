/** `history`: a page of what is kept of a channel, oldest first, or newest first with `reverse`. */
import { formatPosition, type HistoryMessage, parsePosition } from "@tidewire/protocol";
import { access } from "../auth/access.ts";
import type { Connection } from "../connection/connection.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import { brokerRefusal } from "./publish.ts";

const DEFAULT_LIMIT = 100;
const MAX_PAGE_BYTES = 1024 * 1024;

export async function history(node: TidewireNode, connection: Connection, message: HistoryMessage): Promise<void> {
	const { id, channel, since, reverse = false } = message;
	const { name } = await access(node, connection.caller, "history", channel);
	if (id === undefined) {
		return;
	}
	// The largest replies there are: who asks for many and reads none gets one.
	while (connection.congested) {
		await connection.writable();
	}
	const position = since === undefined ? undefined : parsePosition(since);
	const limit = Math.min(message.limit ?? DEFAULT_LIMIT, node.options.limits.maxHistoryPage);
	const after = position?.offset ?? (reverse ? Number.MAX_SAFE_INTEGER : 0);
	const page = await node.broker
		.read(name, { after, limit, maxBytes: MAX_PAGE_BYTES, reverse })
		.catch((cause: unknown) => Promise.reject(brokerRefusal(cause)));
	if (position !== undefined && position.epoch !== page.epoch) {
		const head = formatPosition({ epoch: page.epoch, offset: page.head });
		throw new Refusal("conflict", `the channel began anew; it is at ${head}`, { position: head });
	}
	// Where to go on from: the last message of this page, or where there was none, where the search ended.
	const offset = page.entries.at(-1)?.offset ?? (reverse ? page.tail : page.head);
	const ack = { ack: id, position: formatPosition({ epoch: page.epoch, offset }) };
	connection.send(connection.encoding.frame(connection.encoding.codec.encodeHistory(ack, page.entries)));
	// Now, so that the next one finds the connection blocked if this one is not read.
	connection.write();
}
