/** The public handles: a thin layer of typed calls over the shell. */
import type { Contract } from "@tidewire/contract";
import type { Ack } from "@tidewire/protocol";
import type { Channel, History, IterateOptions, Message, RequestOptions } from "./channel.ts";
import type { Client, ConnectOptions, StreamOptions } from "./client.ts";
import { createInbox, type Inbox } from "./inbox.ts";
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
	kind: "once" | "again",
	question: Parameters<Shell["request"]>[1],
	options: RequestOptions | undefined,
): Promise<Ack> {
	return new Promise((resolve, reject) => shell.request(kind, question, { resolve, reject }, options?.timeoutMs));
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
			const { timeoutMs: _, ...fields } = options;
			const { position = "" } = await asked(
				shell,
				"once",
				{ type: "publish", channel: name, data, ...fields },
				options,
			);
			return position;
		},
		async history(options = {}) {
			const { timeoutMs: _, ...fields } = options;
			return historyOf(name, await asked(shell, "again", { type: "history", channel: name, ...fields }, options));
		},
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
	let last = options.since;
	return openInbox(
		name,
		options.bufferMessages,
		options.signal,
		() => last,
		(inbox: Inbox<T>) =>
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
	const { timeoutMs = Number.POSITIVE_INFINITY } = options;
	return openInbox(name, options.bufferItems, options.signal, undefined, (inbox) =>
		shell.stream({ type: "call", action: name, input }, inbox, timeoutMs),
	);
}

/** An inbox that is filled by what `fill` begins, until its reader leaves. */
function openInbox<T>(
	name: string,
	capacity: number = BUFFER_ITEMS,
	signal: AbortSignal | undefined,
	position: (() => string | undefined) | undefined,
	fill: (inbox: Inbox<T>) => () => void,
): Inbox<T> {
	let leave = (): void => {};
	const inbox = createInbox<T>({ name, capacity, signal, position, onEnd: () => leave() });
	if (!inbox.ended) {
		leave = fill(inbox);
	}
	return inbox;
}

function historyOf(channel: string, ack: Ack): History<unknown> {
	const { position = "", messages: entries = [] } = ack;
	const epoch = position.replace(/\d*$/, "");
	const messages = entries.map(({ prev: _, ...entry }) => ({ ...entry, channel, position: epoch + entry.offset }));
	return { messages: messages as readonly Message<unknown>[], position };
}
