/**
 * `subscribe` with `durable`: where the consumer goes on, and what it is told has been lost meanwhile. Everything else is
 * as in any subscription. A consumer is there for good, or until it expires, once its first subscribe is answered.
 */
import type { Position } from "@tidewire/broker";
import { formatPosition, parsePosition, type SubscribeMessage, type SubscribeTarget } from "@tidewire/protocol";
import { type Access, access } from "../auth/access.ts";
import type { User } from "../auth/caller.ts";
import type { Connection } from "../connection/connection.ts";
import type { Consumer } from "../durable/received.ts";
import type { Start } from "../hub/start.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import type { Accepted } from "./subscribe.ts";

/** Subscribes, from there. */
type Enter = (start: Start, found: Access) => Promise<Accepted>;

const EVERYTHING: Start = { from: "rewind", messages: Number.MAX_SAFE_INTEGER };
/** How often another connection may make the same consumer, and it expire again, before this one gives up. */
const MAX_TRIES = 3;

/** `first`: where a new consumer begins. Rejects with `Refusal`, or the broker's error. */
export async function enterDurably(
	node: TidewireNode,
	connection: Connection,
	{ durable, policy }: SubscribeMessage,
	{ channel, since }: SubscribeTarget,
	first: Start,
	enter: Enter,
): Promise<Accepted> {
	const name = durable!;
	const { user } = connection.caller;
	if (user === null) {
		throw new Refusal("unauthenticated", "a durable consumer is a user's, and this caller is no user");
	}
	if (!connection.encoding.codec.enveloped) {
		throw new Refusal("bad_request", "bare data carry no offsets to say received of: durable needs a subprotocol");
	}
	if (policy !== undefined && policy !== "catch-up") {
		throw new Refusal("bad_request", `a durable consumer gets all there is, so its policy cannot be "${policy}"`);
	}
	const found = await access(node, connection.caller, "subscribe", channel);
	if (found.route.declaration.state !== undefined) {
		throw new Refusal("bad_request", `channel "${channel}" is a state channel: its value waits, not its messages`);
	}
	for (let tries = 0; tries < MAX_TRIES; tries++) {
		const { consumer, positions } = await node.durables.find(user.id, found.name, name);
		const present = node.hub.find(connection, channel);
		if (present !== undefined && node.durables.of(present)?.key !== consumer.key) {
			throw new Refusal("bad_request", `channel "${channel}" is already subscribed to, not as this consumer`);
		}
		const own = since === null ? undefined : parsePosition(since);
		const isNew = positions.length === 0;
		const accepted =
			present !== undefined || (isNew && own === undefined)
				? await enter(first, found)
				: await goOn(node, connection, found, own, positions, enter);
		if (await take(node, user, accepted, consumer, isNew)) {
			return accepted;
		}
	}
	throw new Refusal("unavailable", "other connections are making this consumer at this moment");
}

/** Makes the subscription the consumer's. False where another connection has just made the consumer. */
async function take(
	node: TidewireNode,
	user: User,
	{ reply, subscription }: Accepted,
	consumer: Consumer,
	isNew: boolean,
): Promise<boolean> {
	if (subscription === undefined) {
		return true;
	}
	let made: "made" | "present" | "full" | undefined;
	try {
		made = isNew ? await node.durables.make(user.id, consumer, parsePosition(reply.position)!) : "made";
	} finally {
		if (made !== "made") {
			node.hub.leave(subscription);
		}
	}
	if (made === "full") {
		throw new Refusal("limit_reached", `a user may have ${node.durables.maxPerUser} durable consumers`);
	}
	node.durables.bind(subscription, consumer);
	return made === "made";
}

/**
 * After what the consumer has received, or the client's own position where that is further. Where the channel no longer
 * follows, with everything that is kept, and the loss is announced right after the reply.
 */
async function goOn(
	node: TidewireNode,
	connection: Connection,
	found: Access,
	own: Position | undefined,
	positions: readonly Position[],
	enter: Enter,
): Promise<Accepted> {
	const { epoch, head } = await node.broker.read(found.name, { after: 0, limit: 0 });
	const follows = (position: Position): boolean => position.epoch === epoch && position.offset <= head;
	const after = [...positions, ...(own === undefined ? [] : [own])]
		.filter(follows)
		.sort((a, b) => b.offset - a.offset)[0];
	const accepted = await enter(
		after === undefined ? EVERYTHING : { from: "since", position: after, otherwise: EVERYTHING },
		found,
	);
	const { channel, recovered, position } = accepted.reply;
	if (recovered === true) {
		// Of a client's own position that leads nowhere, the client is told so.
		return { ...accepted, reply: { ...accepted.reply, recovered: own === undefined || follows(own) } };
	}
	const start = parsePosition(position)!;
	const continues = after?.epoch === start.epoch;
	const from = continues ? after : { epoch: start.epoch, offset: 0 };
	return {
		...accepted,
		reply: { ...accepted.reply, position: formatPosition(from), recovered: false },
		begin: () => {
			if (!continues) {
				connection.reply({ channel, event: "reset", position: formatPosition(from) });
			}
			if (start.offset > from.offset) {
				connection.reply({ channel, event: "gap", from: from.offset + 1, to: start.offset, reason: "lost" });
			}
			accepted.begin();
		},
	};
}
