/**
 * A listening server that reads upgrade requests itself, strictly and for less memory than Node's `http`, and hands the
 * sockets of all other requests to an `http.Server`: one port for both.
 *
 * It holds of a connection what has come of its head, in bytes and in time within limits, and nothing after that. It
 * answers nothing but heads that no server should answer otherwise; paths and origins are its caller's.
 */
import type { Server as HttpServer } from "node:http";
import type { Http2Server } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createSecureServer, type TLSSocket, type TlsOptions } from "node:tls";
import { WebSocketError } from "../errors.ts";
import { asksForWebSocket, parseRequestHead, type RequestHead } from "../handshake/head.ts";
import { refuseSocket } from "./accept.ts";
import { onError } from "./drive.ts";

export interface ListenerOptions {
	/**
	 * Takes the connections whose first request is not for a WebSocket, with what was received of them. It does not listen
	 * itself. Later requests of such a connection are its own, upgrades too: give it an "upgrade" listener.
	 */
	readonly http: HttpServer;
	/** Takes a request for a WebSocket: `acceptSocket`, or a refusal. `head` is what came behind the request. */
	readonly upgrade: (request: RequestHead, socket: Socket, head: Uint8Array) => void;
	/** Makes it a TLS server: a `tls.Server`, whose certificate `setSecureContext` changes. */
	readonly tls?: TlsOptions;
	/** Takes the connections that ask for HTTP/2, which is offered over TLS only. It does not listen itself. Default: none. */
	readonly http2?: Http2Server;
	/** How long a client may take for its first request's head, in milliseconds. Raise it for very slow links. Default 10,000. */
	readonly headTimeoutMs?: number;
}

/** As Node's `http` has it. */
const MAX_HEAD_BYTES = 16 * 1024;
const HEAD_END = "\r\n\r\n";
/** A time limit is kept to within this part of it. */
const SWEEPS = 4;

const kIntake = Symbol("tidewire.intake");

interface WaitingSocket extends Socket {
	[kIntake]?: Intake | undefined;
}

interface Waiting {
	/** Which sweep finds that its time is up. */
	readonly until: number;
	/** What has come, where that is not all of the head. */
	received: Buffer | undefined;
}

export interface Listener extends Server {
	/**
	 * For when it closes: destroys the sockets that have shown no request yet. Those that were handed over are
	 * `http.closeAllConnections()`'s, and WebSockets are their owner's.
	 */
	closeWaiting(): void;
}

/** Creates a server that is yet to `listen`. Throws `WebSocketError` (`invalid_option`). */
export function createListener(options: ListenerOptions): Listener {
	const { headTimeoutMs = 10_000, http, http2, tls } = options;
	if (!(headTimeoutMs >= 1 && headTimeoutMs <= 0x7fff_ffff)) {
		throw new WebSocketError("invalid_option", `headTimeoutMs is ${headTimeoutMs}, must be 1 to 2147483647`);
	}
	const intake = new Intake(options, headTimeoutMs);
	// What `http.Server` asks of its sockets. Who closes within the handshake of TLS is gone, so there it comes later.
	const shape = { allowHalfOpen: tls === undefined, noDelay: true };
	const alpn = { ALPNProtocols: http2 === undefined ? ["http/1.1"] : ["h2", "http/1.1"] };
	const server: Server =
		tls === undefined
			? createServer(shape)
			: createSecureServer({ handshakeTimeout: headTimeoutMs, ...alpn, ...tls, ...shape });
	if (tls === undefined) {
		server.on("connection", (socket: Socket) => intake.take(socket));
	} else {
		// A handshake that fails, or that never ends (S4): unlike `https`, `tls` only tells, and keeps the socket.
		server.on("tlsClientError", (_cause: Error, socket: TLSSocket) => socket.destroy());
		server.on("secureConnection", (socket: TLSSocket) => {
			if (http2 !== undefined && socket.alpnProtocol === "h2") {
				http2.emit("connection", socket);
			} else {
				socket.allowHalfOpen = true;
				intake.take(socket);
			}
		});
	}
	// Node's `http` begins to keep its time limits for heads and requests when it hears this.
	server.on("listening", () => http.emit("listening"));
	return Object.assign(server, { closeWaiting: () => intake.closeAll() });
}

