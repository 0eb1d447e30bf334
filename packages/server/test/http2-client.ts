/** A client over HTTP/2 (RFC 8441) for the specifications: `node:http2` for the session, the engine for the frames. */
import {
	type ClientHttp2Session,
	type ClientHttp2Stream,
	connect,
	type IncomingHttpHeaders,
	type OutgoingHttpHeaders,
} from "node:http2";
import { Connection, resolveLimits } from "@tidewire/websocket";
import { driveStream, randomMask, socketHandler } from "@tidewire/websocket/node";

export interface Answer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly body: string;
}

/** One TCP connection; as many WebSockets as one likes. */
export class Session {
	readonly http2: ClientHttp2Session;
	readonly #authority: string;
	readonly #ready: Promise<void>;
	readonly closed: Promise<void>;

	/** `origin`: "https://127.0.0.1:1234", or "http:" for prior knowledge. */
	constructor(origin: string) {
		const { host } = new URL(origin);
		this.#authority = host;
		this.http2 = connect(origin, { rejectUnauthorized: false });
		this.http2.on("error", () => {});
		this.#ready = new Promise((resolve, reject) => {
			this.http2.once("remoteSettings", () => resolve());
			this.http2.once("error", reject);
		});
		this.#ready.catch(() => {});
		this.closed = new Promise((resolve) => this.http2.once("close", resolve));
	}

	/** Asks for a WebSocket. */
	async ask(path: string, fields: OutgoingHttpHeaders = {}): Promise<ClientHttp2Stream> {
		await this.#ready;
		const stream = this.http2.request({
			":method": "CONNECT",
			":protocol": "websocket",
			":scheme": this.http2.encrypted === true ? "https" : "http",
			":authority": this.#authority,
			":path": path,
			"sec-websocket-version": "13",
			...fields,
		});
		stream.on("error", () => {});
		return stream;
	}

	/** Asks for a WebSocket that is to be refused, or for anything else. */
	async answer(path: string, fields: OutgoingHttpHeaders = {}): Promise<Answer> {
		const stream =
			fields[":method"] === undefined ? await this.ask(path, fields) : this.http2.request({ ":path": path, ...fields });
		const headers = await responseOf(stream);
		return {
			status: Number(headers[":status"]),
			headers,
			body: Buffer.concat(await stream.toArray()).toString(),
		};
	}

	/** Opens a WebSocket; rejects with the status where it is refused. */
	async open(path: string, fields: OutgoingHttpHeaders = {}): Promise<StreamClient> {
		const stream = await this.ask(path, fields);
		const headers = await responseOf(stream);
		if (Number(headers[":status"]) !== 200) {
			throw new Error(`refused with ${headers[":status"]}`);
		}
		return new StreamClient(stream, headers);
	}
}

function responseOf(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
	return new Promise((resolve, reject) => {
		stream.once("response", resolve);
		stream.once("close", () => reject(new Error(`closed with ${stream.rstCode} before an answer`)));
	});
}

export class StreamClient {
	readonly stream: ClientHttp2Stream;
	readonly headers: IncomingHttpHeaders;
	readonly #connection: Connection<{ readonly socket: ClientHttp2Stream }>;
	readonly #received: string[] = [];
	#wake: () => void = () => {};
	/** The code and the reason. */
	readonly closed: Promise<readonly [number, string]>;
	#ended: string | undefined;

	constructor(stream: ClientHttp2Stream, headers: IncomingHttpHeaders) {
		this.stream = stream;
		this.headers = headers;
		const closed = Promise.withResolvers<readonly [number, string]>();
		this.closed = closed.promise;
		const handler = socketHandler<{ readonly socket: ClientHttp2Stream }>({
			message: (_, data) => {
				this.#received.push(Buffer.from(data).toString());
				this.#wake();
			},
			ping: () => {},
			pong: () => {},
			close: (_, code, reason) => {
				this.#ended = `${code} ${reason}`;
				closed.resolve([code, reason]);
				this.#wake();
			},
		});
		const limits = resolveLimits({ maxMessageBytes: 8 * 1024 * 1024 });
		this.#connection = new Connection("client", handler, { socket: stream }, limits, randomMask);
		driveStream(stream, this.#connection);
	}

	/** The next message's text. */
	async next(): Promise<string> {
		while (this.#received.length === 0) {
			if (this.#ended !== undefined) {
				throw new Error(`closed with ${this.#ended}`);
			}
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
		return this.#received.shift() ?? "";
	}

	send(message: unknown): void {
		this.#connection.sendText(typeof message === "string" ? message : JSON.stringify(message));
	}

	close(code = 1000): void {
		this.#connection.close(code);
	}
}
