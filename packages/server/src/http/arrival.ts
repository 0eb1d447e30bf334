/**
 * A request for a WebSocket as it arrives, by an upgrade of HTTP/1.1 or as a stream of HTTP/2 (RFC 8441): what is looked
 * at before it becomes a connection, and the two ways to answer. Who comes after this file need not know by which.
 */
import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { ServerHttp2Stream, IncomingHttpHeaders as StreamHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import {
	acceptConnect,
	acceptUpgrade,
	formatResponse,
	type HeaderFields,
	type NegotiateOptions,
	type Upgrade,
	type UpgradeRequest,
} from "@tidewire/websocket";
import { refuseStream } from "@tidewire/websocket/node";

export interface Arrival {
	/** Path and query. */
	readonly target: string;
	/** By lowercased names. `host` is there for HTTP/2 as well. */
	readonly headers: IncomingHttpHeaders;
	/** Whom to ask for the peer's address. Node keeps what it is asked for in every socket, so few do. */
	readonly peer: { readonly remoteAddress?: string | undefined };
	/** Whether it came over TLS that ends here. */
	readonly encrypted: boolean;
	/** What the connection's bytes go over once the request is accepted: the socket or the stream. */
	readonly socket: Duplex;
	/** What came behind the request already. */
	readonly head: Uint8Array;
	/** What the handshake's rules say of the request. */
	judge(options: NegotiateOptions): Upgrade;
	accept(headers: HeaderFields): void;
	/** A status and a plain text, and the end. */
	refuse(status: number, reason: string, headers: HeaderFields): void;
}

const NOTHING = new Uint8Array(0);
const NOBODY: PeerSocket = {};

/** What is read of an upgrade request; Node's `IncomingMessage` fits. */
type Request = UpgradeRequest & { readonly url?: string | undefined; readonly headers: IncomingHttpHeaders };

interface PeerSocket {
	readonly remoteAddress?: string | undefined;
	readonly encrypted?: boolean;
}

export function upgradeArrival(request: Request, socket: Duplex & PeerSocket, head: Uint8Array): Arrival {
	return {
		target: request.url ?? "",
		headers: request.headers,
		peer: socket,
		encrypted: socket.encrypted === true,
		socket,
		head,
		judge: (options) => acceptUpgrade(request, { ...options, sha1 }),
		accept: (headers) => void socket.write(formatResponse(101, headers), "latin1"),
		refuse: (status, reason, headers) => {
			if (socket.destroyed || !socket.writable) {
				socket.destroy();
				return;
			}
			const fields = { connection: "close", "content-type": "text/plain; charset=utf-8", ...headers };
			socket.once("finish", () => socket.destroy());
			socket.end(formatResponse(status, fields, `${reason}\n`));
		},
	};
}

export function streamArrival(
	stream: ServerHttp2Stream,
	headers: StreamHeaders,
	rawHeaders: readonly string[],
): Arrival {
	const peer: PeerSocket | undefined = stream.session?.socket;
	return {
		target: headers[":path"] ?? "",
		headers: withoutPseudoFields(headers),
		peer: peer ?? NOBODY,
		encrypted: peer?.encrypted === true,
		socket: stream,
		head: NOTHING,
		judge: (options) => acceptConnect({ headers, rawHeaders }, options),
		accept: (fields) => stream.respond({ ":status": 200, ...fields }),
		refuse: (status, reason, fields) => refuseStream(stream, status, reason, fields),
	};
}

/** As HTTP/1.1 would have them, so that what looks at a request's headers works for both. */
function withoutPseudoFields(headers: StreamHeaders): IncomingHttpHeaders {
	const { ":authority": authority } = headers;
	const fields: IncomingHttpHeaders = {};
	for (const [name, value] of Object.entries(headers)) {
		if (!name.startsWith(":")) {
			fields[name] = value;
		}
	}
	// Not the Host field: the authority is what the request was routed by (RFC 9113 §8.3.1).
	return authority === undefined ? fields : { ...fields, host: authority };
}

function sha1(text: string): string {
	return hash("sha1", text, "base64");
}
