/**
 * One connection of the load: the enveloped protocol over our own engine on a bare socket, without the SDK's comfort.
 * It does not come back: a connection that ends during a measurement is a finding. Channel messages take a short way
 * (`delivery.ts`); everything else is parsed.
 */
import type { Socket } from "node:net";
import { type Connection, WebSocketError } from "@tidewire/websocket";
import { connectWebSocket, socketHandler } from "@tidewire/websocket/node";
import { CliError, wordsOf } from "../error.ts";
import { type ChannelNames, type Delivery, DeliveryReader } from "./delivery.ts";

/** Where the server is, and as whom. */
export interface Target {
	readonly url: string;
	readonly token?: string | undefined;
}

/** A server's refusal, as the wire has it. */
export interface WireError {
	readonly code: string;
	readonly message: string;
	readonly retryable?: boolean;
}

export type Fields = Readonly<Record<string, unknown>>;

export interface Reply {
	readonly error?: WireError;
	readonly position?: string;
}

export interface LoadListener {
	/** A message of one of the bench's channels. `delivery` is valid during this call only. */
	message(client: LoadClient, delivery: Delivery): void;
	/** Anything else about a channel: gaps, resets, the end of a subscription. */
	event(client: LoadClient, event: Fields): void;
	/** An error that answers no id. */
	error(client: LoadClient, error: WireError): void;
	/** The connection has ended, and we did not end it. */
	closed(client: LoadClient, why: string): void;
}

const SUBPROTOCOL = "tidewire.v1.json";
const decoder = new TextDecoder();

interface LoadContext {
	readonly socket: Socket;
	client: LoadClient | undefined;
	/** What came before there was a client to take it. */
	readonly early: Fields[];
	closedEarly: string | undefined;
}

const handler = socketHandler<LoadContext>({
	message: (context, data) => {
		if (context.client === undefined) {
			context.early.push(parse(data));
		} else {
			context.client.receive(data);
		}
	},
	ping: () => {},
	pong: () => {},
	close: (context, code, reason) => {
		const why = reason === "" ? `code ${code}` : `code ${code}, ${reason}`;
		if (context.client === undefined) {
			context.closedEarly = why;
		} else {
			context.client.ended(why);
		}
	},
});

export class LoadClient {
	readonly #connection: Connection<LoadContext>;
	readonly #socket: Socket;
	readonly #listener: LoadListener;
	readonly #reader: DeliveryReader;
	readonly #waiting = new Map<number, (reply: Reply) => void>();
	#nextId = 1;
	#leaving = false;
	#closed: string | undefined;
	#onHello: (() => void) | undefined;

	private constructor(connection: Connection<LoadContext>, names: ChannelNames, listener: LoadListener) {
		this.#connection = connection;
		this.#socket = connection.context.socket;
		this.#listener = listener;
		this.#reader = new DeliveryReader(names);
	}

	/** Connects and waits for the server's hello. Throws `CliError` in words for the person. */
	static async open(target: Target, names: ChannelNames, listener: LoadListener): Promise<LoadClient> {
		const { url, token } = target;
		const { connection, context } = await connectWebSocket<LoadContext>(
			url,
			{
				context: (socket) => ({ socket, client: undefined, early: [], closedEarly: undefined }),
				protocols: [SUBPROTOCOL],
				...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
			},
			handler,
		).catch((cause: unknown) => {
			throw new CliError("failure", `no WebSocket connection to ${placeOf(url)}: ${reasonOf(cause)}`, { cause });
		});
		const client = new LoadClient(connection, names, listener);
		context.client = client;
		const greeted = new Promise<void>((resolve) => {
			client.#onHello = resolve;
		});
		for (const message of context.early) {
			client.#take(message);
		}
		if (context.closedEarly !== undefined) {
			client.ended(context.closedEarly);
		}
		await greeted;
		if (client.#closed !== undefined) {
			throw new CliError("failure", `${placeOf(url)} closed the connection: ${client.#closed}`);
		}
		return client;
	}

	/** What waits in this process because the server does not read it. */
	get unsentBytes(): number {
		return this.#socket.writableLength;
	}

