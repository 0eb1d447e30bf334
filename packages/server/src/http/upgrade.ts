/**
 * From an upgrade request to a connection, or to a refusal with the right status: the path, the handshake's rules, the
 * page's origin, the subprotocol, who it is, and for plain clients the channels that the path names.
 */
import type { Duplex } from "node:stream";
import type { ServerCodec } from "@tidewire/protocol";
import { msgpackServer } from "@tidewire/protocol/msgpack";
import { jsonServer, plainServer } from "@tidewire/protocol/server";
import type { ResolvedLimits } from "@tidewire/websocket";
import { authenticate } from "../auth/authenticate.ts";
import { type Caller, SHOWN, WAITING } from "../auth/caller.ts";
import type { Credentials } from "../auth/credentials.ts";
import { withPresence } from "../commands/presence.ts";
import { brokerRefusal } from "../commands/publish.ts";
import { type Accepted, join } from "../commands/subscribe.ts";
import { Connection, type Entrance } from "../connection/connection.ts";
import { WebSocketEncodings } from "../hub/encoding.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import { newSessionId } from "../session/token.ts";
import { WebSocketTransport } from "../transports/websocket.ts";
import type { Arrival } from "./arrival.ts";
import { readCookies } from "./cookie.ts";
import { isLoopbackAddress, isLoopbackHost, isLoopbackOrigin, judgeOrigin } from "./origin.ts";
import type { Router } from "./route.ts";

const ENVELOPED: readonly ServerCodec[] = [jsonServer, msgpackServer];

/** How long a client is asked to stay away from a node that drains or is full, in seconds. */
const RETRY_AFTER = "2";

/** A request that cannot become a connection: what HTTP has to say of it. */
class HttpRefusal extends Error {
	readonly status: number;
	readonly headers: Readonly<Record<string, string>>;

	constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
		super(message);
		this.status = status;
		this.headers = headers;
	}
}

const ENTER_AND_WATCH = { enter: true, watch: true };
const DRAINING = new HttpRefusal(503, "this node is going away", { "retry-after": RETRY_AFTER });

export class Upgrader {
	readonly #node: TidewireNode;
	readonly #router: Router;
	readonly #limits: ResolvedLimits;
	readonly #encodings: WebSocketEncodings;
	/** Handshakes under way: they count as connections, since they will be. */
	#opening = 0;
	draining = false;

	constructor(node: TidewireNode, router: Router, limits: ResolvedLimits) {
		this.#node = node;
		this.#router = router;
		this.#limits = limits;
		this.#encodings = new WebSocketEncodings(node.options.compression);
	}

	/** Takes over the socket of a request whose path the router owns. Never rejects. */
	async upgrade(arrival: Arrival): Promise<void> {
		const { socket } = arrival;
		// From here on an error event with no listener would end the process.
		if (socket.listenerCount("error") === 0) {
			socket.on("error", destroy);
		}
		this.#opening++;
		try {
			await this.#open(arrival);
		} catch (cause) {
			if (cause instanceof HttpRefusal) {
				arrival.refuse(cause.status, cause.message, cause.headers);
			} else {
				this.#node.options.log.error("an upgrade failed", { cause });
				arrival.refuse(500, "the server could not perform this", {});
			}
		} finally {
			this.#opening--;
		}
	}

