/**
 * The server's side of the shell over HTTP/2 (RFC 8441): from Node's `stream` event to a driven connection, or to a
 * refusal. Many connections share one session; each has its own flow control, so one that stands still holds its own
 * window of bytes and keeps none of the others waiting.
 *
 * A client only asks where the server has said that it may: `createServer({ settings: HTTP2_SETTINGS })`.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream, Settings } from "node:http2";
import type { Connection } from "../connection.ts";
import type { Handler } from "../handler.ts";
import { acceptConnect } from "../handshake/extended-connect.ts";
import type { HeaderFields } from "../handshake/headers.ts";
import { type AcceptSettings, serverConnection } from "./accept.ts";
import { driveStream, onError, type SocketContext } from "./drive.ts";

/** What a session must announce before clients open WebSockets in it (RFC 8441 §3). */
export const HTTP2_SETTINGS: Settings = { enableConnectProtocol: true };

export interface StreamAcceptOptions<Context extends SocketContext> extends AcceptSettings {
	/** What the handler's calls will carry for this connection. */
	readonly context: (stream: ServerHttp2Stream, protocol: string | undefined) => Context;
}

/** Whether a `stream` event's headers ask for a WebSocket. Whether they do so rightly is for `acceptStream` to say. */
export function isWebSocketStream(headers: IncomingHttpHeaders): boolean {
	return headers[":method"] === "CONNECT" && String(headers[":protocol"]).toLowerCase() === "websocket";
}

/**
 * Answers an extended CONNECT on `stream` and drives the connection from it. Undefined where the request was refused;
 * the refusal is sent. No event comes before this returns. `rawHeaders` is the event's fourth argument.
 */
export function acceptStream<Context extends SocketContext>(
	stream: ServerHttp2Stream,
	headers: IncomingHttpHeaders,
	options: StreamAcceptOptions<Context>,
	handler: Handler<Context>,
	rawHeaders: readonly string[] = [],
): Connection<Context> | undefined {
	const answer = acceptConnect({ headers, rawHeaders }, options);
	if (!answer.ok) {
		refuseStream(stream, answer.status, answer.reason, answer.headers);
		return undefined;
	}
	// Where its peer has reset it already, "close" says so.
	if (!stream.closed && !stream.destroyed) {
		stream.respond({ ":status": answer.status, ...answer.headers, ...options.headers });
	}
	const connection = serverConnection(answer, options.context(stream, answer.protocol), options, handler);
	driveStream(stream, connection);
	return connection;
}

/** Answers a request with an error: a plain text reason, then the end of the stream. */
export function refuseStream(
	stream: ServerHttp2Stream,
	status: number,
	reason: string,
	headers: HeaderFields = {},
): void {
	stream.on("error", onError);
	if (stream.destroyed || stream.closed || stream.headersSent) {
		stream.destroy();
		return;
	}
	stream.respond({ ":status": status, "content-type": "text/plain; charset=utf-8", ...headers });
	stream.end(`${reason}\n`);
	// Nothing that the client sends is wanted, and it need not end its half before it reads the reason (RFC 9113 §8.1).
	stream.resume();
	stream.once("finish", () => stream.close());
}
