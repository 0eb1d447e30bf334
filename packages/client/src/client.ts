/**
 * What an application sees of a connection: the client that `connect()` returns and the options it takes. Types only;
 * `connect.ts` makes the client.
 */
import type {
	ActionInput,
	ActionItem,
	ActionName,
	ActionOutput,
	ChannelData,
	ChannelInput,
	ChannelName,
	Contract,
	StreamingActionName,
} from "@tidewire/contract";
import type { ClientCodec } from "@tidewire/protocol";
import type { Channel, Gap, RequestOptions, Reset } from "./channel.ts";
import type { Environment } from "./environment.ts";
import type { TidewireError } from "./error.ts";
import type { Session } from "./machine.ts";
import type { Requests } from "./requests.ts";

/** What makes publishes and their session outlive a client. `@tidewire/client/outbox` makes one. */
export interface Outbox {
	/** Steps between a client and its requests. */
	attach(requests: Requests, client: OutboxClient): Requests;
	/** The session to go on with, when what was kept has been read. Asked before each connection. */
	session(): Promise<Session | undefined>;
	/** Resolves when, after its requests' `close`, all is written and somebody else may have it. */
	readonly closed: Promise<void>;
}

/** What an outbox needs of its client. */
export interface OutboxClient extends Pick<Environment, "now"> {
	/** Something may be due. */
	flush(): void;
	/** Trouble that belongs to no call. */
	report(error: TidewireError): void;
}

/** Where channels were: a Map does. Read when a channel is first subscribed to, written behind each delivery. */
export interface Positions {
	get(channel: string): string | undefined;
	set(channel: string, position: string): unknown;
	/** Nobody listens to the channel any more, because its listeners have left. */
	delete(channel: string): unknown;
}

/** `waiting`: for the next try. `offline`: the system has no network. `closed` is final. */
export type ClientState = "connecting" | "connected" | "waiting" | "offline" | "closed";

export interface ConnectOptions {
	/** The credential, or a function that is asked for it before each connection: also when the last one has expired. */
	readonly token?: string | (() => string | Promise<string>);
	/** How messages are written: JSON by default; `msgpackClient` of `@tidewire/protocol/msgpack` is another. */
	readonly codec?: ClientCodec;
	/** The WebSocket class, where the global one is not to be used. */
	readonly webSocket?: typeof WebSocket;
	/**
	 * How long a publish, action or history waits for its answer, the time without a connection included; default
	 * 60,000. Raise it for work that may wait out a long disconnect.
	 */
	readonly requestTimeoutMs?: number;
	/** How many requests may wait for their answers; default 1,000. One more is rejected with `limit_reached`. */
	readonly maxRequests?: number;
	/** How many characters or bytes they may hold together; default 8,388,608. */
	readonly maxRequestBytes?: number;
	/** Keeps publishes, and the session that they count in, over reloads: see `@tidewire/client/outbox`. For one client. */
	readonly outbox?: Outbox;
	/** Keeps where channels were, over reloads: `outbox.positions`, or a Map that outlives the client. */
	readonly positions?: Positions;
	/** How long a connection may take to be open and greeted, each; default 10,000. */
	readonly connectTimeoutMs?: number;
	/** The longest wait between two tries; default 30,000. Lower it for few clients and a near server. */
	readonly maxBackoffMs?: number;
	/** Clock, randomness and network events; for tests and for runtimes that hide them elsewhere. */
	readonly environment?: Partial<Environment>;
	/** Trouble that belongs to no call. The same as `on("error", …)`, from the first moment on. */
	readonly onError?: (error: TidewireError) => void;
}

export interface ClientEvents {
	/** `why` is there when a connection was lost or refused. */
	readonly state: (state: ClientState, why: TidewireError | undefined) => void;
	readonly error: (error: TidewireError) => void;
	/** Any channel's gap. */
	readonly gap: (channel: string, gap: Gap) => void;
	/** Any channel's reset. */
	readonly reset: (channel: string, reset: Reset) => void;
}

export interface Client<C extends Contract> {
	readonly state: ClientState;
	/** The session's name, once connected. It opens nothing. */
	readonly session: string | undefined;
	/** Returns how to stop. */
	on<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): () => void;
	/** The handle of a channel; nothing is sent before it is used. */
	channel<const N extends ChannelName<C>>(name: N): Channel<ChannelData<C, N>, ChannelInput<C, N>>;
	/**
	 * Calls an action. Performed once, also when it is resent. Resolves with the action's output, rejects with
	 * `TidewireError`.
	 */
	action<const N extends ActionName<C>>(
		name: N,
		...call: CallArguments<ActionInput<C, N>, RequestOptions>
	): Promise<ActionOutput<C, N>>;
	/** Calls an action that answers with a stream. Ending the loop early cancels it. */
	stream<const N extends StreamingActionName<C>>(
		name: N,
		...call: CallArguments<ActionInput<C, N>, StreamOptions>
	): AsyncIterableIterator<ActionItem<C, N>>;
	/** Resolves when connected; rejects when closed for good. */
	ready(): Promise<void>;
	/** Ends everything. What waits is rejected. */
	close(): Promise<void>;
}

/** An action without input is called without one. */
export type CallArguments<Input, Options> = undefined extends Input
	? [input?: Input, options?: Options]
	: [input: Input, options?: Options];

export interface StreamOptions extends RequestOptions {
	/** How many items may wait to be read; default 1,024. One more ends the stream with `reader_too_slow`. */
	readonly bufferItems?: number;
	readonly signal?: AbortSignal;
}