/** The sockets whose first request has not come whole, and the one timer for all of them. */
class Intake {
	readonly #options: ListenerOptions;
	readonly #sweepMs: number;
	/** In the order of their time limits. */
	readonly #waiting = new Map<WaitingSocket, Waiting>();
	#sweeper: NodeJS.Timeout | undefined;
	#sweeps = 0;

	constructor(options: ListenerOptions, headTimeoutMs: number) {
		this.#options = options;
		this.#sweepMs = headTimeoutMs / SWEEPS;
	}

	take(socket: WaitingSocket): void {
		socket[kIntake] = this;
		this.#waiting.set(socket, { until: this.#sweeps + SWEEPS + 1, received: undefined });
		this.#sweeper ??= setInterval(() => this.#sweep(), this.#sweepMs).unref();
		socket.on("error", onError);
		socket.on("close", onEarlyEnd);
		socket.on("end", onEarlyEnd);
		socket.on("data", onHeadData);
	}

	receive(socket: WaitingSocket, chunk: Buffer): void {
		const waiting = this.#waiting.get(socket);
		if (waiting === undefined) {
			return;
		}
		const { received } = waiting;
		const bytes = received === undefined ? chunk : Buffer.concat([received, chunk]);
		// The end may be cut in two by the chunks.
		const from = received === undefined ? 0 : Math.max(0, received.length - HEAD_END.length + 1);
		const end = bytes.indexOf(HEAD_END, from, "latin1");
		if (end < 0 ? bytes.length > MAX_HEAD_BYTES : end > MAX_HEAD_BYTES) {
			this.#refuse(socket, 431, `more than ${MAX_HEAD_BYTES} bytes of header`);
			return;
		}
		if (end < 0) {
			waiting.received = bytes;
			return;
		}
		const head = parseRequestHead(bytes.toString("latin1", 0, end));
		if ("status" in head) {
			this.#refuse(socket, head.status, head.reason);
		} else if (asksForWebSocket(head)) {
			this.release(socket);
			// As Node's `http` leaves it: what comes before there is a listener waits for one.
			Reflect.set(socket, "readableFlowing", null);
			this.#options.upgrade(head, socket, bytes.subarray(end + HEAD_END.length));
		} else {
			this.#handOver(socket, bytes);
		}
	}

	/**
	 * Lets go of a socket: another owner has it, or it is gone. Its "error" stays heard: the owner may still be making up
	 * its mind when the peer resets it.
	 */
	release(socket: WaitingSocket): void {
		this.#waiting.delete(socket);
		if (this.#waiting.size === 0) {
			clearInterval(this.#sweeper);
			this.#sweeper = undefined;
		}
		socket[kIntake] = undefined;
		socket.off("data", onHeadData);
		socket.off("end", onEarlyEnd);
		socket.off("close", onEarlyEnd);
	}

	closeAll(): void {
		for (const socket of this.#waiting.keys()) {
			this.release(socket);
			socket.destroy();
		}
	}

	#handOver(socket: WaitingSocket, bytes: Buffer): void {
		this.release(socket);
		socket.pause();
		socket.unshift(bytes);
		this.#options.http.emit("connection", socket);
		socket.resume();
	}

	#refuse(socket: WaitingSocket, status: number, reason: string): void {
		this.release(socket);
		refuseSocket(socket, status, reason);
	}

	#sweep(): void {
		this.#sweeps++;
		for (const [socket, { until }] of this.#waiting) {
			if (until > this.#sweeps) {
				break;
			}
			this.#refuse(socket, 408, "the request's head took too long");
		}
	}
}

function onHeadData(this: WaitingSocket, chunk: Buffer): void {
	this[kIntake]?.receive(this, chunk);
}

/** Gone, or no more to come, before there was a request. */
function onEarlyEnd(this: WaitingSocket): void {
	this[kIntake]?.release(this);
	this.destroy();
}
