/**
 * `publish` in a state channel: a whole value, a patch (RFC 7396) or one member, under compare-and-set with `if`. What
 * it makes of the value is `state/`'s; here are the fields that have no meaning there, and what the publisher is told.
 */
import { formatPosition, type Payload, type PublishMessage, parsePosition } from "@tidewire/protocol";
import { type Access, access } from "../auth/access.ts";
import type { Connection } from "../connection/connection.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import type { Change } from "../state/change.ts";
import { decodeJson, encodeJson } from "../state/document.ts";
import type { Changed, StateChange } from "../state/states.ts";
import { idScope } from "./id-scope.ts";
import { readAfter, tooEarly } from "./publish.ts";

type Publish = PublishMessage<Payload>;
type Accepted = Extract<Changed, { readonly status: "accepted" }>;

/** What the message asks for. Throws `Refusal` where that makes no sense in a state channel. */
export function readStateChange(
	node: TidewireNode,
	connection: Connection,
	message: Publish,
	{ route }: Access,
): StateChange {
	for (const field of ["exclude", "at"] as const) {
		if (message[field] !== undefined) {
			throw new Refusal("bad_request", `${field} has no meaning in a state channel: its value is everybody's, and now`);
		}
	}
	if (message.echo === false) {
		throw new Refusal("bad_request", "echo: false has no meaning in a state channel: its value is everybody's");
	}
	const { user } = connection.caller;
	const scope = idScope(node, connection, message.id);
	return {
		change: readChange(message, route.declaration.maxMessageBytes),
		attributes: {
			...(message.name === undefined ? {} : { name: message.name }),
			...(message.key === undefined ? {} : { key: message.key }),
			...(user === null ? {} : { from: user.id }),
		},
		ifPosition: message.if === undefined ? undefined : parsePosition(message.if),
		idempotencyKey: scope === undefined ? undefined : JSON.stringify([scope, message.id]),
		idempotencyMs: node.options.windowMs,
		afterKey: readAfter(connection, message),
	};
}

function readChange({ data, patch, key, ttl }: Publish, maxBytes = Number.POSITIVE_INFINITY): Change {
	const member = { ...(key === undefined ? {} : { key }), ...(ttl === undefined ? {} : { ttlMs: ttl * 1_000 }) };
	if (data !== undefined && data.encoding !== "json") {
		throw new Refusal("invalid_data", "a state channel's value is JSON, not binary data");
	}
	const { length } = data?.bytes ?? (maxBytes < Number.POSITIVE_INFINITY ? encodeJson(patch) : "");
	if (length > maxBytes) {
		throw new Refusal("too_large", `the change has ${length} bytes, at most ${maxBytes} in this channel`);
	}
	return data === undefined
		? { kind: "patch", patch, ...member }
		: { kind: "value", value: data.value, text: data.bytes, ...member };
}

/** Whether the caller may be told the channel's value: a publisher need not be a reader. Never rejects. */
export function mayRead(node: TidewireNode, connection: Connection, channel: string): boolean | Promise<boolean> {
	try {
		const found = access(node, connection.caller, "subscribe", channel);
		return found instanceof Promise
			? found.then(
					() => true,
					() => false,
				)
			: true;
	} catch {
		return false;
	}
}

/** Carries it out. Rejects with `Refusal`, or with the broker's error. */
export async function changeState(
	node: TidewireNode,
	connection: Connection,
	message: Publish,
	to: Access,
	asked: StateChange,
	{ report, readable }: { readonly report: string | undefined; readonly readable: boolean },
): Promise<Accepted> {
	const request = report === undefined ? asked : { ...asked, attributes: { ...asked.attributes, report } };
	const result = await node.states.publish(to.name, to.route, request);
	switch (result.status) {
		case "accepted":
			return result;
		case "refused":
			throw new Refusal(result.code, result.message, result.issues.length > 0 ? { issues: result.issues } : {});
		case "early":
			throw tooEarly();
		case "conflict": {
			const position = formatPosition(result.position);
			// Not while earlier answers wait to be written: a client that asks and does not read must not have this node
			// keep a value for each question.
			const data = readable && !connection.congested ? result.text && decodeJson(result.text) : undefined;
			const present = data === undefined ? { position } : { position, data };
			throw new Refusal("conflict", `the channel is at ${position}, not at ${message.if}`, present);
		}
		default:
			return result satisfies never;
	}
}