	async #open(arrival: Arrival): Promise<void> {
		const node = this.#node;
		const { socket, head } = arrival;
		if (socket.destroyed || socket.closed) {
			// A stream may have been reset before it was announced, and its "close" gone by.
			return;
		}
		const { path, query } = readUrl(arrival.target);
		const route = this.#router.match(path, query);
		if (route === undefined) {
			throw new HttpRefusal(404, "there is nothing at this path");
		}
		const handshake = arrival.judge({
			protocols: (offered) => chooseCodec(offered)?.subprotocol,
			...(node.options.compression === undefined ? undefined : { compression: node.options.compression }),
		});
		if (!handshake.ok) {
			throw new HttpRefusal(handshake.status, handshake.reason, handshake.headers);
		}
		if (route === "missing") {
			throw new HttpRefusal(400, "the path's parameters are missing, repeated or not names");
		}
		const offersAny = arrival.headers["sec-websocket-protocol"] !== undefined;
		if (offersAny && handshake.protocol === undefined) {
			throw new HttpRefusal(
				400,
				"no offered subprotocol is known: tidewire.v1.json, tidewire.v1.msgpack, or offer none",
			);
		}
		const fromPage = this.#checkOrigin(arrival);
		if (this.draining) {
			throw DRAINING;
		}
		const codec = ENVELOPED.find(({ subprotocol }) => subprotocol === handshake.protocol) ?? plainServer;
		const { encoding, context, compression } = this.#encodings.speech(codec, handshake.compression);
		const transport = new WebSocketTransport(socket, node.heartbeat, this.#limits, compression);
		const connection = new Connection(node, transport, encoding, newSessionId(node.options.nowMs()), route);
		connection.context = context;
		transport.connection = connection;
		const closed = (): void => connection.ended();
		socket.once("close", closed);

		const refusal = await this.#admit(connection, arrival, query, fromPage);
		if (refusal === undefined) {
			await (encoding.codec.enveloped ? node.sessions.open() : subscribeToRoute(node, connection, route));
		}
		// A stream that its peer has reset is closed before it is destroyed.
		if (socket.destroyed || socket.closed) {
			return;
		}
		if (socket.readableEnded) {
			// The peer has closed its half meanwhile. Nobody says so a second time.
			connection.ended();
			socket.destroy();
			return;
		}
		socket.off("close", closed);
		if (this.draining) {
			// It began to while this client was asked who it is.
			connection.ended();
			throw DRAINING;
		}
		if (refusal !== undefined && !encoding.codec.enveloped) {
			throw new HttpRefusal(refusal.status, refusal.text, refusal.headers);
		}
		node.connections.add(connection);
		arrival.accept(handshake.headers);
		transport.open(encoding.codec.enveloped ? NOTHING : head);
		if (refusal !== undefined) {
			connection.close(refusal.reason, refusal.text);
			return;
		}
		if (encoding.codec.enveloped) {
			hello(node, connection);
			if (head.length > 0) {
				transport.receive(head);
			}
			if (!connection.caller.admitted) {
				const late = expectAuth(node, connection);
				socket.once("close", () => clearTimeout(late));
			}
		}
	}

	/** Throws for a page that may not connect. Whether cookies may count: only those of an allowed page's request. */
	#checkOrigin(arrival: Arrival): boolean {
		const { headers, encrypted } = arrival;
		const { origin, host } = headers;
		const { dev, allowedOrigins } = this.#node.options;
		if (dev) {
			if (
				!isLoopbackAddress(arrival.peer.remoteAddress) ||
				!isLoopbackHost(host ?? "") ||
				!isLoopbackOrigin(origin ?? "http://localhost")
			) {
				throw new HttpRefusal(
					403,
					"this server runs with --dev: only programs and pages of its own machine may connect",
				);
			}
			return origin !== undefined;
		}
		const verdict = judgeOrigin(origin, host, allowedOrigins, encrypted);
		if (verdict === "foreign") {
			throw new HttpRefusal(403, "pages of this origin may not connect");
		}
		return verdict === "same" || verdict === "listed";
	}

	/** Makes the connection somebody, or says why not. */
	async #admit(
		connection: Connection,
		arrival: Arrival,
		query: URLSearchParams,
		fromPage: boolean,
	): Promise<Rejection | undefined> {
		const { options, connections } = this.#node;
		if (connections.size + this.#opening > options.limits.maxConnections) {
			return { status: 429, reason: "connection_limit", text: "this server holds as many connections as it may" };
		}
		const token = bearer(arrival.headers.authorization) ?? query.get("token") ?? undefined;
		const { cookie, ...headers } = arrival.headers;
		const credentials: Credentials = {
			token,
			cookies: readCookies(fromPage ? cookie : undefined),
			// Without the cookies, which would be counted here by who looks for them.
			headers,
			params: connection.entrance.params,
			// Not by a getter: in an object of its own each makes a hidden class of its own, which only a full collection frees.
			remoteAddress: options.authenticate === undefined ? undefined : arrival.peer.remoteAddress,
		};
		let caller: Caller | undefined;
		try {
			caller = await authenticate(options, credentials);
		} catch (cause) {
			if (!(cause instanceof Refusal)) {
				throw cause;
			}
			return { status: 503, reason: "overload", text: cause.message, headers: { "retry-after": RETRY_AFTER } };
		}
		if (caller !== undefined) {
			connection.caller = caller;
			return undefined;
		}
		if (token === undefined && connection.encoding.codec.enveloped) {
			connection.caller = WAITING;
			return undefined;
		}
		return { status: 401, reason: "unauthenticated", text: "the credentials are missing or not valid" };
	}
}

