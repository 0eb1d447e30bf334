/**
 * `presence`: who is in a channel, a page at a time, and what this session says of itself there. Also the part of
 * `subscribe` that enters a channel's presence and watches it.
 */
import { validate } from "@tidewire/contract";
import type { PresenceMessage, SubscribeMessage } from "@tidewire/protocol";
import { type Access, access } from "../auth/access.ts";
import { jsonText } from "../channel-data.ts";
import type { Connection } from "../connection/connection.ts";
import type { TidewireNode } from "../node.ts";
import { toWire } from "../presence/audience.ts";
import type { Listing } from "../presence/presence.ts";
import type { PresenceChannel } from "../presence/room.ts";
import { Refusal } from "../refusal.ts";
import { brokerRefusal } from "./publish.ts";
import type { Accepted } from "./subscribe.ts";

export async function presence(node: TidewireNode, connection: Connection, message: PresenceMessage): Promise<void> {
	const { id, channel, data, after, limit } = message;
	const found = await access(node, connection.caller, "presence", channel);
	if (data !== undefined) {
		const text = await checkedData(node, found, data);
		if (!node.presence.update(connection, channel, text)) {
			throw new Refusal("conflict", `this session has no member in the presence of channel "${channel}"`);
		}
	}
	if (id === undefined) {
		return;
	}
	// Like history: who asks for many and reads none gets one.
	while (connection.congested) {
		await connection.writable();
	}
	const reply = ({ members, more, count, users }: Listing): void => {
		connection.reply({ ack: id, members: members.map(toWire), count, users, ...(more ? { more } : {}) });
		connection.write();
	};
	await node.presence
		.list(presenceChannel(node, found, channel), { after, limit }, reply, connection)
		.catch((cause: unknown) => Promise.reject(brokerRefusal(cause)));
}

/**
 * Subscribes, and takes part in the channel's presence: the member is in before the reply, and is told of others after it. A
 * refusal of one is a refusal of both.
 */
export async function withPresence(
	node: TidewireNode,
	connection: Connection,
	channel: string,
	{ enter, watch, data }: NonNullable<SubscribeMessage["presence"]>,
	subscribe: () => Promise<Accepted>,
): Promise<Accepted> {
	const found = await access(node, connection.caller, "presence", channel);
	const text = data === undefined ? undefined : await checkedData(node, found, data);
	const user = connection.caller.user?.id ?? null;
	const accepted = await subscribe();
	try {
		const at = presenceChannel(node, found, channel);
		const beginToWatch = await node.presence.join(connection, at, { enter, watch, user, data: text });
		return {
			...accepted,
			begin: () => {
				accepted.begin();
				beginToWatch();
			},
		};
	} catch (cause) {
		if (accepted.subscription !== undefined) {
			node.hub.leave(accepted.subscription);
		}
		throw cause;
	}
}

function presenceChannel(node: TidewireNode, { name, route }: Access, wireName: string): PresenceChannel {
	const { presence } = route.declaration;
	return { name, wireName, maxMembers: presence?.maxMembers ?? node.options.limits.maxPresenceMembers };
}

async function checkedData(node: TidewireNode, { route }: Access, data: unknown): Promise<string> {
	const schema = route.declaration.presence?.data;
	const checked = schema === undefined ? ({ ok: true, value: data } as const) : await validate(schema, data);
	if (!checked.ok) {
		const { issues } = checked;
		throw new Refusal("invalid_data", "the data does not fit the channel's schema of presence", { issues });
	}
	let text: string;
	try {
		text = jsonText(checked.value);
	} catch {
		// Nested too deep, or of a type that only MessagePack has.
		throw new Refusal("invalid_data", "the data of a presence member must be a JSON value");
	}
	const { maxPresenceBytes } = node.options.limits;
	if (Buffer.byteLength(text) > maxPresenceBytes) {
		throw new Refusal("too_large", `the data of a presence member has at most ${maxPresenceBytes} bytes of JSON`);
	}
	return text;
}
