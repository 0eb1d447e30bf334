/**
 * The client's side of the shell: a URL in, a driven connection out (RFC 6455 §4.1). One attempt; when to try again is
 * its caller's business.
 */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { Connection } from "../connection.ts";
import { messageCompression } from "../deflate/compression.ts";
import type { ResolvedCompression } from "../deflate/options.ts";
import { WebSocketError } from "../errors.ts";
import type { Handler } from "../handler.ts";
import type { HeaderFields } from "../handshake/headers.ts";
import { requestUpgrade, verifyUpgrade } from "../handshake/request.ts";
import { parseResponseHead } from "../handshake/response.ts";
import { type ResolvedLimits, resolveLimits } from "../limits.ts";
import { driveSocket, onError, type SocketContext } from "./drive.ts";
import { randomKey, randomMask, sha1Base64 } from "./sha1.ts";
import { zlibEngine } from "./zlib.ts";

export interface ConnectOptions<Context extends SocketContext> {
	/** What the handler's calls will carry for this connection. */
	readonly context: (socket: Socket, protocol: string | undefined) => Context;
	/** Subprotocols to offer, the preferred one first. */
	readonly protocols?: readonly string[];
	/** Further fields of the request, such as `authorization`. */
	readonly headers?: HeaderFields;
	readonly limits?: ResolvedLimits;
	/** What to offer. Default: messages are not compressed. */
	readonly compression?: ResolvedCompression;
	/** How long connecting and the handshake may take, in milliseconds. Default 10,000. */
	readonly handshakeTimeoutMs?: number;
	/** Ends the attempt; it has no effect on an open connection. */
	readonly signal?: AbortSignal;
	/** Where to connect to instead of the URL's host: a tunnel's near end. The handshake and TLS still name the URL's. */
	readonly via?: { readonly host: string; readonly port: number };
	/** For `wss:`: certificates and the like. */
	readonly tls?: ConnectionOptions;
}

export interface Connected<Context> {
	readonly connection: Connection<Context>;
	readonly context: Context;
	/** The subprotocol that the server chose. */
	readonly protocol: string | undefined;
}

const DEFAULT_LIMITS = resolveLimits();
/** A server that answers with a longer head than this is not answering. */
const MAX_HEAD_BYTES = 16 * 1024;

/**
 * Opens a connection. Rejects with `WebSocketError`: `invalid_url`, `invalid_header`, `connection_failed` (the cause is
 * kept), `handshake_refused`, `timeout` or `aborted`. Events may come before the caller's `await` goes on.
 */
export async function connectWebSocket<Context extends SocketContext>(
	url: string | URL,
	options: ConnectOptions<Context>,
	handler: Handler<Context>,
): Promise<Connected<Context>> {
	const target = parseUrl(url);
	const key = randomKey();
	const { protocols = [], headers = {}, compression } = options;
	const offer = compression === undefined ? undefined : { compression };
	const path = `${target.pathname}${target.search}`;
	const request = requestUpgrade({ host: target.host, path, key, protocols, headers, ...offer });
	if (options.signal?.aborted === true) {
		throw new WebSocketError("aborted", `connecting to ${target.host} was aborted`, { cause: options.signal.reason });
	}
	const socket = open(target, options);
	const { text, rest } = await exchange(socket, request, target.host, options);
	const response = parseResponseHead(text);
	const verdict =
		response === undefined
			? { ok: false as const, reason: "the answer is not an HTTP/1.1 response (RFC 9112 §4)" }
			: verifyUpgrade(response, { key, sha1: sha1Base64, protocols, ...offer });
	if (!verdict.ok) {
		socket.destroy();
		throw new WebSocketError("handshake_refused", `${target.host}: ${verdict.reason}`);
	}
	const context = options.context(socket, verdict.protocol);
	const limits = options.limits ?? DEFAULT_LIMITS;
	const deflate =
		verdict.compression === undefined || compression === undefined
			? undefined
			: messageCompression("client", verdict.compression, zlibEngine(compression), compression);
	const connection = new Connection("client", handler, context, limits, randomMask, deflate);
	driveSocket(socket, connection, rest);
	return { connection, context, protocol: verdict.protocol };
}

function parseUrl(url: string | URL): URL {
	const parsed = URL.canParse(String(url)) ? new URL(String(url)) : undefined;
	const schemes = ["ws:", "wss:", "http:", "https:"];
	if (parsed === undefined || !schemes.includes(parsed.protocol) || parsed.hash !== "") {
		throw new WebSocketError("invalid_url", "a WebSocket URL is ws: or wss:, without a fragment (RFC 6455 §3)");
	}
	if (parsed.username !== "" || parsed.password !== "") {
		throw new WebSocketError("invalid_url", "a WebSocket URL holds no user or password; send a header instead");
	}
	return parsed;
}

function open(target: URL, { tls, via }: Pick<ConnectOptions<SocketContext>, "tls" | "via">): Socket {
	const host = target.hostname.startsWith("[") ? target.hostname.slice(1, -1) : target.hostname;
	const secure = target.protocol === "wss:" || target.protocol === "https:";
	const port = Number(target.port || (secure ? 443 : 80));
	const { host: toHost, port: toPort } = via ?? { host, port };
	if (!secure) {
		return connectTcp({ host: toHost, port: toPort });
	}
	const named = isIP(host) === 0 ? { servername: host } : {};
	return connectTls({ host: toHost, port: toPort, ...named, ALPNProtocols: ["http/1.1"], ...tls });
}

/** Sends the request and collects the answer's head, and what came behind it. */
function exchange<Context extends SocketContext>(
	socket: Socket,
	request: string,
	host: string,
	options: ConnectOptions<Context>,
): Promise<{ readonly text: string; readonly rest: Uint8Array }> {
	return new Promise((resolve, reject) => {
		const { signal, handshakeTimeoutMs = 10_000 } = options;
		let received: Buffer = Buffer.alloc(0);
		const timer = setTimeout(() => {
			fail(new WebSocketError("timeout", `${host} did not answer within ${handshakeTimeoutMs} ms`));
		}, handshakeTimeoutMs);
		const onAbort = (): void => {
			fail(new WebSocketError("aborted", `connecting to ${host} was aborted`, { cause: signal?.reason }));
		};
		const onFailure = (cause?: unknown): void => {
			fail(new WebSocketError("connection_failed", `the connection to ${host} failed`, { cause }));
		};
		const onClosed = (): void => onFailure();
		const onData = (chunk: Buffer): void => {
			// The end may be cut in two by the chunks.
			const from = Math.max(0, received.length - 3);
			received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
			const end = received.indexOf("\r\n\r\n", from, "latin1");
			if (end < 0 ? received.length > MAX_HEAD_BYTES : end > MAX_HEAD_BYTES) {
				fail(
					new WebSocketError("handshake_refused", `${host} answered with more than ${MAX_HEAD_BYTES} bytes of header`),
				);
			} else if (end >= 0) {
				socket.pause();
				release();
				resolve({ text: received.toString("latin1", 0, end), rest: received.subarray(end + 4) });
			}
		};
		const release = (): void => {
			clearTimeout(timer);
			signal?.removeEventListener("abort", onAbort);
			socket.off("data", onData).off("error", onFailure).off("end", onClosed).off("close", onClosed);
			socket.on("error", onError);
		};
		const fail = (error: WebSocketError): void => {
			release();
			socket.destroy();
			reject(error);
		};
		signal?.addEventListener("abort", onAbort);
		socket.on("data", onData).on("error", onFailure).on("end", onClosed).on("close", onClosed);
		socket.write(request, "latin1");
	});
}
