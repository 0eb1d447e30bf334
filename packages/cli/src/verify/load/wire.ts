/**
 * One connection of verify's own client: it speaks `tidewire.v1.json` and nothing more. It decides nothing, so that what
 * is judged is the server, not a client's cleverness. Also where connections lead: straight to a node, or by way of its
 * fault proxy.
 */
import type { Socket } from "node:net";
import { type Hello, jsonClient, ProtocolError, type ServerMessage } from "@tidewire/protocol";
import type { Connection } from "@tidewire/websocket";
import { connectWebSocket, socketHandler } from "@tidewire/websocket/node";
import { wordsOf } from "../../error.ts";

export interface Route {
	readonly url: URL;
	/** The near end of the proxy on the way. */
	readonly via?: { readonly host: string; readonly port: number };
	readonly token?: string | undefined;
}

export interface WireEvents {
	message(message: ServerMessage): void;
	/** Exactly once, unless `dial` rejects; never before it has resolved. */
	lost(code: number, reason: string): void;
}

export interface Wire {
	readonly hello: Hello["hello"];
	/** The port that the connection comes from. */
	readonly localPort: number;
	/** When something was heard last, on the clock of `performance.now()`. */
	readonly heardMs: number;
	send(message: object): void;
	/** A close frame; `lost` follows. */
	close(): void;
	/** No ado: `lost` follows. */
	drop(): void;
}

const TIMEOUT_MS = 10_000;
const PROTOCOL_ERROR = 1002;

class JsonWire implements Wire {
	readonly socket: Socket;
	readonly localPort: number;
	readonly greeted = Promise.withResolvers<Hello["hello"]>();
	hello!: Hello["hello"];
	heardMs = performance.now();
	readonly #events: WireEvents;
	#connection: Connection<JsonWire> | undefined;
	/** What came with the greeting, before anybody could know of it. */
	#early: ServerMessage[] | undefined = [];
	/** How it ended before anybody knew of it. */
	#ended: string | undefined;

	constructor(socket: Socket, events: WireEvents) {
		this.socket = socket;
		this.localPort = socket.localPort ?? 0;
		this.#events = events;
	}

	/** From here on the owner is told. Throws where it has ended already. */
	open(connection: Connection<JsonWire>, hello: Hello["hello"]): void {
		this.hello = hello;
		this.#connection = connection;
		const early = this.#early ?? [];
		this.#early = undefined;
		if (this.#ended !== undefined) {
			throw new Error(this.#ended);
		}
		for (const message of early) {
			this.#events.message(message);
		}
	}

	receive(text: string): void {
		this.heardMs = performance.now();
		const message = jsonClient.decode(text);
		if ("hello" in message) {
			this.greeted.resolve(message.hello);
		} else if (this.#early !== undefined) {
			this.#early.push(message);
		} else {
			this.#events.message(message);
		}
	}

	ended(code: number, reason: string): void {
		if (this.#early === undefined) {
			this.#events.lost(code, reason);
		} else {
			this.#ended = `closed with ${code}${reason === "" ? "" : `: ${reason}`}`;
			this.greeted.reject(new Error(this.#ended));
		}
	}

	/** The server broke the protocol: no more of this connection. */
	fail(reason: string): void {
		if (this.#connection === undefined) {
			this.greeted.reject(new Error(reason));
		}
		this.#connection?.close(PROTOCOL_ERROR, "this is not tidewire.v1.json");
	}

	send(message: object): void {
		this.#connection?.sendText(JSON.stringify(message));
	}

	close(): void {
		this.#connection?.close(1000);
	}

	drop(): void {
		this.socket.destroy();
	}
}

const decoder = new TextDecoder();

const handler = socketHandler<JsonWire>({
	message: (wire, data) => {
		try {
			wire.receive(decoder.decode(data));
		} catch (error) {
			if (!(error instanceof ProtocolError)) {
				throw error;
			}
			wire.fail(`the server sent what is no message: ${error.message}`);
		}
	},
	ping: () => {},
	pong: () => {},
	close: (wire, code, reason) => wire.ended(code, reason),
});

/** Connects and waits for the greeting. Rejects with an `Error` whose words say why there is no connection. */
export async function dial({ url, via, token }: Route, events: WireEvents, signal?: AbortSignal): Promise<Wire> {
	const { connection, context } = await connectWebSocket<JsonWire>(
		url,
		{
			context: (socket) => new JsonWire(socket, events),
			protocols: [jsonClient.subprotocol],
			handshakeTimeoutMs: TIMEOUT_MS,
			...(via === undefined ? {} : { via }),
			...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
			...(signal === undefined ? {} : { signal }),
		},
		handler,
	);
	const timer = setTimeout(() => context.greeted.reject(new Error("the server did not greet in time")), TIMEOUT_MS);
	try {
		context.open(connection, await context.greeted.promise);
		return context;
	} catch (cause) {
		context.drop();
		throw new Error(wordsOf(cause), { cause });
	} finally {
		clearTimeout(timer);
	}
}
