/**
 * `subscribe`: from now, from a position, or from further back. The reply comes before any message of the channel, and
 * says where delivery starts.
 */
import {
	type Failure,
	formatPosition,
	parsePosition,
	type Subscribed,
	type SubscribeMessage,
	type SubscribeTarget,
} from "@tidewire/protocol";
import { type Access, access } from "../auth/access.ts";
import type { Connection } from "../connection/connection.ts";
import type { Start } from "../hub/start.ts";
import type { Subscription } from "../hub/subscription.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import { withPresence } from "./presence.ts";
import { brokerRefusal } from "./publish.ts";
import { enterDurably } from "./subscribe-durable.ts";

export async function subscribe(node: TidewireNode, connection: Connection, message: SubscribeMessage): Promise<void> {
	const { id, targets, many } = message;
	const rows = await Promise.all(targets.map((target) => row(node, connection, message, target)));
	if (connection.closed) {
		return;
	}
	const [only] = rows;
	if (!many && only !== undefined && "refusal" in only) {
		throw only.refusal;
	}
	if (id !== undefined) {
		const channels = rows.map((each) => ("refusal" in each ? failed(each) : each.reply));
		connection.reply(many ? { ack: id, channels } : { ack: id, ...channels[0] });
	}
	for (const each of rows) {
		if ("begin" in each) {
			each.begin();
		}
	}
}

interface Refused {
	readonly channel: string;
	readonly refusal: Refusal;
}

export interface Accepted {
	readonly reply: Subscribed;
	/** Absent where the channel is held already. */
	readonly subscription?: Subscription;
	/** Lets delivery begin: to be called when the reply is on its way. */
	readonly begin: () => void;
}

function failed({ channel, refusal }: Refused): { readonly channel: string; readonly error: Failure["error"] } {
	return { channel, error: refusal.wire };
}

/** One channel of the request; others go on where it is refused. */
async function row(
	node: TidewireNode,
	connection: Connection,
	message: SubscribeMessage,
	target: SubscribeTarget,
): Promise<Accepted | Refused> {
	const { channel } = target;
	try {
		if (message.presence !== undefined) {
			return await withPresence(node, connection, channel, message.presence, () =>
				enter(node, connection, message, target),
			);
		}
		return await enter(node, connection, message, target);
	} catch (error) {
		const cause = brokerRefusal(error);
		if (cause instanceof Refusal) {
			return { channel, refusal: cause };
		}
		node.options.log.error("a channel could not be subscribed to", { cause, channel });
		return { channel, refusal: new Refusal("internal", "the server could not perform this") };
	}
}

async function enter(
	node: TidewireNode,
	connection: Connection,
	message: SubscribeMessage,
	target: SubscribeTarget,
): Promise<Accepted> {
	if (message.durable !== undefined) {
		const first = rewindStart(node, message.rewind);
		return await enterDurably(node, connection, message, target, first, (start, found) =>
			join(node, connection, target, start, "catch-up", found),
		);
	}
	return await join(node, connection, target, startOf(node, message, target), message.policy);
}

/**
 * Subscribes a connection to a channel that it may subscribe to; `found`: which that is, where it is known already.
 * Rejects with `Refusal`, or the broker's error.
 */
export async function join(
	node: TidewireNode,
	connection: Connection,
	{ channel }: Pick<SubscribeTarget, "channel">,
	start: Start,
	policy?: SubscribeMessage["policy"],
	found?: Access,
): Promise<Accepted> {
	const { route, name } = found ?? (await access(node, connection.caller, "subscribe", channel));
	const { slow, slowChoices, state } = route.declaration;
	if (policy !== undefined && !slowChoices.includes(policy)) {
		throw new Refusal("forbidden", `policy "${policy}" in channel "${channel}": allowed is ${slowChoices.join(", ")}`);
	}
	const present = node.hub.find(connection, channel);
	if (present !== undefined) {
		const { epoch } = present.channel;
		const position = formatPosition({ epoch, offset: present.cursor });
		return { reply: { channel, position, already: true }, begin: () => {} };
	}
	const { maxSubscriptions } = node.options.limits;
	if (connection.subscriptions.length + connection.joining >= maxSubscriptions) {
		throw new Refusal("limit_reached", `a connection may hold ${maxSubscriptions} subscriptions`);
	}
	connection.joining++;
	try {
		const source = state === undefined ? undefined : node.states.source(name, route);
		const joined = await node.hub.join(connection, name, start, policy ?? slow, channel, source);
		const { subscription, recovered } = joined;
		if (connection.closed) {
			node.hub.leave(subscription);
		}
		const position = formatPosition(joined.position);
		return {
			reply: { channel, position, ...(recovered === undefined ? {} : { recovered }) },
			subscription,
			begin: () => node.hub.begin(subscription),
		};
	} finally {
		connection.joining--;
	}
}

function startOf(node: TidewireNode, { rewind }: SubscribeMessage, { since }: SubscribeTarget): Start {
	const otherwise = rewindStart(node, rewind);
	if (since === null) {
		return otherwise;
	}
	const position = parsePosition(since);
	if (position === undefined) {
		throw new Refusal("bad_request", `since is "${since}", but must be "<epoch>:<offset>"`);
	}
	return { from: "since", position, otherwise };
}

function rewindStart(node: TidewireNode, rewind: SubscribeMessage["rewind"]): Start {
	if (rewind === undefined) {
		return { from: "now" };
	}
	return "messages" in rewind
		? { from: "rewind", messages: rewind.messages }
		: { from: "time", sinceMs: node.options.nowMs() - rewind.seconds * 1_000 };
}
