/**
 * The server that applications create: a node (`assemble-node.ts`) that is attached to HTTP servers or listens by itself,
 * and that ends everything in order.
 */
import { createMemoryBroker } from "@tidewire/broker";
import {
	type ChannelInput,
	type ChannelPattern,
	type Contract,
	contract as declare,
	type OwnPattern,
	type SharedChannelName,
} from "@tidewire/contract";
import { resolveLimits } from "@tidewire/websocket";
import { type AssembledNode, assembleNode } from "./assemble-node.ts";
import type { User } from "./auth/caller.ts";
import { ServerError } from "./errors.ts";
import { attach, type HttpServer } from "./http/attach.ts";
import { type Certificate, checkCertificate } from "./http/certificate.ts";
import { isLoopbackHost } from "./http/origin.ts";
import { OwnPort } from "./http/own-port.ts";
import { Router } from "./http/route.ts";
import { Upgrader } from "./http/upgrade.ts";
import type { TidewireNode } from "./node.ts";
import { refuseUnknownNames } from "./option-names.ts";
import { resolveOptions, type ServerOptions } from "./options.ts";
import type { BroadcastExtras, Publisher, ServerChannel, ServerUser } from "./publisher.ts";

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

/** How goodbyes are spread while draining: at most so many at once, and no slower than it takes to be done in time. */
const DRAIN_STEP_MS = 100;
const DRAIN_BATCH = 10;
export class TidewireServer<C extends Contract = Contract> implements Publisher<C> {
	readonly #node: TidewireNode;
	readonly #router: Router;
	readonly #upgrader: Upgrader;
	readonly #detach: (() => void)[] = [];
	readonly #listening: OwnPort[] = [];
	readonly #assembled: AssembledNode;
	#closing: Promise<void> | undefined;

	/** Use `createServer`. */
	constructor(contract: Contract, given: ServerOptions) {
		const options = resolveOptions(given, contract);
		this.#assembled = assembleNode(contract, options, given.broker ?? createMemoryBroker({ now: options.nowMs }));
		this.#node = this.#assembled.node;
		this.#router = new Router(options.path, options.routes, Object.keys(contract.channels));
		const { maxMessageBytes } = options.limits;
		this.#upgrader = new Upgrader(this.#node, this.#router, resolveLimits({ maxMessageBytes }));
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
		const { heartbeat, connections } = this.#node;
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
		await this.#assembled.stop();
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
