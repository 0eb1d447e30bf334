/**
 * The imperative shell: carries out what the connection machine, the requests and the subscriptions decide, with one
 * link, one timer and the environment. It makes no decision of its own about when to connect, resend or resubscribe.
 */
import {
	type ClientCodec,
	type ClientMessage,
	jsonClient,
	type MessageId,
	type ServerMessage,
	type SubscribeTarget,
	type WireError,
} from "@tidewire/protocol";
import { type Backoff, hintMs } from "./backoff.ts";
import type { SubscribeOptions } from "./channel.ts";
import type { ClientEvents, ClientState, ConnectOptions } from "./client.ts";
import { type Environment, systemEnvironment } from "./environment.ts";
import { fromWire, TidewireError } from "./error.ts";
import { Link } from "./link.ts";
import {
	type Connection,
	type ConnectionEvent,
	deadlineOf,
	type Effect,
	type Greeting,
	IDLE,
	step,
	type Terms,
} from "./machine.ts";
import { type Answer, type RequestKind, Requests } from "./requests.ts";
import { type Listener, Subscription, type SubscriptionOwner } from "./subscription.ts";

/** A message that can be answered, before it has its id. */
type Unnumbered<M> = M extends { readonly type: "bare" } ? never : Omit<M, "id">;
type Question = Unnumbered<ClientMessage>;

/** One channel's answer to `subscribe`, as far as the codec has not checked it. */
type Row =
	| ({ readonly [Field in "channel" | "position" | "recovered"]?: unknown } & { readonly error?: WireError })
	| undefined;

/** A streaming reply's reader. */
export interface StreamReader {
	push(item: unknown): void;
	end(error?: TidewireError): void;
}

/** The protocol's bound on one `subscribe`. */
const SUBSCRIBE_BATCH = 100;

/** How long `close` waits for the closing handshake. */
const CLOSE_TIMEOUT_MS = 2_000;

/** setTimeout knows 31 bits; a longer wait is waited in parts. */
const LONGEST_TIMER_MS = 1_000_000_000;

export class Shell implements SubscriptionOwner {
	readonly #url: string;
	readonly #options: ConnectOptions;
	readonly #environment: Environment;
	readonly #codec: ClientCodec = jsonClient;
	readonly #terms: Terms;
	readonly #requests: Requests;
	readonly #subscriptions = new Map<string, Subscription>();
	readonly #streams = new Map<MessageId, { readonly reader: StreamReader; next: number }>();
	readonly #listeners = new Map<keyof ClientEvents, Set<ClientEvents[keyof ClientEvents]>>();
	readonly #events: ConnectionEvent[] = [];
	readonly #stopWatching: () => void;
	#connection: Connection = IDLE;
	#state: ClientState = "connecting";
	#link: Link | undefined;
	#dispatching = false;
	/** When a token is to be replaced before it expires. */
	#refreshAt = Number.POSITIVE_INFINITY;
	#timer: { readonly at: number; readonly stop: () => void } | undefined;

