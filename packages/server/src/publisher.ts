/**
 * Publishing from the application's own code, typed by the contract: to a channel, to a user wherever they are, or to all
 * channels of a pattern. No permission is asked.
 */
import type { Broker, Publication, PublishOptions, PublishResult } from "@tidewire/broker";
import {
	type ChannelData,
	type ChannelInput,
	type ChannelPattern,
	type ChannelRoute,
	type ChannelRouter,
	type Contract,
	compilePattern,
	type IsState,
	isOwnPattern,
	NO_PARAMETERS,
	type OwnInput,
	type OwnPattern,
	type Pattern,
	type SharedChannelName,
} from "@tidewire/contract";
import { channelNameProblem, formatPosition, isReservedChannel, parsePosition } from "@tidewire/protocol";
import { broadcast } from "./broadcast.ts";
import { type CheckedData, checkData, jsonText } from "./channel-data.ts";
import { ServerError } from "./errors.ts";
import type { FanOutReport, FanOutReports } from "./fan-out-report.ts";
import { refuseUnknownNames } from "./option-names.ts";
import { brokerNameOf, type OwnChannels, type OwnName, wireNameOf } from "./own-channels.ts";
import type { Presence } from "./presence/presence.ts";
import { listPresence, type PresenceListing, type PresenceListOptions } from "./presence-listing.ts";
import { retentionOf } from "./retention.ts";
import { timeProblem } from "./schedule-quota.ts";
import type { States } from "./state/states.ts";
import { appendChange, type StateDestination, stateDestination } from "./state-destination.ts";

/** What a message may carry beside its data, and when it counts as published before. */
export interface BroadcastExtras {
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
}

export interface PublishExtras extends BroadcastExtras {
	/** Publish only while the channel is at this position. */
	readonly ifPosition?: string;
}

/** What became of a message, by the subscribers that its channel had on all nodes. */
export interface PublishReport extends FanOutReport {
	readonly position: string;
}

/** Somewhere to publish to. A `Uint8Array` is published as it is (not where a schema wants JSON), anything else as JSON. */
export interface Destination<Data> {
	/** As clients know it. */
	readonly name: string;
	/**
	 * Resolves with the message's position, such as "k3f9:42", when the broker has accepted it. Rejects with
	 * `ServerError`: `invalid_data`, `conflict`.
	 */
	publish(data: Data, extras?: PublishExtras): Promise<string>;
	/**
	 * Publishes at a time, given as a date or in milliseconds since 1970, at most 366 days ahead; one that has passed means
	 * now. Resolves when the broker has accepted it; `ttlMs` counts from the time. Rejects with `ServerError` (`bad_option`,
	 * `invalid_data`).
	 */
	publishAt(at: Date | number, data: Data, extras?: BroadcastExtras): Promise<void>;
	/**
	 * Publishes, and resolves with what became of it when every node has written it, or after a second. Rejects like
	 * `publish`, and with `ServerError` (`limit_reached`) where too many reports are waited for.
	 */
	publishAndReport(data: Data, extras?: PublishExtras): Promise<PublishReport>;
	/** Who is there, on all nodes: a page of the members, and how many there are. Rejects with the broker's error. */
	presence(options?: PresenceListOptions): Promise<PresenceListing>;
}

/** A channel to publish to; of a state channel the value can be read and changed, too. */
export type ServerChannel<C extends Contract, Name extends string> = Destination<ChannelInput<C, Name>> & {
	readonly name: Name;
} & (IsState<C, Name> extends true ? StateDestination<ChannelInput<C, Name>, ChannelData<C, Name>> : unknown);

/** A user's own channel, `@user`: all connections that subscribed to it as this user, on all nodes. */
export interface ServerUser<C extends Contract> extends Destination<OwnInput<C, "@user">> {
	/** One device of the user's, `@device:<id>`. Throws `ServerError` (`invalid_data`) for an id that no name can have. */
	device(id: string): Destination<OwnInput<C, "@device:{device}">>;
}

