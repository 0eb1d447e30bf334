/**
 * The imperative shell: carries out what the connection machine, the requests and the subscriptions decide, with one
 * link, one timer and the environment. It makes no decision of its own about when to connect, resend or resubscribe.
 */
import { type ClientMessage, type Hello, jsonClient, type MessageId, type ServerMessage } from "@tidewire/protocol";
import { hintMs } from "./backoff.ts";
import type { RequestOptions } from "./channel.ts";
import type { ClientEvents, ClientState, ConnectOptions } from "./client.ts";
import { systemEnvironment } from "./environment.ts";
import { fromWire, TidewireError } from "./error.ts";
import { type Answered, type Link, openLink, type Question } from "./link.ts";
import {
	type ConnectionEvent,
	deadlineOf,
	type Effect,
	type Greeting,
	type Moment,
	type Session,
	start,
	step,
} from "./machine.ts";
import { type Answer, createRequests, type RequestKind } from "./requests.ts";
import type { Listener, Start } from "./subscription.ts";
import { createSubscriptions, type Subscriptions } from "./subscriptions.ts";

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
	request(kind: RequestKind, question: Question, answer: Answer, options?: RequestOptions, id?: number): void;
	/** As `request`, for a streaming reply. Returns how to cancel it. */
	stream(question: Question, reader: StreamReader, timeoutMs: number): () => void;
	/** Throws `closed`, and as `Subscriptions.join`. */
	subscribe(channel: string, listener: Listener, start: Start): () => void;
	/** Resolves when the socket is closed, and the outbox, if there is one. */
	close(): Promise<void>;
}

