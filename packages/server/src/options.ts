/**
 * What the server can be told, each with its default, who should change it and which way. Resolved once.
 */
import type { Broker } from "@tidewire/broker";
import type { ActionName, Contract } from "@tidewire/contract";
import { type ResolvedCompression, resolveCompression } from "@tidewire/websocket";
import type { ActionHandlers } from "./action-handler.ts";
import type { User } from "./auth/caller.ts";
import type { Credentials } from "./auth/credentials.ts";
import { type Permissions, refuseUnknownRules } from "./auth/permission.ts";
import { ServerError } from "./errors.ts";
import { isOrigin } from "./http/origin.ts";
import { CONSOLE, type Log } from "./observe/log.ts";
import { refuseUnknownNames } from "./option-names.ts";

export interface Limits {
	/** The longest client message, in bytes. Lower it to what clients send; above it a connection ends with 1009. Default 256 KiB. */
	readonly maxMessageBytes?: number;
	/** Open connections of this node. Set it below what memory and descriptors allow. Default: none. */
	readonly maxConnections?: number;
	/**
	 * WebSockets of one HTTP/2 session on our own port. Raise it where a proxy brings many clients by few sessions; browsers
	 * open a second session when the first is full. Default 100.
	 */
	readonly maxStreams?: number;
	/** Subscriptions of one connection. Default 1,000. */
	readonly maxSubscriptions?: number;
	/** Calls of one connection that are at work at once; more are refused. Default 100. */
	readonly maxCalls?: number;
	/** Calls with an id that are remembered of one session within the window; more are refused. Default 10,000. */
	readonly maxRememberedCalls?: number;
	/**
	 * Bytes of the replies to them, as JSON, that are remembered of all sessions within the window, and of one at most an
	 * eighth; more calls are refused. 256 bytes are counted for each call. Raise it with memory, for many calls with an
	 * id a second or long replies. Default 64 MiB.
	 */
	readonly maxRememberedBytes?: number;
	/** How long a client has to authenticate, in milliseconds, where `authenticate` wants credentials. Default 10,000. */
	readonly handshakeTimeoutMs?: number;
	/** Bytes of a channel's recent messages kept on the node for slow readers, before they read the history. Default 1 MiB. */
	readonly maxLogBytes?: number;
	/** The same of all channels together; the oldest go first. Default 64 MiB. */
	readonly maxLogsBytes?: number;
	/** Bytes of a presence member's data, as JSON. All who watch get it with each change. Default 1,024. */
	readonly maxPresenceBytes?: number;
	/** Members of one channel, unless the contract says otherwise; every node with one of them holds all. Default 100,000. */
	readonly maxPresenceMembers?: number;
	/** The longest range of one `history` reply, in messages. Default 1,000. */
	readonly maxHistoryPage?: number;
}

/** permessage-deflate (RFC 7692) on WebSocket connections whose client offers it. */
export interface Compression {
	/** Messages of fewer bytes are sent as they are. Default 64 bytes. */
	readonly threshold?: number;
	/** zlib's level, 1–9. Higher for long messages where bandwidth is dear; below 1 KiB there is no difference. Default 1. */
	readonly level?: number;
}

export interface HeartbeatLimits {
	/** A connection silent for so long is pinged. Raise it to save battery; proxies often cut at 60 s. Default 30,000. */
	readonly intervalMs?: number;
	/** How long a pinged peer may stay silent, beside the time its unread bytes take at 8 kB/s. Default 5,000. */
	readonly timeoutMs?: number;
}

/** Subscriptions that go on where the consumer left off, however long it was away (`durable`). */
export interface DurableOptions {
	/**
	 * How long a consumer is remembered that does not come back, in milliseconds; afterwards it begins anew. Longer than
	 * its channel's history helps only to tell it what it has lost. Default 30 days.
	 */
	readonly expiryMs?: number;
	/** Consumers of one user, on all devices and channels together; more are refused. Default 100. */
	readonly maxPerUser?: number;
	/**
	 * How often at most what a consumer has received is written to the broker, in milliseconds. A crash of the node costs
	 * redelivery of as much. Lower it where that is dear, raise it where writes are. Default 1,000.
	 */
	readonly intervalMs?: number;
}

/** What a path means to plain clients. */
export interface RouteOptions {
	/** What a plain client gets, such as `["order_{orderId}"]`. */
	readonly channels?: readonly string[];
	/** Where a plain client's messages without `action` are published, such as `"chat:{room}"`. Default: nowhere. */
	readonly publish?: string;
	/**
	 * `"plain"`: a plain client enters the presence of these channels, and is told of others in bare words,
	 * `{"type":"user_joined","user":"bob"}` and `user_left`. Default: no presence.
	 */
	readonly presence?: "plain";
}

