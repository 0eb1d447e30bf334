/**
 * The imperative shell: carries out what the connection machine, the requests and the subscriptions decide, with one
 * link, one timer and the environment. It makes no decision of its own about when to connect, resend or resubscribe.
 */
import { type ClientMessage, type Hello, jsonClient, type MessageId, type ServerMessage } from "@tidewire/protocol";
import { hintMs } from "./backoff.ts";
import type { ClientEvents, ClientState, ConnectOptions } from "./client.ts";
import { systemEnvironment } from "./environment.ts";
import { fromWire, TidewireError } from "./error.ts";
import { type Answered, type Link, openLink } from "./link.ts";
import {
	type Connection,
	type ConnectionEvent,
	deadlineOf,
	type Effect,
	type Greeting,
	IDLE,
	step,
} from "./machine.ts";
import { type Answer, createRequests, type RequestKind } from "./requests.ts";
import type { Listener, Start } from "./subscription.ts";
import { createSubscriptions, type Question, type Subscriptions } from "./subscriptions.ts";

/** A streaming reply's reader. */
export interface StreamReader {
	push(item: unknown): void;
	end(error?: TidewireError): void;
}

export interface Shell {
	readonly state: ClientState;
	readonly session: string | undefined;
	/** Why the client is not connected. */
	readonly why: TidewireError;
	readonly subscriptions: Subscriptions;
	on<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): () => void;
	/** Sends a question as soon as there is a connection. A refusal to take it goes to `answer`, too. */
	request(kind: RequestKind, question: Question, answer: Answer, timeoutMs: number | undefined, id?: number): void;
	/** As `request`, for a streaming reply. Returns how to cancel it. */
	stream(question: Question, reader: StreamReader, timeoutMs: number): () => void;
	/** Throws `closed`, and as `Subscriptions.join`. */
	subscribe(channel: string, listener: Listener, start: Start): () => void;
	/** Resolves when the socket is closed, or does not close in time. */
	close(): Promise<void>;
}

/** How long `close` waits for the closing handshake. */
const CLOSE_TIMEOUT_MS = 2_000;

/** setTimeout knows 31 bits; a longer wait is waited in parts. */
const LONGEST_TIMER_MS = 1_000_000_000;

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