export function createShell(url: string, options: ConnectOptions): Shell {
	const {
		connectTimeoutMs = 10_000,
		environment,
		maxBackoffMs = 30_000,
		maxRequestBytes = 8_388_608,
		maxRequests = 1_000,
		onError,
		outbox,
		positions,
		requestTimeoutMs = 60_000,
		token,
		codec = jsonClient,
		webSocket = WebSocket,
	} = options;
	const { now, random, setTimer, watchNetwork } = { ...systemEnvironment(), ...environment };
	const plain = createRequests(maxRequests, maxRequestBytes);
	const requests = outbox?.attach(plain, { now, flush, report }) ?? plain;
	const subscriptions = createSubscriptions({
		now,
		random,
		positions,
		isOpen,
		emit,
		error: report,
		call,
		ask,
		arm,
		fault,
	});
	const streams = new Map<MessageId, { readonly reader: StreamReader; next: number }>();
	const listeners: { [E in keyof ClientEvents]: Set<ClientEvents[E]> } = {
		state: new Set(),
		error: new Set(onError ? [onError] : []),
		gap: new Set(),
		reset: new Set(),
	};
	const events: ConnectionEvent[] = [];
	let dispatching = false;
	const moment = (): Moment => ({ now: now(), random: random(), connectTimeoutMs, maxBackoffMs });
	const first = start(moment());
	let { connection } = first;
	let state: ClientState = "connecting";
	let link: Link | undefined;
	let stopTimer = (): void => {};
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
		request(kind, question, answer, { timeoutMs, keep } = {}, id = requests.nextId()) {
			try {
				refuseClosed();
				const payload = encode({ ...question, id } as ClientMessage);
				// What is kept outlives the client: it waits for as long as it takes, unless the caller says otherwise.
				const patience = timeoutMs ?? (keep && outbox ? Number.POSITIVE_INFINITY : requestTimeoutMs);
				requests.add({ id, kind, payload, answer, keep, expiresAt: now() + patience });
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
			shell.request("stream", question, { resolve: () => end(), reject: end }, { timeoutMs }, id);
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
			await Promise.all([link?.closed, outbox?.closed]);
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
		return connection.phase.name === "connected";
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
			const after = step(connection, next, moment());
			connection = after.connection;
			if (wasOpen && !isOpen()) {
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
					(answer) => dispatch({ type: "token", serial, ...answer }),
					(error: TidewireError) => dispatch({ type: "tokenFailed", serial, error }),
				);
				break;
			case "open":
				link = openLink(url, webSocket, codec, (event) => dispatch({ ...event, serial }), receive);
				break;
			case "auth":
			case "resume":
				ask(effect, (ack, error) => {
					if (error) {
						dispatch({ type: "refused", serial, error: fromWire(error) });
					} else if (effect.type === "auth") {
						dispatch({ type: "authorized", serial });
					} else {
						const { session, resume } = ack ?? {};
						dispatch({ type: "resumed", serial, resumed: ack?.resumed === true, session, resume });
					}
				});
				break;
			case "ping":
				ask(effect);
				break;
			case "drop":
				link?.drop();
				break;
			case "ready":
				requests.connected(effect.resumed, effect.session, now());
				flush();
				break;
			case "report":
				report(effect.error);
		}
	}

	async function askToken(): Promise<{ token: string | undefined; session: Session | undefined }> {
		try {
			const session = await outbox?.session();
			return { token: typeof token === "function" ? await token() : token, session };
		} catch (cause) {
			throw new TidewireError("token_failed", "the token function failed", { cause });
		}
	}

	function ask(question: Question, answered: Answered = () => {}): void {
		link?.ask({ ...question, id: requests.nextId() } as ClientMessage & { id: number }, answered);
	}

	function encode(message: ClientMessage): string | Uint8Array {
		try {
			return codec.encode(message);
		} catch (cause) {
			throw new TidewireError("bad_request", "the data cannot be encoded", { cause });
		}
	}

	/** A server message that answers no question of the link. */
	function receive(message: ServerMessage): void {
		const { serial } = connection;
		if ("ack" in message) {
			requests.answered(message.ack as MessageId, message.error ? fromWire(message.error) : message);
		} else if ("channel" in message) {
			subscriptions.received(message);
		} else if ("reply" in message) {
			streamed(message.reply, message.seq, message.data);
		} else if ("hello" in message) {
			dispatch({ type: "hello", serial, hello: greetingOf(message.hello) });
		} else if ("reconnect" in message) {
			dispatch({ type: "move", serial, after: message.reconnect.after });
		} else if ("error" in message) {
			report(fromWire(message.error));
		}
	}

	function streamed(id: MessageId, seq: number, data: unknown): void {
		const stream = streams.get(id);
		if (stream?.next === seq) {
			stream.next += 1;
			stream.reader.push(data);
		} else if (stream) {
			requests.answered(id, new TidewireError("protocol", `item ${stream.next} is missing`));
		}
	}

	/** Sends what is due; subscriptions first, so that one's own publishes are not missed. */
	function flush(): void {
		subscriptions.askDue();
		for (const { payload } of requests.due(now(), isOpen())) {
			link?.send(payload);
		}
		arm();
	}

	/** Tells the application of a new state, and everybody of the end. */
	function announce(): void {
		const { phase, why } = connection;
		const { name } = phase;
		const next = name === "authorizing" || name === "greeting" ? "connecting" : name;
		if (next === state) {
			return;
		}
		state = next;
		if (state === "closed") {
			stopWatching();
			requests.close(shell.why);
			subscriptions.end(why);
		}
		emit("state", state, why);
	}

	/** One timer for everything. No wait is longer than the connection's own, which is bounded. */
	function arm(): void {
		stopTimer();
		if (state !== "closed") {
			const subscriptionsDueAt = isOpen() ? subscriptions.dueAt() : Number.POSITIVE_INFINITY;
			const at = Math.min(deadlineOf(connection), requests.deadline(), subscriptionsDueAt);
			stopTimer = setTimer(tick, Math.max(0, Math.ceil(at - now())));
		}
	}

	function tick(): void {
		flush();
		dispatch({ type: "tick" });
	}

	first.effects.forEach(perform);
	arm();
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
