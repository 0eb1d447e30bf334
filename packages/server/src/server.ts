/**
 * The server that applications create: it puts the parts together, attaches to HTTP servers or listens by itself, and
 * ends everything in order.
 */
import { randomBytes } from "node:crypto";
import { createMemoryBroker } from "@tidewire/broker";
import {
	type ChannelInput,
	type ChannelPattern,
	type Contract,
	compileChannels,
	contract as declare,
	type OwnPattern,
	type SharedChannelName,
} from "@tidewire/contract";
import { resolveLimits } from "@tidewire/websocket";
import type { User } from "./auth/caller.ts";
import { BrokerEar } from "./broker-ear.ts";
import { perform } from "./commands/command.ts";
import type { Connection } from "./connection/connection.ts";
import { Heartbeat } from "./connection/heartbeat.ts";
import { Performed } from "./connection/performed.ts";
import { Turn } from "./connection/turn.ts";
import { DurableConsumers } from "./durable/consumers.ts";
import { ServerError } from "./errors.ts";
import { FanOutReports } from "./fan-out-report.ts";
import { attach, type HttpServer } from "./http/attach.ts";
import { type Certificate, checkCertificate } from "./http/certificate.ts";
import { isLoopbackHost } from "./http/origin.ts";
import { OwnPort } from "./http/own-port.ts";
import { Router } from "./http/route.ts";
import { Upgrader } from "./http/upgrade.ts";
import { Hub } from "./hub/hub.ts";
import type { Subscription } from "./hub/subscription.ts";
import type { TidewireNode } from "./node.ts";
import { refuseUnknownNames } from "./option-names.ts";
import { resolveOptions, type ServerOptions } from "./options.ts";
import { OwnChannels } from "./own-channels.ts";
import { Presence } from "./presence/presence.ts";
import { type BroadcastExtras, type Publisher, publisher, type ServerChannel, type ServerUser } from "./publisher.ts";
import { Refusal } from "./refusal.ts";
import { ScheduleQuota } from "./schedule-quota.ts";
import { type KeptSessions, keepSessions } from "./session/keep-sessions.ts";
import { States } from "./state/states.ts";

export interface ListenOptions {
	/** Default 127.0.0.1: what everybody may reach is to be said. */
	readonly host?: string;
	/** 0: any free port. Default 7400. */
	readonly port?: number;
	/** Makes it a TLS port (`wss:`, `https:`) that speaks HTTP/1.1 and HTTP/2. Default: no TLS. */
	readonly tls?: Certificate;
}

export interface Listening {
	/** "http://127.0.0.1:7400", or "https:" with `tls` */
	readonly url: string;
	readonly host: string;
	readonly port: number;
}

/** How often calls that may be forgotten are. */
const SWEEP_MS = 60_000;
/** How often some channels are compared with the broker (`Hub.checkPositions`). */
const POSITION_CHECK_MS = 1_000;
/** How often it is looked whether a durable consumer that is connected has to be kept from expiring. */
const RENEWAL_MS = 60 * 60_000;
/** Durable consumers of which this node remembers what they have received until it is written. */
const MAX_RECEIVING = 100_000;
/** How goodbyes are spread while draining: at most so many at once, and no slower than it takes to be done in time. */
const DRAIN_STEP_MS = 100;
const DRAIN_BATCH = 10;
/** How long nodes have to say what became of a publish, by the protocol. */
const REPORT_TIMEOUT_MS = 1_000;
/** Reports that are waited for on this node, and of one connection. */
const MAX_REPORTS = 10_000;
const MAX_REPORTS_OF_ONE = 100;
/** Publishes that one client may have waiting for their time. */
const MAX_SCHEDULED_OF_ONE = 1_000;

export class TidewireServer<C extends Contract = Contract> implements Publisher<C> {
	readonly #node: TidewireNode;
	readonly #router: Router;
	readonly #upgrader: Upgrader;
	readonly #detach: (() => void)[] = [];
	readonly #listening: OwnPort[] = [];
	readonly #sweep: NodeJS.Timeout;
	readonly #kept: KeptSessions;
	readonly #positionCheck: NodeJS.Timeout;
	readonly #renewal: NodeJS.Timeout;
	#closing: Promise<void> | undefined;

