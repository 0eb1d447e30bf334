/**
 * `publish`: one message into a channel. The reply means that the broker has accepted it. Publishes of one connection
 * are handed to the broker in the order in which they came.
 */

import { BrokerError, type Publication, type PublishOptions } from "@tidewire/broker";
import { type BareMessage, formatPosition, type Payload, type PublishMessage, parsePosition } from "@tidewire/protocol";
import { type Access, access } from "../auth/access.ts";
import { type CheckedData, checkData } from "../channel-data.ts";
import type { Connection } from "../connection/connection.ts";
import type { TidewireNode } from "../node.ts";
import { retentionOf } from "../publisher.ts";
import { Refusal } from "../refusal.ts";

type Publish = PublishMessage<Payload>;

/** Fields of the protocol that a later version performs. Ignoring them would do something else than was asked. */
const NOT_YET = ["patch", "at", "after", "report"] as const;

export function publish(node: TidewireNode, connection: Connection, message: Publish): Promise<void> | undefined {
	for (const field of NOT_YET) {
		if (message[field] !== undefined) {
			throw new Refusal("bad_request", `this server does not know the field "${field}" of publish yet`);
		}
	}
	const { data } = message;
	if (data === undefined) {
		throw new Refusal("bad_request", "publish needs data");
	}
	if (message.echo === false && message.exclude !== undefined) {
		throw new Refusal("bad_request", "echo: false and exclude cannot be used together");
	}
	const found = access(node, connection.caller, "publish", message.channel);
	// Synchronous as long as rule and schema are, so that a burst of publishes becomes one write to each subscriber.
	if (found instanceof Promise) {
		return found.then((later) => check(node, connection, message, later, data));
	}
	return check(node, connection, message, found, data);
}

/** Plain clients: a message without `action` goes to the channel that the route names. */
export function bare(
	node: TidewireNode,
	connection: Connection,
	message: BareMessage<Payload>,
): Promise<void> | undefined {
	const channel = connection.entrance.publish;
	if (channel === undefined) {
		throw new Refusal("bad_request", 'a message needs an "action": this path has no channel to publish to');
	}
	return publish(node, connection, { type: "publish", channel, data: message.data });
}

function check(
	node: TidewireNode,
	connection: Connection,
	message: Publish,
	to: Access,
	data: Payload,
): Promise<void> | undefined {
	const checked = checkData(to.route, data);
	if (checked instanceof Promise) {
		return checked.then((result) => append(node, connection, message, to, result));
	}
	append(node, connection, message, to, checked);
	return undefined;
}

function append(node: TidewireNode, connection: Connection, message: Publish, to: Access, data: CheckedData): void {
	if (!data.ok) {
		throw new Refusal(data.code, data.message, data.issues.length > 0 ? { issues: data.issues } : {});
	}
	const { user } = connection.caller;
	const exclude = message.echo === false ? connection.session : message.exclude;
	const publication: Publication = {
		data: data.bytes,
		encoding: data.encoding,
		...(message.name === undefined ? {} : { name: message.name }),
		...(message.key === undefined ? {} : { key: message.key }),
		...(user === null ? {} : { from: user.id }),
		...(exclude === undefined ? {} : { exclude }),
		...(message.ttl === undefined ? {} : { ttlMs: message.ttl * 1_000 }),
	};
	void accept(node, connection, message, to.name, publication, optionsOf(node, connection, message, to));
}

function optionsOf(node: TidewireNode, connection: Connection, message: Publish, to: Access): PublishOptions {
	const retention = retentionOf(to.route);
	const scope = message.id === undefined ? undefined : connection.idScope;
	const ifPosition = message.if === undefined ? undefined : parsePosition(message.if);
	return {
		retention,
		...(scope === undefined
			? {}
			: { idempotencyKey: JSON.stringify([scope, message.id]), idempotencyMs: node.options.windowMs }),
		...(ifPosition === undefined ? {} : { ifPosition }),
	};
}

/** Never rejects. */
async function accept(
	node: TidewireNode,
	connection: Connection,
	{ id }: Publish,
	channel: string,
	publication: Publication,
	options: PublishOptions,
): Promise<void> {
	try {
		const result = await node.broker.publish(channel, publication, options);
		if (result.status === "scheduled") {
			if (id !== undefined) {
				connection.reply({ ack: id });
			}
			return;
		}
		const position = formatPosition(result.position);
		if (result.status === "conflict") {
			throw new Refusal("conflict", `the channel is at ${position}`, { position });
		}
		if (id !== undefined) {
			connection.reply({ ack: id, position });
		}
	} catch (cause) {
		connection.fail(id, brokerRefusal(cause));
	}
}

/** What a peer is told of a broker that refused. */
export function brokerRefusal(cause: unknown): unknown {
	if (!(cause instanceof BrokerError)) {
		return cause;
	}
	return cause.code === "invalid"
		? new Refusal("bad_request", cause.message)
		: new Refusal("unavailable", "the broker is not available; whether this was done is not known");
}