interface CommonOptions<C extends Contract, U extends User> {
	/**
	 * Who is this? Returns the user, or null for nobody, who does not come back with these credentials. To throw says that
	 * it cannot be told at present: the client comes back later. Asked at the upgrade and at each `auth` message. Without
	 * it all clients are anonymous. Write it before `may` and `actions`: their `user` is inferred from it.
	 */
	readonly authenticate?: (credentials: Credentials) => U | null | undefined | Promise<U | null | undefined>;
	/** Who may do what, by channel pattern and action name. Where nothing is said, nobody may. */
	readonly may?: Permissions<C, U>;
	/** Paths for plain clients, such as `"/track?orderId={orderId}": { channels: ["order_{orderId}"] }`. */
	readonly routes?: { readonly [template: string]: RouteOptions };
	/** The path of the WebSocket endpoint. Default "/connect". */
	readonly path?: string;
	/** Where channels live. Default: in this process's memory. */
	readonly broker?: Broker;
	/** A bearer token whose holder may do everything: for backends, never for browsers. */
	readonly apiKey?: string;
	/** Anybody on this machine may do everything, without limits: for development, on loopback only. */
	readonly dev?: boolean;
	/**
	 * Origins of pages that may connect, such as "https://app.example.com"; the server's own always may. "*" lets all,
	 * but cookies count for pages of a listed origin or the server's own only.
	 */
	readonly allowedOrigins?: "*" | readonly string[];
	readonly limits?: Limits;
	readonly heartbeat?: HeartbeatLimits;
	readonly durable?: DurableOptions;
	/**
	 * permessage-deflate, for clients that offer it (browsers do). Turn it on where bandwidth is dearer than CPU time and
	 * channels have tens of subscribers: a message is compressed once for all of them. Default false: alone, a message of
	 * 190 bytes loses a fifth of them, for twice the CPU time where it has one subscriber.
	 */
	readonly compression?: boolean | Compression;
	/** For how long a repeated message is recognised, in milliseconds. Default 300,000. */
	readonly windowMs?: number;
	/**
	 * For how long a presence member stays whose connection is lost, or whose node is, in milliseconds. Raise it for clients
	 * that come back slowly; who is gone is seen for as long. The node's lease is renewed three times in it. Default 15,000.
	 */
	readonly presenceGraceMs?: number;
	/** Default: warnings and errors to the console (stderr), one line each. `SILENT` says nothing. */
	readonly log?: Log;
	/** This node's name, in `hello`. Default: random. */
	readonly node?: string;
	/** Milliseconds since 1970. For tests. */
	readonly nowMs?: () => number;
}

/** Handlers are required for each action that the contract declares. */
export type ServerOptions<C extends Contract = Contract, U extends User = User> = CommonOptions<C, U> &
	(string extends ActionName<C>
		? { readonly actions?: ActionHandlers<C, U> }
		: { readonly actions: ActionHandlers<C, U> });

/** A record, so that the type checker misses none. */
const OPTIONS: Readonly<Record<keyof CommonOptions<Contract, User> | "actions", true>> = {
	authenticate: true,
	may: true,
	actions: true,
	routes: true,
	path: true,
	broker: true,
	apiKey: true,
	dev: true,
	allowedOrigins: true,
	limits: true,
	heartbeat: true,
	durable: true,
	compression: true,
	windowMs: true,
	presenceGraceMs: true,
	log: true,
	node: true,
	nowMs: true,
};

/** The options' names, for those who take them together with options of their own. */
export const OPTION_NAMES: readonly string[] = Object.keys(OPTIONS);

const DEFAULT_LIMITS: Required<Limits> = {
	maxMessageBytes: 256 * 1024,
	maxConnections: Number.POSITIVE_INFINITY,
	maxStreams: 100,
	maxSubscriptions: 1_000,
	maxCalls: 100,
	maxRememberedCalls: 10_000,
	maxRememberedBytes: 64 * 1024 * 1024,
	handshakeTimeoutMs: 10_000,
	maxLogBytes: 1024 * 1024,
	maxLogsBytes: 64 * 1024 * 1024,
	maxPresenceBytes: 1_024,
	maxPresenceMembers: 100_000,
	maxHistoryPage: 1_000,
};

const DEFAULT_HEARTBEAT: Required<HeartbeatLimits> = { intervalMs: 30_000, timeoutMs: 5_000 };

const DEFAULT_DURABLE: Required<DurableOptions> = { expiryMs: 30 * 86_400_000, maxPerUser: 100, intervalMs: 1_000 };

type Resolved = "limits" | "heartbeat" | "durable" | "broker" | "compression";

