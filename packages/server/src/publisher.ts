/** Publishing from the application's own code, typed by the contract. */
import type { Broker, Retention } from "@tidewire/broker";
import type { ChannelInput, ChannelName, ChannelRoute, ChannelRouter, Contract } from "@tidewire/contract";
import { channelNameProblem, formatPosition, isReservedChannel, parsePosition } from "@tidewire/protocol";
import { checkData, jsonText } from "./channel-data.ts";
import { ServerError } from "./errors.ts";

export interface PublishExtras {
	/** The event's name. */
	readonly name?: string;
	/** What the message is about; a conflating channel keeps only the last of each key for slow readers. */
	readonly key?: string;
	/** Milliseconds after which it is no longer worth delivering. */
	readonly ttlMs?: number;
	/** The session that is not to receive it. */
	readonly exclude?: string;
	/** Publishes with the same key within five minutes make one message. */
	readonly idempotencyKey?: string;
	/** Publish only while the channel is at this position. */
	readonly ifPosition?: string;
}

export interface ServerChannel<C extends Contract, Name extends string> {
	readonly name: Name;
	/**
	 * Resolves with the message's position, such as "k3f9:42", when the broker has accepted it. A `Uint8Array` is
	 * published as it is, anything else as JSON. Rejects with `ServerError`: `invalid_data`, `conflict`.
	 */
	publish(data: ChannelInput<C, Name> | Uint8Array, extras?: PublishExtras): Promise<string>;
}

export interface Publisher<C extends Contract> {
	/** A channel to publish to. Throws `ServerError` (`invalid_data`) for a name that the contract does not have. */
	channel<Name extends ChannelName<C>>(name: Name): ServerChannel<C, Name>;
}

/** How much the broker is to keep of a channel. */
export function retentionOf({ declaration }: ChannelRoute): Retention {
	return declaration.history === false ? { messages: 0, bytes: 0, ageMs: 0 } : declaration.history;
}

const IDEMPOTENCY_MS = 300_000;

export function publisher(broker: Broker, channels: ChannelRouter): Publisher<Contract> {
	return {
		channel(name) {
			const problem = channelNameProblem(name) ?? (isReservedChannel(name) ? "begins with @ or $" : undefined);
			const route = problem === undefined ? channels.match(name) : undefined;
			if (route === undefined) {
				throw new ServerError("invalid_data", `channel "${name}" ${problem ?? "matches no pattern of the contract"}`);
			}
			return { name, publish: (data, extras = {}) => publish(broker, name, route, data, extras) };
		},
	};
}

async function publish(
	broker: Broker,
	name: string,
	route: ChannelRoute,
	data: unknown,
	{ idempotencyKey, ifPosition, ...extras }: PublishExtras,
): Promise<string> {
	const checked = await checkData(
		route,
		data instanceof Uint8Array
			? { encoding: "binary", bytes: data, value: data }
			: { encoding: "json", bytes: Buffer.from(jsonText(data)), value: data },
	);
	if (!checked.ok) {
		throw new ServerError("invalid_data", `channel "${name}": ${checked.message}`, { issues: checked.issues });
	}
	const position = ifPosition === undefined ? undefined : parsePosition(ifPosition);
	const result = await broker.publish(
		name,
		{ ...extras, data: checked.bytes, encoding: checked.encoding },
		{
			retention: retentionOf(route),
			...(idempotencyKey === undefined ? {} : { idempotencyKey: `a:${idempotencyKey}`, idempotencyMs: IDEMPOTENCY_MS }),
			...(position === undefined ? {} : { ifPosition: position }),
		},
	);
	if (result.status === "conflict") {
		throw new ServerError(
			"conflict",
			`channel "${name}" is at ${formatPosition(result.position)}, not at ${ifPosition}`,
		);
	}
	if (result.status === "scheduled") {
		throw new Error(`channel "${name}": the broker scheduled a publish that has no time`);
	}
	return formatPosition(result.position);
}
