/** The public handles: a thin layer of typed calls over the shell. */
import type { Contract } from "@tidewire/contract";
import type { Ack } from "@tidewire/protocol";
import type { Channel, History, IterateOptions, Message } from "./channel.ts";
import type { Client, ConnectOptions, StreamOptions } from "./client.ts";
import type { TidewireError } from "./error.ts";
import { createInbox } from "./inbox.ts";
import { createShell, type Shell } from "./shell.ts";

const BUFFER_ITEMS = 1_024;

/**
 * Connects to a Tidewire server, and stays connected until `close()`. Throws `TypeError` where `url` is no URL; a
 * browser takes one that is relative to the page. Give the contract's type and everything is typed by it.
 */
export function connect<C extends Contract = Contract>(url: string | URL, options: ConnectOptions = {}): Client<C> {
	const address = new URL(url, globalThis.location?.href);
	address.protocol = address.protocol.replace("http", "ws");
	const shell = createShell(address.href, options);
	const client: Client<Contract> = {
		get state() {
			return shell.state;
		},
		get session() {
			return shell.session;
		},
		on: (event, listener) => shell.on(event, listener),
		channel: (name) => channelHandle(shell, name),
		async action(action, input, options) {
			const ack = await asked(shell, "once", { type: "call", action, input }, options?.timeoutMs);
			return ack.data;
		},
		stream: (action, input, options = {}) => streamOf(shell, action, input, options),
		ready: () =>
			new Promise((resolve, reject) => {
				const look = (): void => {
					if (shell.state === "connected") {
						off();
						resolve();
					} else if (shell.state === "closed") {
						off();
						reject(shell.why);
					}
				};
				const off = shell.on("state", look);
				look();
			}),
		close: () => shell.close(),
	};
	// The contract exists in types only; at run time every client is the wide one.
	return client as unknown as Client<C>;
}

function asked(
	shell: Shell,
	kind: "once" | "again",
	question: Parameters<Shell["request"]>[1],
	timeoutMs: number | undefined,
): Promise<Ack> {
	return new Promise((resolve, reject) => shell.request(kind, question, { resolve, reject }, timeoutMs));
}

function channelHandle(shell: Shell, name: string): Channel<unknown, unknown> {
	return {
		name,
		get state() {
			return shell.subscriptions.get(name)?.state ?? "ended";
		},
		get position() {
			return shell.subscriptions.get(name)?.position;
		},
		subscribe: (listener, options = {}) =>
			shell.subscribe(name, { ...options, onMessage: (message) => listener(message.data, message) }, options),
		messages: (options = {}) => messagesOf(shell, name, options, (message) => message),
		async publish(data, { timeoutMs, ...fields } = {}) {
			const ack = await asked(shell, "once", { type: "publish", channel: name, data, ...fields }, timeoutMs);
			return ack.position ?? "";
		},
		async history({ timeoutMs, ...fields } = {}) {
			const ack = await asked(shell, "again", { type: "history", channel: name, ...fields }, timeoutMs);
			return historyOf(name, ack);
		},
		[Symbol.asyncIterator]: () => messagesOf(shell, name, {}, ({ data }) => data),
	};
}

function messagesOf<T>(
	shell: Shell,
	name: string,
	options: IterateOptions,
	pick: (message: Message<unknown>) => T,
): AsyncIterableIterator<T> {
	let last = options.since;
	let leave = (): void => {};
	const inbox = createInbox<T>({
		name,
		capacity: options.bufferMessages ?? BUFFER_ITEMS,
		signal: options.signal,
		onEnd: () => leave(),
		position: () => last,
	});
	if (!inbox.ended) {
		const listener = {
			...options,
			onMessage(message: Message<unknown>): void {
				inbox.push(pick(message));
				if (!inbox.ended) {
					last = message.position;
				}
			},
			onEnd: (error?: TidewireError) => inbox.end(error),
		};
		leave = shell.subscribe(name, listener, options);
	}
	return inbox;
}

function streamOf(shell: Shell, name: string, input: unknown, options: StreamOptions): AsyncIterableIterator<unknown> {
	let cancel = (): void => {};
	const inbox = createInbox<unknown>({
		name,
		capacity: options.bufferItems ?? BUFFER_ITEMS,
		signal: options.signal,
		onEnd: () => cancel(),
	});
	if (!inbox.ended) {
		// A stream may take as long as it likes, unless the caller says otherwise.
		cancel = shell.stream({ type: "call", action: name, input }, inbox, options.timeoutMs ?? Number.POSITIVE_INFINITY);
	}
	return inbox;
}

function historyOf(channel: string, ack: Ack): History<unknown> {
	const position = ack.position ?? "";
	const epoch = position.slice(0, position.lastIndexOf(":"));
	const messages = (ack.messages ?? []).map(({ prev: _, ...message }) => ({
		...message,
		channel,
		position: `${epoch}:${message.offset}`,
	}));
	return { messages, position };
}
