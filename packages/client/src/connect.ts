/** The public handles: a thin layer of typed calls over the shell. */
import type { Contract } from "@tidewire/contract";
import type { Ack } from "@tidewire/protocol";
import type { Channel, History, IterateOptions, Message, RequestOptions } from "./channel.ts";
import type { Client, ConnectOptions, StreamOptions } from "./client.ts";
import { createInbox, type Inbox } from "./inbox.ts";
import type { RequestKind } from "./requests.ts";
import { createShell, type Shell } from "./shell.ts";

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
		on: shell.on,
		channel: (name) => channelHandle(shell, name),
		async action(action, input, options) {
			const { data } = await asked(shell, "once", { type: "call", action, input }, options);
			return data;
		},
		stream: (action, input, options = {}) => streamOf(shell, action, input, options),
		ready: () =>
			new Promise((resolve, reject) => {
				const look = (): void => {
					if (shell.state === "connected") {
						resolve();
					} else if (shell.state === "closed") {
						reject(shell.why);
					} else {
						return;
					}
					off();
				};
				const off = shell.on("state", look);
				look();
			}),
		close: shell.close,
	};
	// The contract exists in types only; at run time every client is the wide one.
	return client as unknown as Client<C>;
}

function asked(
	shell: Shell,
	kind: RequestKind,
	question: Parameters<Shell["request"]>[1],
	options: RequestOptions | undefined,
): Promise<Ack> {
	return new Promise((resolve, reject) => shell.request(kind, question, { resolve, reject }, options));
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
		async publish(data, options = {}) {
			const { timeoutMs, keep = true, ...fields } = options;
			const question = { type: "publish", channel: name, data, ...fields } as const;
			const { position = "" } = await asked(shell, "once", question, { timeoutMs, keep });
			return position;
		},
		async history(options = {}) {
			const { timeoutMs: _, ...fields } = options;
			return historyOf(name, await asked(shell, "again", { type: "history", channel: name, ...fields }, options));
		},
		ask: (kind, question, options) => asked(shell, kind, question, options),
		[Symbol.asyncIterator]: () => messagesOf(shell, name, {}, ({ data }) => data),
	};
}

/** Messages as an iterator. It subscribes now, so that what comes before the first read is not missed. */
function messagesOf<T>(
	shell: Shell,
	name: string,
	options: IterateOptions,
	pick: (message: Message<unknown>) => T,
): Inbox<T> {
	const { bufferMessages: capacity, signal, since } = options;
	let last = since ?? undefined;
	return createInbox({ name, capacity, signal, position: () => last }, (inbox: Inbox<T>) =>
		shell.subscribe(
			name,
			{
				...options,
				onMessage(message) {
					inbox.push(pick(message));
					last = inbox.ended ? last : message.position;
				},
				onEnd: inbox.end,
			},
			options,
		),
	);
}

function streamOf(shell: Shell, name: string, input: unknown, options: StreamOptions): Inbox<unknown> {
	// A stream may take as long as it likes, unless the caller says otherwise.
	const { timeoutMs = Number.POSITIVE_INFINITY, bufferItems: capacity, signal } = options;
	return createInbox({ name, capacity, signal }, (inbox) =>
		shell.stream({ type: "call", action: name, input }, inbox, timeoutMs),
	);
}

function historyOf(channel: string, ack: Ack): History<unknown> {
	const { position = "", messages: entries = [] } = ack;
	const epoch = position.replace(/\d*$/, "");
	const messages = entries.map(({ prev: _, ...entry }) => ({ ...entry, channel, position: epoch + entry.offset }));
	return { messages: messages as readonly Message<unknown>[], position };
}