	/** Use `createServer`. */
	constructor(contract: Contract, given: ServerOptions) {
		const options = resolveOptions(given, contract);
		const broker = given.broker ?? createMemoryBroker({ now: options.nowMs });
		const channels = compileChannels(contract);
		const heartbeat = new Heartbeat(options.heartbeat);
		const ear = new BrokerEar(broker);
		const ownChannels = new OwnChannels(contract);
		const reports = new FanOutReports({
			broker,
			ear,
			log: options.log,
			timeoutMs: REPORT_TIMEOUT_MS,
			maxWaiting: MAX_REPORTS,
			maxWaitingOfOne: MAX_REPORTS_OF_ONE,
			nowMs: () => performance.now(),
			after: (delayMs, task) => {
				const timer = setTimeout(task, delayMs).unref();
				return () => clearTimeout(timer);
			},
		});
		const presence = new Presence({
			broker,
			ear,
			log: options.log,
			graceMs: options.presenceGraceMs,
			silenceMs: options.heartbeat.intervalMs + options.heartbeat.timeoutMs,
			nowMs: options.nowMs,
			after: (delayMs, task) => {
				const timer = setTimeout(task, delayMs).unref();
				return () => clearTimeout(timer);
			},
		});
		const states = new States(broker, {
			nowMs: options.nowMs,
			setTimer: (task, delayMs) => {
				const timer = setTimeout(task, delayMs).unref();
				return () => clearTimeout(timer);
			},
			failed: (channel, cause) => options.log.error("what has expired could not be published", { cause, channel }),
		});
		const durables = new DurableConsumers({
			broker,
			nowMs: options.nowMs,
			setTimer: (task, delayMs) => {
				const timer = setTimeout(task, delayMs).unref();
				return () => clearTimeout(timer);
			},
			...options.durable,
			maxConsumers: MAX_RECEIVING,
			failed: (cause) => options.log.error("a durable consumer's cursor could not be written", { cause }),
		});
		const hub = new Hub(broker, {
			maxLogBytes: options.limits.maxLogBytes,
			maxLogsBytes: options.limits.maxLogsBytes,
			nowMs: options.nowMs,
			reported: (report, counts) => reports.tell(report, counts),
			unserved: (subscription, cause) => {
				options.log.error("history could not be read", { cause, channel: subscription.channel.name });
				const { channel, subscriber } = subscription;
				hub.leave(subscription);
				presence.leave(subscription.subscriber, subscription.channel.wireName);
				const { wire } = new Refusal("unavailable", "the channel's history cannot be read");
				const { codec } = subscriber.encoding;
				if (codec.enveloped) {
					const event = { channel: channel.wireName, event: "unsubscribed", error: wire } as const;
					subscriber.send(subscriber.encoding.frame(codec.encode(event)));
				} else {
					subscriber.lost(subscription, "reset");
				}
			},
		});
		ear.hub(hub);
		this.#kept = keepSessions({ ...options, broker, ear });
		this.#node = {
			id: options.node ?? randomBytes(6).toString("base64url"),
			options,
			contract,
			channels,
			ownChannels,
			may: options.may ?? {},
			broker,
			hub,
			durables,
			log: options.log,
			turn: new Turn(),
			heartbeat,
			sessions: this.#kept.sessions,
			claims: this.#kept.claims,
			performed: new Performed({
				windowMs: options.windowMs,
				maxPerScope: options.limits.maxRememberedCalls,
				maxBytes: options.limits.maxRememberedBytes,
				nowMs: options.nowMs,
			}),
			presence,
			reports,
			scheduleQuota: new ScheduleQuota(options.nowMs, MAX_SCHEDULED_OF_ONE),
			states,
			publisher: publisher({
				broker,
				presence,
				contract,
				states,
				channels,
				ownChannels,
				reports,
				nowMs: options.nowMs,
			}),
			connections: new Set<Connection>(),
			perform: (connection, message) => perform(this.#node, connection, message),
			unblocked: (connection) => presence.unblocked(connection),
			departed: (connection, why) => presence.ended(connection, why),
			sessionEnded: (connection) => this.#node.sessions.ended(connection),
		};
		this.#router = new Router(options.path, options.routes, Object.keys(contract.channels));
		const { maxMessageBytes } = options.limits;
		this.#upgrader = new Upgrader(this.#node, this.#router, resolveLimits({ maxMessageBytes }));
		heartbeat.start();
		this.#positionCheck = setInterval(() => void hub.checkPositions(), POSITION_CHECK_MS).unref();
		this.#sweep = setInterval(() => {
			this.#node.performed.sweep();
			this.#node.scheduleQuota.sweep();
		}, SWEEP_MS).unref();
		this.#renewal = setInterval(() => void durables.renew(this.#subscriptions()), RENEWAL_MS).unref();
	}

	/** How many clients are connected to this node. */
	get connections(): number {
		return this.#node.connections.size;
	}

	/** A channel to publish to. Throws `ServerError` for a name that the contract does not have. */
	channel<Name extends SharedChannelName<C>>(name: Name): ServerChannel<C, Name> {
		this.#refuseWhenClosing();
		// The publisher is typed for any contract; names and data are this contract's by this signature.
		return this.#node.publisher.channel(name) as unknown as ServerChannel<C, Name>;
	}

	/** A user to publish to, on all of their connections or on one device. Throws `ServerError` for an empty id. */
	user(id: string): ServerUser<C> {
		this.#refuseWhenClosing();
		return this.#node.publisher.user(id) as unknown as ServerUser<C>;
	}

	/** Publishes to every channel of a pattern, on all nodes; see `Publisher`. Resolves with how many these are. */
	async broadcast<P extends Exclude<ChannelPattern<C>, OwnPattern>>(
		pattern: P,
		data: ChannelInput<C, P> | Uint8Array,
		extras: BroadcastExtras = {},
	): Promise<number> {
		this.#refuseWhenClosing();
		return this.#node.publisher.broadcast(pattern, data, extras);
	}

	/**
	 * Takes the upgrades of this server's paths from a server of `node:http`, `node:https` or `node:http2`; everything else
	 * stays with its owners. Returns the HTTP server. Closing Tidewire leaves the HTTP server open.
	 */
	attach<S extends HttpServer>(server: S): S {
		this.#refuseWhenClosing();
		this.#detach.push(attach(server, this.#router, this.#upgrader));
		return server;
	}

	/** Listens on a port of its own. Rejects with `ServerError` (`cannot_listen`, `bad_certificate`). */
	async listen(given: ListenOptions = {}): Promise<Listening> {
		refuseUnknownNames("listen", given, ["host", "port", "tls"] satisfies (keyof ListenOptions)[], "option");
		const { host = "127.0.0.1", port = 7400, tls } = given;
		this.#refuseWhenClosing();
		const name = host.includes(":") ? `[${host}]` : host;
		const { options, log } = this.#node;
		if (options.dev && !isLoopbackHost(name)) {
			throw new ServerError(
				"cannot_listen",
				`dev mode lets anybody do everything, so it listens on loopback only, not on ${host}`,
			);
		}
		if (tls !== undefined) {
			this.#checkCertificate(tls);
		}
		const { maxStreams } = options.limits;
		const own = new OwnPort({ router: this.#router, upgrader: this.#upgrader, log, certificate: tls, maxStreams });
		const bound = await own.listen(port, host).catch((cause: Error) => {
			throw new ServerError("cannot_listen", `cannot listen on ${host}:${port}: ${cause.message}`, { cause });
		});
		if (this.#closing !== undefined) {
			await own.close(Promise.resolve());
			this.#refuseWhenClosing();
		}
		this.#listening.push(own);
		return { url: `${tls === undefined ? "http" : "https"}://${name}:${bound}`, host, port: bound };
	}

	/**
	 * Changes the certificate of the ports that listen with `tls`: new connections see it, open ones stay as they are.
	 * Throws `ServerError` (`bad_certificate`), and keeps the old one.
	 */
	reloadCertificate(certificate: Certificate): void {
		this.#refuseWhenClosing();
		this.#checkCertificate(certificate);
		for (const own of this.#listening) {
			own.useCertificate(certificate);
		}
	}

	#checkCertificate(certificate: Certificate): void {
		const { names, validTo, fingerprint, current } = checkCertificate(certificate, this.#node.options.nowMs());
		const { log } = this.#node;
		if (current) {
			log.info("the certificate is read", { names, validTo, fingerprint });
		} else {
			log.warn("the certificate is not valid today", { names, validTo, fingerprint });
		}
	}

	/**
	 * Ends everything: no new connections, goodbyes spread over `drainMs` (default 0: at once) with a hint when to come
	 * back, then the rest. A second call does not wait any longer.
	 */
	close({ drainMs = 0 }: { readonly drainMs?: number } = {}): Promise<void> {
		if (this.#closing !== undefined) {
			this.#dismiss(this.#node.connections.size);
			return this.#closing;
		}
		this.#closing = this.#close(drainMs);
		return this.#closing;
	}

	async #close(drainMs: number): Promise<void> {
		const { heartbeat, connections, broker } = this.#node;
		this.#upgrader.draining = true;
		// What was published before goes out before the goodbyes: the flush of this turn comes first.
		await new Promise((resolve) => setImmediate(resolve));
		const steps = Math.max(1, Math.floor(drainMs / DRAIN_STEP_MS));
		const batch = Math.max(DRAIN_BATCH, Math.ceil(connections.size / steps));
		while (drainMs > 0 && connections.size > batch) {
			this.#dismiss(batch);
			await new Promise((resolve) => setTimeout(resolve, DRAIN_STEP_MS));
		}
		this.#dismiss(connections.size);
		for (const detach of this.#detach) {
			detach();
		}
		// Peers that do not answer a goodbye are given up by the heartbeat, which has to beat until then.
		const idle = heartbeat.idle();
		await Promise.all([idle, ...this.#listening.map((own) => own.close(idle))]);
		clearInterval(this.#sweep);
		clearInterval(this.#positionCheck);
		clearInterval(this.#renewal);
		heartbeat.stop();
		await this.#node.presence.stop();
		this.#node.reports.close();
		this.#node.states.stop();
		await this.#node.durables.close();
		await this.#kept.close();
		await broker.close();
	}

	*#subscriptions(): Generator<Subscription> {
		for (const { subscriptions } of this.#node.connections) {
			yield* subscriptions;
		}
	}

	#dismiss(count: number): void {
		let left = count;
		for (const connection of this.#node.connections) {
			if (left-- <= 0) {
				return;
			}
			if (connection.encoding.codec.enveloped) {
				connection.reply({ reconnect: { after: 0, reason: "drain" } });
			}
			connection.close("restart", "this node is going away");
		}
	}

	#refuseWhenClosing(): void {
		if (this.#closing !== undefined) {
			throw new ServerError("closed", "this server is closed or closing");
		}
	}
}

/**
 * Creates a server for a contract; without one, any channel may be used that the permissions allow.
 *
 * ```ts
 * const tidewire = createServer(delivery, {
 *   authenticate: ({ token }) => verify(token),
 *   may: { subscribe: { "order_{orderId}": ({ user, params }) => user?.orders.includes(params.orderId) ?? false } },
 *   actions: { contact_driver: async ({ user, input }) => radio.send(user, input.message) },
 * });
 * tidewire.attach(httpServer);
 * ```
 *
 * Throws `ServerError` (`bad_option`) or `ContractError` for what cannot be meant.
 */
export function createServer<C extends Contract = Contract, U extends User = User>(
	contract: C | undefined,
	options: ServerOptions<C, U>,
): TidewireServer<C>;
export function createServer<C extends Contract = Contract>(contract?: C): TidewireServer<C>;
export function createServer(contract: Contract = declare({}), options: ServerOptions = {}): TidewireServer {
	return new TidewireServer(contract, options);
}
