/**
 * A port of our own. Upgrade requests are read by the engine's listener, everything else by Node's `http`; with a
 * certificate it speaks TLS, and HTTP/2 to those who ask for it by ALPN. The certificate can change while it listens:
 * connections keep theirs.
 */
import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import {
	createServer as createHttp2Server,
	type Http2Server,
	type Http2ServerRequest,
	type Http2ServerResponse,
	type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { Server as TlsServer } from "node:tls";
import { createListener, HTTP2_SETTINGS, type Listener } from "@tidewire/websocket/node";
import type { Log } from "../observe/log.ts";
import { answerPlainly } from "./answer.ts";
import { upgradeArrival } from "./arrival.ts";
import { attach } from "./attach.ts";
import { type Certificate, tlsOptions } from "./certificate.ts";
import type { Router } from "./route.ts";
import type { Upgrader } from "./upgrade.ts";

export interface OwnPortOptions {
	readonly router: Router;
	readonly upgrader: Upgrader;
	readonly log: Log;
	/** Makes it a TLS port. It has been checked. */
	readonly certificate: Certificate | undefined;
	/** WebSockets and requests at once in one session of HTTP/2. */
	readonly maxStreams: number;
}

/** A head that takes longer is no honest client's. */
const HEAD_TIMEOUT_MS = 10_000;
/** As the listener and Node's `http` have it. */
const MAX_HEADER_LIST_BYTES = 16 * 1024;
/** A session on which nothing moves takes no new streams after this time, and ends with its last one. */
const IDLE_SESSION_MS = 60_000;
/**
 * Rapid reset (CVE-2023-44487): streams that are reset cost us the work they asked for, and `maxStreams` does not count
 * them. A session that resets more than so many at once, and so many a second, is ended.
 */
const RESET_BURST = 200;
const RESETS_PER_SECOND = 33;

export class OwnPort {
	readonly #listener: Listener;
	readonly #http: Server;
	readonly #http2: Http2Server | undefined;
	readonly #sessions = new Set<ServerHttp2Session>();

	constructor({ router, upgrader, log, certificate, maxStreams }: OwnPortOptions) {
		this.#http = createHttpServer({ headersTimeout: HEAD_TIMEOUT_MS, requestTimeout: 30_000 }, (request, response) =>
			answerPlainly(request, response, router, upgrader.draining),
		);
		// For upgrades that are not the first request of their connection.
		attach(this.#http, router, upgrader);
		if (certificate !== undefined) {
			this.#http2 = createHttp2Server({
				settings: { ...HTTP2_SETTINGS, maxConcurrentStreams: maxStreams, maxHeaderListSize: MAX_HEADER_LIST_BYTES },
				streamResetBurst: RESET_BURST,
				streamResetRate: RESETS_PER_SECOND,
			});
			const answer = (request: Http2ServerRequest, response: Http2ServerResponse): void =>
				answerPlainly(request, response, router, upgrader.draining);
			this.#http2.on("request", answer);
			// A CONNECT that is for none of our WebSockets.
			this.#http2.on("connect", answer);
			this.#http2.on("session", (session) => this.#keep(session));
			attach(this.#http2, router, upgrader);
		}
		this.#listener = createListener({
			http: this.#http,
			headTimeoutMs: HEAD_TIMEOUT_MS,
			upgrade: (request, socket, head) => void upgrader.upgrade(upgradeArrival(request, socket, head)),
			...(this.#http2 === undefined ? {} : { http2: this.#http2 }),
			...(certificate === undefined ? {} : { tls: tlsOptions(certificate) }),
		});
		this.#listener.on("error", (cause) => {
			if (this.#listener.listening) {
				log.error("the listening socket failed", { cause });
			}
		});
	}

	/** Resolves with the port; rejects where it cannot be had. */
	async listen(port: number, host: string): Promise<number> {
		this.#listener.listen(port, host);
		await once(this.#listener, "listening");
		// `address` is only a string for pipes and null before listening.
		return (this.#listener.address() as AddressInfo).port;
	}

	/** From now on for new connections. It has been checked. Nothing happens where this is no TLS port. */
	useCertificate(certificate: Certificate): void {
		if (this.#listener instanceof TlsServer) {
			this.#listener.setSecureContext(tlsOptions(certificate));
		}
	}

	/**
	 * Stops listening. Sockets that take part in nothing are closed, the others have said goodbye; `idle` resolves when
	 * those are gone.
	 */
	async close(idle: Promise<void>): Promise<void> {
		const closed = once(this.#listener, "close");
		this.#listener.close();
		this.#listener.closeWaiting();
		// They do not listen themselves; this stops their watch over time limits.
		this.#http.close();
		this.#http.closeAllConnections();
		for (const session of this.#sessions) {
			// Says GOAWAY, and waits for the streams.
			session.close();
		}
		await idle;
		for (const session of this.#sessions) {
			session.destroy();
		}
		await closed;
	}

	#keep(session: ServerHttp2Session): void {
		this.#sessions.add(session);
		session.on("close", () => this.#sessions.delete(session));
		session.setTimeout(IDLE_SESSION_MS, () => session.close());
	}
}