	constructor(url: string, options: ConnectOptions) {
		this.#url = url;
		this.#options = options;
		this.#environment = { ...systemEnvironment(), ...options.environment };
		const backoff: Backoff = { baseMs: 1_000, maxMs: options.maxBackoffMs ?? 30_000 };
		const connectTimeoutMs = options.connectTimeoutMs ?? 10_000;
		this.#terms = { backoff, connectTimeoutMs, pongTimeoutMs: 5_000, stableMs: 10_000 };
		this.#requests = new Requests({
			maxRequests: options.maxRequests ?? 1_000,
			maxBytes: options.maxRequestBytes ?? 8_388_608,
		});
		if (options.onError !== undefined) {
			this.on("error", options.onError);
		}
		this.#stopWatching = this.#environment.watchNetwork((type) => this.#dispatch({ type }));
		this.#dispatch({ type: "start" });
	}

	get state(): ClientState {
		return this.#state;
	}

	get session(): string | undefined {
		return this.#connection.session?.id;
	}

	/** Why the client is not connected. */
	get why(): TidewireError {
		return this.#connection.why ?? new TidewireError("closed", "the client was closed");
	}

	on<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): () => void {
		const listeners = this.#listeners.get(event) ?? new Set();
		this.#listeners.set(event, listeners.add(listener));
		return () => listeners.delete(listener);
	}

	/** Sends a question as soon as there is a connection. A refusal to take it goes to `answer`, too. */
	request(
		kind: RequestKind,
		question: Question,
		answer: Answer,
		timeoutMs: number | undefined,
		id: number = this.#requests.nextId(),
	): void {
		try {
			if (this.#state === "closed") {
				throw this.why;
			}
			const payload = this.#encode({ ...question, id } as ClientMessage);
			const expiresAt = this.#environment.now() + (timeoutMs ?? this.#options.requestTimeoutMs ?? 60_000);
			this.#requests.add({ id, kind, payload, answer, expiresAt });
			this.#flush();
		} catch (error) {
			answer.reject(error as TidewireError);
		}
	}

	/** As `request`, for a streaming reply. Returns how to cancel it. */
	stream(question: Question, reader: StreamReader, timeoutMs: number): () => void {
		const id = this.#requests.nextId();
		const end = (error?: TidewireError): void => {
			this.#streams.delete(id);
			reader.end(error);
		};
		this.#streams.set(id, { reader, next: 0 });
		this.request("stream", question, { resolve: () => end(), reject: end }, timeoutMs, id);
		return () => {
			if (this.#streams.delete(id) && this.#requests.forget(id)) {
				this.#ask({ type: "cancel", of: id });
			}
		};
	}

	subscription(channel: string): Subscription | undefined {
		return this.#subscriptions.get(channel);
	}

	/** Throws `closed`, or `bad_request` where `since` or `rewind` come too late or make no sense. */
	subscribe(channel: string, listener: Listener, options: Pick<SubscribeOptions, "since" | "rewind">): () => void {
		if (this.#state === "closed") {
			throw this.why;
		}
		let subscription = this.#subscriptions.get(channel);
		if (subscription === undefined) {
			subscription = new Subscription(channel, options, this);
			this.#subscriptions.set(channel, subscription);
		} else if (options.since !== undefined || options.rewind !== undefined) {
			const text = `${channel} is subscribed already: since and rewind are the first subscriber's to choose`;
			throw new TidewireError("bad_request", text);
		}
		const joined = subscription;
		joined.add(listener);
		this.#subscribeDue();
		return () => {
			joined.remove(listener);
			if (joined.isEmpty && this.#subscriptions.get(channel) === joined) {
				this.#subscriptions.delete(channel);
				if (joined.askAt === undefined) {
					this.#ask({ type: "unsubscribe", channel });
				}
			}
		};
	}

	/** Resolves when the socket is closed, or does not close in time. */
	async close(): Promise<void> {
		const link = this.#link;
		this.#dispatch({ type: "close" });
		if (link !== undefined) {
			let stop = (): void => {};
			const late = new Promise<void>((resolve) => {
				stop = this.#environment.setTimer(resolve, CLOSE_TIMEOUT_MS);
			});
			await Promise.race([link.closed, late]);
			stop();
		}
	}

	error(error: TidewireError): void {
		if (!this.emit("error", error)) {
			console.error(error);
		}
	}

	/** Application code must not break ours: what it throws becomes an uncaught error, as in an event handler. */
	call(callback: () => void): void {
		try {
			callback();
		} catch (error) {
			queueMicrotask(() => {
				throw error;
			});
		}
	}

	/** False: nobody listened. */
	emit<E extends keyof ClientEvents>(event: E, ...told: Parameters<ClientEvents[E]>): boolean {
		const listeners = [...(this.#listeners.get(event) ?? [])];
		for (const listener of listeners) {
			this.call(() => (listener as (...args: Parameters<ClientEvents[E]>) => void)(...told));
		}
		return listeners.length > 0;
	}

	get #isOpen(): boolean {
		return this.#connection.phase.name === "open";
	}

	/** One event at a time: what happens meanwhile (a listener that closes the client) waits. */
	#dispatch(event: ConnectionEvent): void {
		this.#events.push(event);
		if (this.#dispatching) {
			return;
		}
		this.#dispatching = true;
		for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
			const { now, random } = this.#environment;
			const wasOpen = this.#isOpen;
			const { connection, effects } = step(this.#connection, next, {
				now: now(),
				random: random(),
				terms: this.#terms,
			});
			this.#connection = connection;
			if (wasOpen && !this.#isOpen) {
				this.#disconnected();
			}
			for (const effect of effects) {
				this.#perform(effect);
			}
			this.#announce();
		}
		this.#dispatching = false;
		this.#arm();
	}

	#perform(effect: Effect): void {
		const { serial } = this.#connection;
		switch (effect.type) {
			case "askToken":
				this.#askToken().then(
					(token) => this.#dispatch({ type: "token", serial, token }),
					(error: TidewireError) => this.#dispatch({ type: "tokenFailed", serial, error }),
				);
				break;
			case "open":
				this.#open(serial);
				break;
			case "auth":
				this.#authorize(effect.token, (error) =>
					this.#dispatch(error ? { type: "refused", serial, error } : { type: "authorized", serial }),
				);
				break;
			case "resume":
				this.#ask({ type: "resume", token: effect.token }, (ack, error) => {
					if (ack === undefined) {
						this.#dispatch({ type: "refused", serial, error: fromWire(error as WireError) });
						return;
					}
					const { resumed, session, resume } = ack;
					this.#dispatch({ type: "resumed", serial, resumed: resumed === true, session, resume });
				});
				break;
			case "ping":
				this.#ask({ type: "ping" });
				break;
			case "drop":
				this.#link?.drop(effect.code, effect.reason);
				break;
			case "ready":
				this.#requests.connected(effect.resumed, this.#connection.session?.windowMs ?? 0, this.#environment.now());
				this.#subscribeDue();
				this.#flush();
				break;
			case "report":
				this.error(effect.error);
		}
	}

	async #askToken(): Promise<string | undefined> {
		const { token } = this.#options;
		try {
			const given: unknown = typeof token === "function" ? await token() : token;
			if (given !== undefined && typeof given !== "string") {
				throw new TypeError("a token is a string");
			}
			return given;
		} catch (cause) {
			throw new TidewireError("token_failed", "the token function failed", { cause });
		}
	}

	#open(serial: number): void {
		this.#link = new Link(this.#url, this.#options.webSocket ?? WebSocket, this.#codec, {
			opened: () => this.#dispatch({ type: "opened", serial }),
			lost: (code, reason) => this.#dispatch({ type: "lost", serial, code, reason }),
			heard: () => this.#dispatch({ type: "heard", serial }),
			message: (message) => this.#receive(message, serial),
			fault: (error) => this.#dispatch({ type: "fault", serial, error }),
		});
	}

	#authorize(token: string, done: (error: TidewireError | undefined) => void): void {
		this.#ask({ type: "auth", token }, (ack, error) => {
			const expiresInMs = hintMs(ack?.expiresIn, Number.MAX_SAFE_INTEGER);
			if (expiresInMs > 0 && typeof this.#options.token === "function") {
				// Early enough for a slow token function, and never so often that it becomes a burden.
				this.#refreshAt = this.#environment.now() + Math.max(expiresInMs * 0.8, 5_000);
			}
			done(error && fromWire(error));
		});
	}

	/** Replaces a token that will expire, without a disconnect. Where that fails, the server ends it with 4002. */
	#refresh(): void {
		this.#refreshAt = Number.POSITIVE_INFINITY;
		const link = this.#link;
		const report = (error: TidewireError | undefined): void => error && this.error(error);
		this.#askToken().then((token) => {
			if (link === this.#link && this.#isOpen && token !== undefined) {
				this.#authorize(token, report);
				this.#arm();
			}
		}, report);
	}

	#ask(question: Question, answered: Parameters<Link["ask"]>[1] = () => {}): void {
		this.#link?.ask({ ...question, id: this.#requests.nextId() } as ClientMessage & { id: number }, answered);
	}

	#encode(message: ClientMessage): string | Uint8Array {
		try {
			return this.#codec.encode(message);
		} catch (cause) {
			throw new TidewireError("bad_request", "the data cannot be written as JSON", { cause });
		}
	}

	/** A server message that answers no question of the link. */
	#receive(message: ServerMessage, serial: number): void {
		const { now, random } = this.#environment;
		if ("ack" in message && message.ack !== undefined) {
			this.#requests.answered(message.ack, message.error ? fromWire(message.error) : message);
		} else if ("channel" in message && !("ack" in message)) {
			const subscription = this.#subscriptions.get(message.channel);
			if (subscription?.received(message, now(), random()) !== undefined) {
				this.#ask({ type: "unsubscribe", channel: message.channel });
			}
			this.#settle(subscription);
		} else if ("reply" in message) {
			this.#streamed(message.reply, message.seq, message.data);
		} else if ("hello" in message) {
			const hello = greetingOf(message.hello);
			this.#dispatch(
				hello === undefined
					? { type: "fault", serial, error: new TidewireError("protocol", "the server's hello makes no sense") }
					: { type: "hello", serial, hello },
			);
		} else if ("reconnect" in message) {
			this.#dispatch({ type: "move", serial, after: message.reconnect?.after });
		} else if ("error" in message && message.error !== undefined) {
			this.error(fromWire(message.error));
		}
	}

	#streamed(id: MessageId, seq: number, data: unknown): void {
		const stream = this.#streams.get(id);
		if (stream === undefined) {
			return;
		}
		if (seq === stream.next) {
			stream.next += 1;
			stream.reader.push(data);
			return;
		}
		this.#streams.delete(id);
		this.#requests.answered(id, new TidewireError("protocol", `item ${stream.next} of a streaming reply is missing`));
	}

	/** Sends what waits, in the order of the calls. */
	#flush(): void {
		if (this.#isOpen) {
			for (const payload of this.#requests.unwritten(this.#environment.now())) {
				this.#link?.send(payload);
			}
		}
		this.#arm();
	}

	/** Asks for the subscriptions that wait: together, except where one rewinds. */
	#subscribeDue(): void {
		const now = this.#environment.now();
		const together: SubscribeTarget[] = [];
		for (const subscription of this.#isOpen ? this.#subscriptions.values() : []) {
			if (subscription.askAt !== undefined && subscription.askAt <= now) {
				const { since, rewind } = subscription.asked(now);
				const target = { channel: subscription.channel, since };
				if (rewind !== undefined && since === null) {
					this.#subscribeTo([target], rewind);
				} else {
					together.push(target);
				}
			}
		}
		for (let start = 0; start < together.length; start += SUBSCRIBE_BATCH) {
			this.#subscribeTo(together.slice(start, start + SUBSCRIBE_BATCH));
		}
		this.#arm();
	}

	#subscribeTo(targets: readonly SubscribeTarget[], rewind?: SubscribeOptions["rewind"]): void {
		const { serial } = this.#connection;
		const asked = targets.map(({ channel }) => this.#subscriptions.get(channel));
		const many = targets.length > 1;
		const from = typeof rewind === "number" ? { messages: rewind } : rewind;
		this.#ask({ type: "subscribe", targets, many, ...(from && { rewind: from }) }, (ack, refusal) => {
			const { now, random } = this.#environment;
			const rows: readonly Row[] = many && Array.isArray(ack?.channels) ? ack.channels : [ack];
			for (const subscription of asked) {
				const row = many ? rows.find((one) => one?.channel === subscription?.channel) : rows[0];
				const error = refusal ?? row?.error;
				if (error !== undefined) {
					subscription?.refused(error, now(), random());
					this.#settle(subscription);
					continue;
				}
				const fault = subscription?.answered(row?.position, row?.recovered, now());
				if (fault !== undefined) {
					this.#dispatch({ type: "fault", serial, error: fault });
					return;
				}
			}
		});
	}

	/** After something that may have ended a subscription, or put it off. */
	#settle(subscription: Subscription | undefined): void {
		if (subscription?.state === "ended" && this.#subscriptions.get(subscription.channel) === subscription) {
			this.#subscriptions.delete(subscription.channel);
		}
		if (subscription?.askAt !== undefined) {
			this.#arm();
		}
	}

	#disconnected(): void {
		this.#refreshAt = Number.POSITIVE_INFINITY;
		this.#requests.disconnected();
		for (const subscription of this.#subscriptions.values()) {
			subscription.disconnected();
		}
	}

	/** Tells the application of a new state, and everybody of the end. */
	#announce(): void {
		const state = STATES[this.#connection.phase.name];
		if (state === this.#state) {
			return;
		}
		this.#state = state;
		if (state === "closed") {
			const { why } = this.#connection;
			this.#stopWatching();
			this.#requests.close(this.why);
			for (const subscription of this.#subscriptions.values()) {
				subscription.close(why);
			}
			this.#subscriptions.clear();
		}
		this.emit("state", state, this.#connection.why);
	}

	/** One timer for everything. A deadline that moved away is found out when the timer fires, not with each message. */
	#arm(): void {
		const { now, setTimer } = this.#environment;
		let at = Math.min(deadlineOf(this.#connection, this.#terms) ?? Number.POSITIVE_INFINITY, this.#requests.deadline);
		if (this.#isOpen) {
			at = Math.min(at, this.#refreshAt);
			for (const { askAt, overdueAt } of this.#subscriptions.values()) {
				at = Math.min(at, askAt ?? overdueAt ?? at);
			}
		}
		if (this.#state === "closed" || at === Number.POSITIVE_INFINITY) {
			this.#timer?.stop();
			this.#timer = undefined;
		} else if (this.#timer === undefined || this.#timer.at > at) {
			this.#timer?.stop();
			const delay = Math.min(Math.max(0, Math.ceil(at - now())), LONGEST_TIMER_MS);
			this.#timer = { at, stop: setTimer(() => this.#tick(), delay) };
		}
	}

	#tick(): void {
		this.#timer = undefined;
		const now = this.#environment.now();
		if (this.#requests.deadline <= now) {
			for (const payload of this.#requests.sweep(now, this.#isOpen)) {
				this.#link?.send(payload);
			}
		}
		if (this.#refreshAt <= now) {
			this.#refresh();
		}
		this.#subscribeDue();
		this.#dispatch({ type: "tick" });
		for (const { channel, overdueAt } of this.#isOpen ? this.#subscriptions.values() : []) {
			if (overdueAt !== undefined && overdueAt <= now) {
				const error = new TidewireError("protocol", `subscribing to ${channel} was not answered`);
				this.#dispatch({ type: "fault", serial: this.#connection.serial, error });
				return;
			}
		}
	}
}

const STATES = {
	idle: "connecting",
	authorizing: "connecting",
	connecting: "connecting",
	greeting: "connecting",
	open: "connected",
	waiting: "waiting",
	suspended: "offline",
	closed: "closed",
} as const;

/** A hello's figures within reason: a server can neither make us ping without pause nor fall silent for good (S45). */
function greetingOf(
	hello: Partial<Record<keyof Greeting | "heartbeat" | "window", unknown>> | null,
): Greeting | undefined {
	const { session, resume, heartbeat, window } = hello ?? {};
	if (typeof session !== "string" || typeof resume !== "string") {
		return undefined;
	}
	return {
		session,
		resume,
		heartbeatMs: Math.max(hintMs(heartbeat) || 30_000, 1_000),
		windowMs: hintMs(window, 86_400_000) || 300_000,
	};
}
