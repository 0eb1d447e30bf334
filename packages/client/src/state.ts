/**
 * State channels: the value that a channel is, kept up to date from what the server sends: the whole value after a
 * subscribe that did not recover, then patches (RFC 7396). An entry of its own, so that the SDK's core stays small.
 */
import type { MergePatch } from "@tidewire/contract";
import { parsePosition } from "@tidewire/protocol";
import { applyPatch } from "@tidewire/protocol/merge-patch";
import type { Channel, ChannelState, Message, RequestOptions, SubscribeOptions } from "./channel.ts";
import { TidewireError } from "./error.ts";

export interface ChangeOptions extends RequestOptions {
	/** Change it only while the channel is at this position, such as `state.position`; else `conflict`. */
	readonly if?: string;
	/** The event's name. */
	readonly name?: string;
}

export interface KeyOptions extends ChangeOptions {
	/** Seconds after which the member is removed again. */
	readonly ttl?: number;
}

export interface StateOptions extends Pick<SubscribeOptions, "onState" | "onError"> {}

/** A member's name, and what it may be set to; any where the channel's data is unknown. */
export type StateKey<Input> = unknown extends Input ? string : Extract<keyof Input, string>;
export type StateMember<Input, Key> = Key extends keyof Input ? Exclude<Input[Key], undefined> : unknown;

/**
 * A channel's value. `Data` is what is read, `Input` what may be published. Values are shared between all who read them:
 * do not change them. As an async iterable it gives the present value, then each later one that its reader is in time
 * for: a slow reader gets the latest.
 */
export interface State<Data, Input> extends AsyncIterable<Data> {
	readonly name: string;
	/** Undefined until the server has sent it, and while there is none. */
	readonly value: Data | undefined;
	/** Where `value` stands, as `if` takes it. */
	readonly position: string | undefined;
	/** While it is not `subscribed`, the value may be old. */
	readonly state: ChannelState;
	/** Calls back with the present value, if there is one, and after each change. Returns how to stop. */
	subscribe(listener: (value: Data, position: string) => void): () => void;
	/** Sets the whole value. Resolves with its position when the server has accepted it; the value follows by itself. */
	set(value: Input, options?: ChangeOptions): Promise<string>;
	/** Changes the value by a patch: null removes a member, an object is patched within. */
	patch(patch: MergePatch<Input>, options?: ChangeOptions): Promise<string>;
	/** Sets one member, replacing what it was. */
	setKey<Key extends StateKey<Input>>(key: Key, value: StateMember<Input, Key>, options?: KeyOptions): Promise<string>;
	/** The server is to send it no more. Iterators end. */
	close(): void;
}

/** One for each handle, so that those who share a handle share the value. */
const states = new WeakMap<object, State<unknown, unknown>>();

/**
 * Keeps a state channel's value. It subscribes now; what it gives is the same for the same handle until it is closed.
 * Throws `bad_request` where the channel is subscribed to in another way already: only a new subscription gets the value.
 */
export function state<Data, Input>(
	channel: Channel<Data, Input>,
	{ onState, onError }: StateOptions = {},
): State<Data, Input> {
	const present = states.get(channel);
	if (present !== undefined) {
		return present as State<Data, Input>;
	}
	if (channel.state !== "ended") {
		throw new TidewireError("bad_request", `${channel.name}: it is subscribed to; make its state first, and share it`);
	}
	const kept = keep(channel, { ...(onState && { onState }), ...(onError && { onError }) });
	if (kept.state !== "ended") {
		states.set(channel, kept as State<unknown, unknown>);
	}
	return kept;
}

function keep<Data, Input>(channel: Channel<Data, Input>, options: StateOptions): State<Data, Input> {
	const { name } = channel;
	let value: Data | undefined;
	let position: string | undefined;
	/** Counts the values, so that an iterator knows which it has given. */
	let version = 0;
	let ended = false;
	let failure: TidewireError | undefined;
	let listeners: readonly ((value: Data, position: string) => void)[] = [];
	let wake: (() => void)[] = [];

	function wakeAll(): void {
		const waking = wake;
		wake = [];
		for (const resolve of waking) {
			resolve();
		}
	}

	function end(error?: TidewireError): void {
		ended = true;
		failure = error;
		states.delete(channel);
		wakeAll();
	}

	function take(message: Message<Data>): void {
		const isWhole = message.patch === undefined;
		if (!isWhole && position === undefined) {
			// A patch of what is not known yet.
			return;
		}
		// Before its first message a channel has no value; JSON has no other word for that than null.
		const isNone = message.event === "state" && parsePosition(message.position)?.offset === 0;
		value = isWhole ? message.data : (applyPatch(value, message.patch) as Data);
		position = message.position;
		if (isNone) {
			value = undefined;
			return;
		}
		version += 1;
		wakeAll();
		for (const listener of listeners) {
			if (listeners.includes(listener)) {
				tell(listener, value, position);
			}
		}
	}

	const stop = channel.subscribe((_, message) => take(message), {
		...options,
		// The whole value comes to those only who name no position.
		since: null,
		// The value follows a reset by itself. A gap there is not in a state channel: it would be the client's error.
		onReset: () => {},
		onState(next) {
			options.onState?.(next);
			if (next === "ended") {
				ended = true;
				// Why, if there is a reason, is told next.
				queueMicrotask(() => end(failure));
			}
		},
		onError(error) {
			failure = error.retryable ? failure : error;
			options.onError?.(error);
		},
	});

	async function* values(): AsyncGenerator<Data, undefined> {
		for (let given = 0; ; ) {
			if (version > given) {
				given = version;
				yield value as Data;
			} else if (ended) {
				if (failure) {
					throw failure;
				}
				return;
			} else {
				await new Promise<void>((resolve) => wake.push(resolve));
			}
		}
	}

	const publish = channel.publish as (data: unknown, options: object) => Promise<string>;
	return {
		name,
		get value() {
			return value;
		},
		get position() {
			return position;
		},
		get state() {
			return ended ? "ended" : channel.state;
		},
		subscribe(listener) {
			const once: typeof listener = (...told) => listener(...told);
			listeners = [...listeners, once];
			if (version > 0 && value !== undefined && position !== undefined) {
				tell(once, value, position);
			}
			return () => {
				listeners = listeners.filter((other) => other !== once);
			};
		},
		set: (next, options = {}) => publish(next, options),
		patch: (patch, options = {}) => publish(undefined, { ...options, patch }),
		setKey: (key, next, options = {}) => publish(next, { ...options, key }),
		close() {
			if (!ended) {
				stop();
				end();
			}
		},
		[Symbol.asyncIterator]: values,
	};
}

/** The application's code: what it throws becomes an uncaught error, and keeps the value from nobody else. */
function tell<Data>(listener: (value: Data, position: string) => void, value: Data, position: string): void {
	try {
		listener(value, position);
	} catch (error) {
		queueMicrotask(() => {
			throw error;
		});
	}
}
