/**
 * The server's side of the shell: from Node's "upgrade" event to a driven connection, or to a refusal that the peer can
 * read. Paths, origins and tokens are the caller's to check before.
 */
import type { Socket } from "node:net";
import { Connection } from "../connection.ts";
import { messageCompression } from "../deflate/compression.ts";
import type { Handler } from "../handler.ts";
import { acceptUpgrade, type UpgradeRequest } from "../handshake/accept.ts";
import type { HeaderFields } from "../handshake/headers.ts";
import type { Agreement, NegotiateOptions } from "../handshake/negotiate.ts";
import { formatResponse } from "../handshake/response.ts";
import { type ResolvedLimits, resolveLimits } from "../limits.ts";
import { driveSocket, onError, type SocketContext } from "./drive.ts";
import { sha1Base64 } from "./sha1.ts";
import { zlibEngine } from "./zlib.ts";

/** What is the same for a socket and for a stream of HTTP/2. */
export interface AcceptSettings extends NegotiateOptions {
	/** Resolved once and shared. Default: the defaults. */
	readonly limits?: ResolvedLimits;
	/** Further fields of the response. */
	readonly headers?: HeaderFields;
}

export interface SocketAcceptOptions<Context extends SocketContext> extends AcceptSettings {
	/** What the handler's calls will carry for this connection. */
	readonly context: (socket: Socket, protocol: string | undefined) => Context;
}

const DEFAULT_LIMITS = resolveLimits();

/**
 * Performs the server's half of the opening handshake on `socket` and drives the connection from it. Undefined where
 * the request was refused; the refusal is sent, and the socket closed after it. No event comes before this returns.
 */
export function acceptSocket<Context extends SocketContext>(
	request: UpgradeRequest,
	socket: Socket,
	head: Uint8Array,
	options: SocketAcceptOptions<Context>,
	handler: Handler<Context>,
): Connection<Context> | undefined {
	const upgrade = acceptUpgrade(request, { sha1: sha1Base64, ...options });
	if (!upgrade.ok) {
		refuseSocket(socket, upgrade.status, upgrade.reason, upgrade.headers);
		return undefined;
	}
	socket.write(formatResponse(101, { ...upgrade.headers, ...options.headers }), "latin1");
	const connection = serverConnection(upgrade, options.context(socket, upgrade.protocol), options, handler);
	driveSocket(socket, connection, head);
	return connection;
}

/** The server's end of what both ends have agreed on. */
export function serverConnection<Context>(
	agreed: Agreement,
	context: Context,
	{ limits = DEFAULT_LIMITS, compression }: AcceptSettings,
	handler: Handler<Context>,
): Connection<Context> {
	const deflate =
		agreed.compression === undefined || compression === undefined
			? undefined
			: messageCompression("server", agreed.compression, zlibEngine(compression), compression);
	return new Connection("server", handler, context, limits, undefined, deflate);
}

/** Answers an upgrade request with an error: a plain text reason, then the end of the connection. */
export function refuseSocket(socket: Socket, status: number, reason: string, headers: HeaderFields = {}): void {
	const fields = { connection: "close", "content-type": "text/plain; charset=utf-8", ...headers };
	socket.on("error", onError);
	// Unread input would turn our FIN into a reset, and the peer would lose the reason.
	socket.resume();
	socket.once("finish", socket.destroy);
	socket.end(formatResponse(status, fields, `${reason}\n`));
}