	/** Sends a message that is answered, given as the fields after its id: JSON with neither brace. */
	request(fields: string, answered: (reply: Reply) => void): void {
		if (this.#closed !== undefined) {
			answered({ error: { code: "closed", message: `the connection is closed: ${this.#closed}` } });
			return;
		}
		const id = this.#nextId++;
		this.#waiting.set(id, answered);
		this.#connection.sendText(`{"id":${id},${fields}}`);
	}

	/** Sends a message that is not answered, but where it is refused. */
	send(fields: string): void {
		this.#connection.sendText(`{${fields}}`);
	}

	/** Everything that is sent from within becomes one write. */
	together(send: () => void): void {
		this.#socket.cork();
		send();
		this.#socket.uncork();
	}

	/** Resolves with the offset behind which delivery starts. */
	subscribe(channel: string): Promise<number> {
		return new Promise((resolve, reject) => {
			this.request(`"action":"subscribe","channel":${JSON.stringify(channel)}`, ({ error, position }) => {
				if (error === undefined) {
					resolve(offsetOf(position));
				} else {
					const words = `the server does not let this subscribe to ${channel}: ${error.message} (${error.code})`;
					reject(new CliError("failure", words));
				}
			});
		});
	}

	/** Reads nothing more, until the process ends. What the server makes of it is no finding. */
	stall(): void {
		this.#leaving = true;
		this.#socket.pause();
	}

	close(): void {
		this.#leaving = true;
		this.#connection.close();
	}

	/** For the engine's handler. */
	receive(bytes: Uint8Array): void {
		if (this.#reader.read(bytes)) {
			this.#listener.message(this, this.#reader.delivery);
		} else {
			this.#take(parse(bytes));
		}
	}

	/** For the engine's handler. */
	ended(why: string): void {
		if (this.#closed !== undefined) {
			return;
		}
		this.#closed = why;
		this.#onHello?.();
		const error: WireError = { code: "closed", message: `the connection was closed: ${why}` };
		for (const answered of this.#waiting.values()) {
			answered({ error });
		}
		this.#waiting.clear();
		if (!this.#leaving && this.#onHello === undefined) {
			this.#listener.closed(this, why);
		}
	}

	#take(message: Fields): void {
		if (typeof message.ack === "number") {
			this.#waiting.get(message.ack)?.(message as Reply);
			this.#waiting.delete(message.ack);
		} else if (message.hello !== undefined) {
			this.#onHello?.();
			this.#onHello = undefined;
		} else if (message.error !== undefined) {
			this.#listener.error(this, message.error as WireError);
		} else if (this.#reader.readParsed(message)) {
			this.#listener.message(this, this.#reader.delivery);
		} else if (typeof message.event === "string") {
			this.#listener.event(this, message);
		}
	}
}

/** The offset of a position such as `k3f9:42`; 0 where there is none. */
export function offsetOf(position: unknown): number {
	return typeof position === "string" ? Number(position.slice(position.lastIndexOf(":") + 1)) || 0 : 0;
}

/** The URL without its query, which may hold a token. */
export function placeOf(url: string): string {
	const { protocol, host, pathname } = new URL(url);
	return `${protocol}//${host}${pathname}`;
}

function parse(bytes: Uint8Array): Fields {
	const value: unknown = JSON.parse(decoder.decode(bytes));
	return typeof value === "object" && value !== null ? (value as Fields) : {};
}

const REASONS: Readonly<Record<string, string>> = {
	ECONNREFUSED: "nothing listens there (ECONNREFUSED)",
	ENOTFOUND: "no such host (ENOTFOUND)",
	EMFILE: "this machine allows no more open files in a process (EMFILE; ulimit -n)",
	EADDRNOTAVAIL: "this machine has no free port for another connection to there (EADDRNOTAVAIL)",
};

function reasonOf(error: unknown): string {
	if (!(error instanceof WebSocketError)) {
		return wordsOf(error);
	}
	const cause: unknown = error.cause;
	const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : undefined;
	return code === undefined ? error.message : (REASONS[code] ?? `${wordsOf(cause)} (${code})`);
}