export type ResolvedOptions = Omit<CommonOptions<Contract, User>, Resolved> & {
	readonly limits: Required<Limits>;
	readonly heartbeat: Required<HeartbeatLimits>;
	readonly durable: Required<DurableOptions>;
	/** Undefined: none. */
	readonly compression: ResolvedCompression | undefined;
	readonly actions: ActionHandlers<Contract, User>;
	readonly routes: { readonly [template: string]: RouteOptions };
	readonly path: string;
	readonly dev: boolean;
	readonly allowedOrigins: "*" | readonly string[];
	readonly windowMs: number;
	readonly presenceGraceMs: number;
	readonly log: Log;
	readonly nowMs: () => number;
};

/** Milliseconds since 1970 by a clock that does not jump when the machine's is set. */
function steadyNow(): number {
	return performance.timeOrigin + performance.now();
}

/**
 * Towards clients, what comes by channels is compressed with a context that they share (`hub/deflate-context.ts`); nothing
 * of it is held for each of them. Clients compress each message alone, so that nothing is held of theirs either.
 */
function compressionOf(given: boolean | Compression = false): ResolvedCompression | undefined {
	if (given === false) {
		return undefined;
	}
	if (given !== true) {
		refuseUnknownNames("compression", given, ["threshold", "level"] satisfies (keyof Compression)[], "option");
	}
	const shared = { historyBytes: 0, clientNoContextTakeover: true, clientMaxWindowBits: 15 };
	try {
		return resolveCompression({ ...(given === true ? undefined : given), ...shared });
	} catch (cause) {
		throw new ServerError("bad_option", `compression: ${cause instanceof Error ? cause.message : String(cause)}`, {
			cause,
		});
	}
}

/** Fills in the defaults. Throws `ServerError` (`bad_option`) for what cannot be meant. */
export function resolveOptions(options: ServerOptions, contract: Contract): ResolvedOptions {
	refuseUnknownNames("the configuration", options, OPTION_NAMES, "option");
	refuseUnknownNames("limits", options.limits ?? {}, Object.keys(DEFAULT_LIMITS), "limit");
	refuseUnknownNames("heartbeat", options.heartbeat ?? {}, Object.keys(DEFAULT_HEARTBEAT), "option");
	refuseUnknownNames("durable", options.durable ?? {}, Object.keys(DEFAULT_DURABLE), "option");
	const resolved: ResolvedOptions = {
		...options,
		compression: compressionOf(options.compression),
		actions: options.actions ?? {},
		routes: options.routes ?? {},
		path: options.path ?? "/connect",
		dev: options.dev ?? false,
		allowedOrigins: options.allowedOrigins ?? [],
		windowMs: options.windowMs ?? 300_000,
		presenceGraceMs: options.presenceGraceMs ?? 15_000,
		log: options.log ?? CONSOLE,
		nowMs: options.nowMs ?? steadyNow,
		limits: { ...DEFAULT_LIMITS, ...options.limits },
		heartbeat: { ...DEFAULT_HEARTBEAT, ...options.heartbeat },
		durable: { ...DEFAULT_DURABLE, ...options.durable },
	};
	const { windowMs, presenceGraceMs } = resolved;
	for (const group of [resolved.limits, resolved.heartbeat, resolved.durable, { windowMs, presenceGraceMs }]) {
		for (const [name, value] of Object.entries(group)) {
			if (typeof value !== "number" || !(value > 0)) {
				throw new ServerError("bad_option", `${name} is ${String(value)}, but must be a positive number`);
			}
		}
	}
	if (!resolved.path.startsWith("/")) {
		throw new ServerError("bad_option", `path is "${resolved.path}", but must begin with /`);
	}
	for (const origin of resolved.allowedOrigins === "*" ? [] : resolved.allowedOrigins) {
		if (!isOrigin(origin)) {
			throw new ServerError(
				"bad_option",
				`allowedOrigins has "${origin}", but an origin is written as browsers send it: "https://app.example.com"`,
			);
		}
	}
	if (resolved.apiKey !== undefined && !/^[\x21-\x7e]{16,}$/.test(resolved.apiKey)) {
		throw new ServerError("bad_option", "apiKey must be 16 or more visible ASCII characters without spaces");
	}
	const declared = Object.keys(contract.actions);
	for (const name of declared) {
		if (typeof resolved.actions[name] !== "function") {
			throw new ServerError("bad_option", `action "${name}" is declared by the contract but has no handler in actions`);
		}
	}
	if (declared.length > 0) {
		refuseUnknownNames("actions", resolved.actions, declared, "action of the contract");
	}
	refuseUnknownRules(options.may ?? {}, Object.keys(contract.channels), Object.keys(resolved.actions));
	return resolved;
}
