/**
 * A durable consumer of a channel: what came while nobody was there is delivered first, and what was handled is said to be
 * received, so that it is not delivered again. An entry of its own, so that the SDK's core stays small.
 */
import type { Channel, IterateOptions, Message } from "./channel.ts";
import { TidewireError } from "./error.ts";

export interface InboxOptions extends Omit<IterateOptions, "since" | "durable" | "signal" | "onPresence"> {
	/** `true`: the application calls `received` itself. */
	readonly manual?: boolean;
}

export interface DurableInbox {
	/** Resolves after `close()`. Rejects with the handler's error, or with why the subscription has ended. */
	readonly done: Promise<void>;
	/** Everything up to this position has been handled. For `manual`. */
	received(position: string): void;
	/** Reads no more; what is not received comes again the next time. */
	close(): void;
}

/**
 * Reads `channel` as the durable consumer `name` of this client's user, one message after the other: the next is handled
 * when the promise of the one before has resolved. When the handler fails, the inbox ends: that message and all after
 * it come again to the next one. The channel must not be subscribed to in another way (`bad_request`).
 */
export function inbox<Data>(
	channel: Channel<Data, never>,
	name: string,
	handler: (data: Data, message: Message<Data>) => void | Promise<void>,
	{ manual = false, onState, ...options }: InboxOptions = {},
): DurableInbox {
	const end = new AbortController();
	let newest: string | undefined;

	/** It has no answer: what was lost with a connection is said again on the next. */
	function say(): void {
		if (newest !== undefined && channel.state === "subscribed") {
			channel.ask("tell", { type: "received", channel: channel.name, position: newest }).catch(() => {});
		}
	}

	function received(position: string): void {
		newest = position;
		say();
	}

	/** Where the next one begins. Behind a reader that is too slow messages wait at the server, not here. */
	async function read(since: string | null): Promise<string | null> {
		const messages = channel.messages({
			...options,
			durable: name,
			since,
			signal: end.signal,
			onState(state) {
				if (state === "subscribed") {
					say();
				}
				onState?.(state);
			},
		});
		for (;;) {
			let next: IteratorResult<Message<Data>>;
			try {
				next = await messages.next();
			} catch (error) {
				if (error instanceof TidewireError && error.code === "reader_too_slow" && error.position !== undefined) {
					return error.position;
				}
				throw error;
			}
			if (next.done === true) {
				return null;
			}
			await handler(next.value.data, next.value);
			if (!manual) {
				received(next.value.position);
			}
		}
	}

	async function run(): Promise<void> {
		try {
			for (let since = await read(null); since !== null; ) {
				since = await read(since);
			}
		} catch (error) {
			if (!end.signal.aborted) {
				end.abort();
				throw error;
			}
		}
	}

	return { done: run(), received, close: () => end.abort() };
}