export function createShell(url: string, options: ConnectOptions): Shell {
	const { now, random, setTimer, watchNetwork } = { ...systemEnvironment(), ...options.environment };
	const terms = {
		backoff: { baseMs: 1_000, maxMs: options.maxBackoffMs ?? 30_000 },
		connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
		pongTimeoutMs: 5_000,
		stableMs: 10_000,
	};
	const requests = createRequests(options.maxRequests ?? 1_000, options.maxRequestBytes ?? 8_388_608);
	const subscriptions = createSubscriptions({ now, random, isOpen, emit, error: report, call, ask, arm, fault });
	const streams = new Map<MessageId, { readonly reader: StreamReader; next: number }>();
	const listeners: { [E in keyof ClientEvents]: Set<ClientEvents[E]> } = {
		state: new Set(),
		error: new Set(options.onError && [options.onError]),
		gap: new Set(),
		reset: new Set(),
	};
	const events: ConnectionEvent[] = [];
	let dispatching = false;
	let connection: Connection = IDLE;
	let state: ClientState = "connecting";
	let link: Link | undefined;
	/** When a token is to be replaced before it expires. */
	let refreshAt = Number.POSITIVE_INFINITY;
	let timer: { readonly at: number; readonly stop: () => void } | undefined;
	const stopWatching = watchNetwork((type) => dispatch({ type }));
	const shell: Shell = {
		get state() {
			return state;
		},
		get session() {
			return connection.session?.id;
		},
		get why() {
			return connection.why ?? new TidewireError("closed", "the client was closed");
		},
		subscriptions,
		on(event, listener) {
			listeners[event].add(listener);
			return () => listeners[event].delete(listener);
		},
		request(kind, question, answer, timeoutMs = options.requestTimeoutMs ?? 60_000, id = requests.nextId()) {
			try {
				refuseClosed();
				const payload = encode({ ...question, id } as ClientMessage);
				requests.add({ id, kind, payload, answer, expiresAt: now() + timeoutMs });
				flush();
			} catch (error) {
				answer.reject(error as TidewireError);
			}
		},
		stream(question, reader, timeoutMs) {
			const id = requests.nextId();
			const end = (error?: TidewireError): void => {
				streams.delete(id);
				reader.end(error);
			};
			streams.set(id, { reader, next: 0 });
			shell.request("stream", question, { resolve: () => end(), reject: end }, timeoutMs, id);
			return () => {
				if (streams.delete(id) && requests.forget(id)) {
					ask({ type: "cancel", of: id });
				}
			};
		},
		subscribe(channel, listener, start) {
			refuseClosed();
			return subscriptions.join(channel, listener, start);
		},
		async close() {
			dispatch({ type: "close" });
			let stop = (): void => {};
			const late = new Promise<void>((resolve) => {
				stop = setTimer(resolve, CLOSE_TIMEOUT_MS);
			});
			await Promise.race([link?.closed, late]);
			stop();
		},
	};

	function refuseClosed(): void {
		if (state === "closed") {
			throw shell.why;
		}
	}

	/** Application code must not break ours: what it throws becomes an uncaught error, as in an event handler. */
	function call(callback: () => void): void {
		try {
			callback();
		} catch (error) {
			queueMicrotask(() => {
				throw error;
			});
		}
	}

	/** False: nobody listened. */
	function emit<E extends keyof ClientEvents>(event: E, ...told: Parameters<ClientEvents[E]>): boolean {
		const hearing = [...listeners[event]] as unknown as readonly ((...args: typeof told) => void)[];
		for (const listener of hearing) {
			call(() => listener(...told));
		}
		return hearing.length > 0;
	}

	function report(error: TidewireError): void {
		if (!emit("error", error)) {
			console.error(error);
		}
	}

	function isOpen(): boolean {
		return connection.phase.name === "open";
	}

	/** One event at a time: what happens meanwhile (a listener that closes the client) waits. */
	function dispatch(event: ConnectionEvent): void {
		events.push(event);
		if (dispatching) {
			return;
		}
		dispatching = true;
		for (let next = events.shift(); next !== undefined; next = events.shift()) {
			const wasOpen = isOpen();
			const after = step(connection, next, { now: now(), random: random(), terms });
			connection = after.connection;
			if (wasOpen && !isOpen()) {
				refreshAt = Number.POSITIVE_INFINITY;
				requests.disconnected();
				subscriptions.disconnected();
			}
			after.effects.forEach(perform);
			announce();
		}
		dispatching = false;
		// What is heard only puts a deadline off: the timer finds that out when it fires, not with each message.
		if (event.type !== "heard") {
			arm();
		}
	}

	function fault(error: TidewireError): void {
		dispatch({ type: "fault", serial: connection.serial, error });
	}

	function perform(effect: Effect): void {
		const { serial } = connection;
		switch (effect.type) {
			case "askToken":
				askToken().then(
					(token) => dispatch({ type: "token", serial, token }),
					(error: TidewireError) => dispatch({ type: "tokenFailed", serial, error }),
				);
				break;
			case "open":
				link = openLink(
					url,
					options.webSocket ?? WebSocket,
					jsonClient,
					(event) => dispatch({ ...event, serial }),
					receive,
				);
				break;
			case "auth":
				authorize(effect.token, (error) =>
					dispatch(error ? { type: "refused", serial, error } : { type: "authorized", serial }),
				);
				break;
			case "resume":
				ask({ type: "resume", token: effect.token }, (ack, error) =>
					dispatch(
						error
							? { type: "refused", serial, error: fromWire(error) }
							: { type: "resumed", serial, resumed: ack?.resumed === true, session: ack?.session, resume: ack?.resume },
					),
				);
				break;
			case "ping":
				ask({ type: "ping" });
				break;
			case "drop":
				link?.drop(effect.code, effect.reason);
				break;
			case "ready":
				requests.connected(effect.resumed, connection.session?.windowMs ?? 0, now());
				subscriptions.askDue();
				flush();
				break;
			case "report":
				report(effect.error);
		}
	}

	async function askToken(): Promise<string | undefined> {
		const { token } = options;
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

	function authorize(token: string, done: (error: TidewireError | undefined) => void): void {
		ask({ type: "auth", token }, (ack, error) => {
			const expiresInMs = hintMs(ack?.expiresIn, Number.MAX_SAFE_INTEGER);
			if (expiresInMs > 0 && typeof options.token === "function") {
				// Early enough for a slow token function, and never so often that it becomes a burden.
				refreshAt = now() + Math.max(expiresInMs * 0.8, 5_000);
				arm();
			}
			done(error && fromWire(error));
		});
	}

	/** Replaces a token that will expire, without a disconnect. Where that fails, the server ends it with 4002. */
	function refresh(): void {
		const asking = link;
		const done = (error: TidewireError | undefined): void => error && report(error);
		refreshAt = Number.POSITIVE_INFINITY;
		askToken().then((token) => asking === link && token !== undefined && authorize(token, done), done);
	}

	function ask(question: Question, answered: Answered = () => {}): void {
		link?.ask({ ...question, id: requests.nextId() } as ClientMessage & { id: number }, answered);
	}

	function encode(message: ClientMessage): string | Uint8Array {
		try {
			return jsonClient.encode(message);
		} catch (cause) {
			throw new TidewireError("bad_request", "this cannot be written as JSON", { cause });
		}
	}

	/** A server message that answers no question of the link. */
	function receive(message: ServerMessage): void {
		const { serial } = connection;
		if ("ack" in message && message.ack !== undefined) {
			requests.answered(message.ack, message.error ? fromWire(message.error) : message);
		} else if ("channel" in message && !("ack" in message)) {
			subscriptions.received(message);
		} else if ("reply" in message) {
			streamed(message.reply, message.seq, message.data);
		} else if ("hello" in message) {
			dispatch({ type: "hello", serial, hello: greetingOf(message.hello) });
		} else if ("reconnect" in message) {
			dispatch({ type: "move", serial, after: message.reconnect.after });
		} else if ("error" in message && message.error) {
			report(fromWire(message.error));
		}
	}

	function streamed(id: MessageId, seq: number, data: unknown): void {
		const stream = streams.get(id);
		if (stream?.next === seq) {
			stream.next += 1;
			stream.reader.push(data);
		} else if (stream) {
			requests.answered(id, new TidewireError("protocol", `item ${stream.next} of a streaming reply is missing`));
		}
	}

	/** Sends what waits, in the order of the calls. */
	function flush(): void {
		if (isOpen()) {
			for (const payload of requests.unwritten(now())) {
				link?.send(payload);
			}
		}
		arm();
	}

	/** Tells the application of a new state, and everybody of the end. */
	function announce(): void {
		const { phase, why } = connection;
		if (STATES[phase.name] === state) {
			return;
		}
		state = STATES[phase.name];
		if (state === "closed") {
			stopWatching();
			requests.close(shell.why);
			subscriptions.end(why);
		}
		emit("state", state, why);
	}

	/** One timer for everything. */
	function arm(): void {
		const open = isOpen() ? Math.min(refreshAt, subscriptions.dueAt()) : Number.POSITIVE_INFINITY;
		const at = Math.min(deadlineOf(connection, terms), requests.deadline(), open);
		if (state === "closed" || (timer?.at ?? Number.POSITIVE_INFINITY) > at) {
			timer?.stop();
			timer = undefined;
		}
		if (state !== "closed" && timer === undefined) {
			const delay = Math.min(Math.max(0, Math.ceil(at - now())), LONGEST_TIMER_MS);
			timer = { at, stop: setTimer(tick, delay) };
		}
	}

	function tick(): void {
		timer = undefined;
		for (const payload of requests.sweep(now(), isOpen())) {
			link?.send(payload);
		}
		if (refreshAt <= now()) {
			refresh();
		}
		subscriptions.askDue();
		dispatch({ type: "tick" });
	}

	dispatch({ type: "start" });
	return shell;
}

/** A hello's figures within reason: a server can neither make us ping without pause nor fall silent for good (S45). */
function greetingOf({ session, resume, heartbeat, window }: Hello["hello"]): Greeting {
	return {
		session,
		resume,
		heartbeatMs: Math.max(hintMs(heartbeat) || 30_000, 1_000),
		windowMs: hintMs(window, 86_400_000) || 300_000,
	};
}