export interface Publisher<C extends Contract> {
	/** A channel to publish to. Throws `ServerError` (`invalid_data`) for a name that the contract does not have. */
	channel<Name extends SharedChannelName<C>>(name: Name): ServerChannel<C, Name>;
	/** A user to publish to. Throws `ServerError` (`invalid_data`) for an empty id. */
	user(id: string): ServerUser<C>;
	/**
	 * Publishes to every channel of a pattern of the contract that has subscribers, or a log, on any node; where the
	 * contract declares no channels, to those of any pattern, and of "*". Resolves with how many these are. Rejects with
	 * `ServerError` (`invalid_data`), or the broker's error when some channels have the message and others have not: a
	 * repeat with the same `idempotencyKey` does the rest.
	 */
	broadcast<P extends Exclude<ChannelPattern<C>, OwnPattern>>(
		pattern: P,
		data: ChannelInput<C, P>,
		extras?: BroadcastExtras,
	): Promise<number>;
}

/** What publishing needs of the node. */
export interface PublisherParts {
	readonly broker: Broker;
	readonly contract: Contract;
	readonly channels: ChannelRouter;
	readonly ownChannels: OwnChannels;
	readonly reports: FanOutReports;
	readonly presence: Presence;
	readonly states: States;
	readonly nowMs: () => number;
}

const IDEMPOTENCY_MS = 300_000;
const EXTRAS = ["name", "key", "ttlMs", "exclude", "idempotencyKey"] satisfies (keyof BroadcastExtras)[];
const MORE_EXTRAS = [...EXTRAS, "ifPosition"] satisfies (keyof PublishExtras)[];

export function publisher(parts: PublisherParts): Publisher<Contract> {
	const { channels, ownChannels, broker } = parts;
	const own = (user: string, name: OwnName): Destination<unknown> => {
		const route = {
			pattern: name.pattern,
			declaration: ownChannels.declarationOf(name.pattern),
			params: NO_PARAMETERS,
		};
		return destination(parts, wireNameOf(name), { name: brokerNameOf(user, name), route });
	};
	return {
		channel(name) {
			const problem = channelNameProblem(name) ?? (isReservedChannel(name) ? "begins with @ or $" : undefined);
			const route = problem === undefined ? channels.match(name) : undefined;
			if (route === undefined) {
				throw new ServerError("invalid_data", `channel "${name}" ${problem ?? "matches no pattern of the contract"}`);
			}
			return { ...destination(parts, name, { name, route }), name };
		},
		user(id) {
			if (typeof id !== "string" || id === "") {
				throw new ServerError("invalid_data", "a user's id is a string that is not empty");
			}
			return {
				...own(id, { pattern: "@user" }),
				device(device) {
					const name: OwnName = { pattern: "@device:{device}", device };
					const problem = device === "" ? "is empty" : channelNameProblem(wireNameOf(name));
					if (problem !== undefined) {
						throw new ServerError("invalid_data", `device "${device}" of a user: the name of its channel ${problem}`);
					}
					return own(id, name);
				},
			};
		},
		async broadcast(source, data, extras = {}) {
			refuseUnknownNames("the extras of broadcast", extras, EXTRAS, "option");
			const { pattern, route } = meantBy(parts, source);
			if (route.declaration.state !== undefined) {
				throw new ServerError("invalid_data", `"${source}" has state channels: each has a value of its own to change`);
			}
			const checked = await check(`pattern "${source}"`, route, data);
			return broadcast(broker, pattern, publicationOf(checked, extras), {
				retention: retentionOf(route),
				...idempotency("b", extras),
			});
		},
	};
}

/** The channels that a broadcast means (undefined: all), and what the contract says of them. */
function meantBy(
	{ contract, channels }: PublisherParts,
	source: string,
): { readonly pattern: Pattern | undefined; readonly route: ChannelRoute } {
	if (channels.open) {
		const route = channels.match(source);
		if (route !== undefined && !isReservedChannel(source)) {
			return { pattern: source === "*" ? undefined : compilePattern(source), route };
		}
	}
	const declaration = Object.hasOwn(contract.channels, source) ? contract.channels[source] : undefined;
	if (declaration === undefined || isOwnPattern(source)) {
		throw new ServerError("invalid_data", `"${source}" is no channel pattern of the contract that can be broadcast to`);
	}
	return { pattern: compilePattern(source), route: { pattern: source, declaration, params: NO_PARAMETERS } };
}

/** A channel of the broker, and what the contract says of it. */
export interface Target {
	readonly name: string;
	readonly route: ChannelRoute;
}

type Accepted = Exclude<PublishResult, { readonly status: "conflict" }>;