interface Rejection {
	readonly status: number;
	readonly reason: "unauthenticated" | "connection_limit" | "overload";
	readonly text: string;
	readonly headers?: Readonly<Record<string, string>>;
}

const NOTHING = new Uint8Array(0);

function chooseCodec(offered: readonly string[]): ServerCodec | undefined {
	for (const name of offered) {
		const codec = ENVELOPED.find(({ subprotocol }) => subprotocol === name);
		if (codec !== undefined) {
			return codec;
		}
	}
	return undefined;
}

/** Subscribes a plain client to its path's channels, before the 101; one that is not allowed refuses the upgrade. */
async function subscribeToRoute(
	node: TidewireNode,
	connection: Connection,
	{ channels, presence }: Entrance,
): Promise<void> {
	try {
		for (const channel of channels) {
			const subscribe = (): Promise<Accepted> => join(node, connection, { channel }, { from: "now" });
			const { begin } = await (presence === undefined
				? subscribe()
				: withPresence(node, connection, channel, ENTER_AND_WATCH, subscribe));
			begin();
		}
	} catch (error) {
		// It has entered some of them, perhaps, and does not come back to them.
		connection.ended("forbidden");
		const cause = brokerRefusal(error);
		if (!(cause instanceof Refusal)) {
			throw cause;
		}
		throw cause.wire.code === "unavailable"
			? new HttpRefusal(503, cause.message, { "retry-after": RETRY_AFTER })
			: new HttpRefusal(403, cause.message);
	}
}

function hello(node: TidewireNode, connection: Connection): void {
	const { heartbeat, windowMs } = node.options;
	connection.reply({
		hello: {
			version: 1,
			session: connection.session,
			resume: node.sessions.greet(connection),
			heartbeat: heartbeat.intervalMs / 1_000,
			window: windowMs / 1_000,
			durability: node.broker.durability,
			node: node.id,
		},
	});
}

/** Ends a connection that has not become somebody in time, for good only if that is the client's doing. */
function expectAuth(node: TidewireNode, connection: Connection): NodeJS.Timeout {
	const { handshakeTimeoutMs } = node.options.limits;
	return setTimeout(() => {
		if (connection.caller === SHOWN) {
			connection.close("overload", "the server cannot tell at present whose token this is");
		} else if (!connection.caller.admitted) {
			connection.close("unauthenticated", `no valid auth message came within ${handshakeTimeoutMs / 1_000} s`);
		}
	}, handshakeTimeoutMs).unref();
}

/** A request target's path and query; an absolute-form target's too. */
export function readUrl(target: string): { readonly path: string; readonly query: URLSearchParams } {
	const relative = /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1] ?? target;
	const at = relative.indexOf("?");
	return at < 0
		? { path: relative, query: new URLSearchParams() }
		: { path: relative.slice(0, at), query: new URLSearchParams(relative.slice(at + 1)) };
}

function bearer(authorization: string | undefined): string | undefined {
	return /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? "")?.[1];
}

/** One function for all sockets. */
function destroy(this: Duplex): void {
	this.destroy();
}