/** `wireName`: what the channel is called towards people. */
function destination(parts: PublisherParts, wireName: string, target: Target): Destination<unknown> {
	const channel = `channel "${wireName}"`;
	const isState = target.route.declaration.state !== undefined;
	return {
		...(isState ? stateDestination(parts.states, channel, target) : {}),
		name: wireName,
		async publish(data, extras = {}) {
			refuseUnknownNames("the extras of publish", extras, MORE_EXTRAS, "option");
			return positionOf(channel, await append(parts, channel, target, data, extras));
		},
		async publishAt(at, data, extras = {}) {
			refuseUnknownNames("the extras of publishAt", extras, EXTRAS, "option");
			if (isState) {
				throw new ServerError(
					"bad_option",
					`${channel} is a state channel: what it will be worth then is not known now`,
				);
			}
			const atMs = Number(at);
			const problem = timeProblem(atMs, parts.nowMs());
			if (problem !== undefined) {
				throw new ServerError("bad_option", `at is ${String(at)}, which ${problem}`);
			}
			await append(parts, channel, target, data, extras, { atMs });
		},
		presence: (options) => listPresence(parts.presence, { name: target.name, wireName }, options),
		async publishAndReport(data, extras = {}) {
			refuseUnknownNames("the extras of publishAndReport", extras, MORE_EXTRAS, "option");
			// The application has the node's bound, and no share of its own within it.
			const question = await parts.reports.ask({});
			if (question === undefined) {
				throw new ServerError("limit_reached", "as many reports are waited for as this node remembers");
			}
			try {
				const result = await append(parts, channel, target, data, extras, { report: question.report });
				const position = positionOf(channel, result);
				return { position, ...(await question.conclude(result)) };
			} finally {
				question.drop();
			}
		},
	};
}

async function append(
	{ broker, states }: PublisherParts,
	channel: string,
	target: Target,
	data: unknown,
	extras: PublishExtras,
	{ atMs, report }: { readonly atMs?: number; readonly report?: string } = {},
): Promise<Accepted> {
	const { name, route } = target;
	if (route.declaration.state !== undefined) {
		return appendChange(states, channel, target, { data }, extras, report);
	}
	const checked = await check(channel, route, data);
	const { ifPosition } = extras;
	const position = ifPosition === undefined ? undefined : parsePosition(ifPosition);
	const publication = publicationOf(checked, extras);
	const result = await broker.publish(name, report === undefined ? publication : { ...publication, report }, {
		retention: retentionOf(route),
		...idempotency("a", extras),
		...(position === undefined ? {} : { ifPosition: position }),
		...(atMs === undefined ? {} : { atMs }),
	});
	if (result.status === "conflict") {
		const present = formatPosition(result.position);
		throw new ServerError("conflict", `${channel} is at ${present}, not at ${ifPosition}`, { position: present });
	}
	return result;
}

type GoodData = Extract<CheckedData, { readonly ok: true }>;

async function check(what: string, route: ChannelRoute, data: unknown): Promise<GoodData> {
	const checked = await checkData(
		route,
		data instanceof Uint8Array
			? { encoding: "binary", bytes: data, value: data }
			: { encoding: "json", bytes: Buffer.from(jsonText(data)), value: data },
	);
	if (!checked.ok) {
		throw new ServerError("invalid_data", `${what}: ${checked.message}`, { issues: checked.issues });
	}
	return checked;
}

function publicationOf({ bytes, encoding }: GoodData, extras: BroadcastExtras): Publication {
	const { name, key, ttlMs, exclude } = extras;
	return {
		data: bytes,
		encoding,
		...(name === undefined ? {} : { name }),
		...(key === undefined ? {} : { key }),
		...(ttlMs === undefined ? {} : { ttlMs }),
		...(exclude === undefined ? {} : { exclude }),
	};
}

/** `kind` keeps the application's keys apart from those of clients, and a broadcast's from a publish's. */
function idempotency(kind: "a" | "b", { idempotencyKey }: BroadcastExtras): Partial<PublishOptions> {
	return idempotencyKey === undefined
		? {}
		: { idempotencyKey: `${kind}:${idempotencyKey}`, idempotencyMs: IDEMPOTENCY_MS };
}

function positionOf(channel: string, result: Accepted): string {
	if (result.status === "scheduled") {
		throw new Error(`${channel}: the broker scheduled a publish that has no time`);
	}
	return formatPosition(result.position);
}
