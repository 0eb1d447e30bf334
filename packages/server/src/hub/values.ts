/**
 * State channels' subscribers where entries one by one do not do: whole values for those who begin, who have lost their
 * place, and who are plain; one merged patch for those who were slow. Everybody else gets the entries, like anywhere.
 * What a value is and how patches merge is the source's to know.
 */
import type { Entry, Position } from "@tidewire/broker";
import { formatPosition } from "@tidewire/protocol";
import type { Channel } from "./channel.ts";
import type { Subscription } from "./subscription.ts";

/** A channel's value, and the position that it is the value at. */
export interface WholeValue {
	readonly position: Position;
	/** JSON; undefined where there is no value yet. */
	readonly text: Uint8Array | undefined;
}

/** Where a state channel's values come from. */
export interface ValueSource {
	/** The value at this position or a later one. Rejects with the broker's error. */
	snapshot(atLeast: Position): Promise<WholeValue>;
	/** One patch, or value, that does what these entries do; undefined where there is none. */
	merged(entries: readonly Entry[]): { readonly kind: "patch" | "value"; readonly text: Uint8Array } | undefined;
	/** Entries have come that others may have published. */
	noticed(entries: readonly Entry[]): void;
}

/**
 * What a subscription in a state channel is owed instead of entries: the value as a new `state` (held already, or still
 * to be read), or, `late`, in the place of messages that it was too slow for.
 */
export type OwedValue = WholeValue | "state" | "late";

/** One message for all who were equally late. */
interface Merge {
	readonly epoch: string;
	readonly from: number;
	readonly to: number;
	readonly entry: MergedEntry | undefined;
}

interface MergedEntry {
	readonly offset: number;
	readonly data: Uint8Array;
	readonly encoding: "json";
	readonly patch?: true;
}

const NULL = new TextEncoder().encode("null");
const utf8 = new TextDecoder();

export class Values {
	readonly #resume: (subscription: Subscription) => void;
	readonly #failed: (subscription: Subscription, cause: unknown) => void;
	readonly #merges = new WeakMap<Channel, Merge>();
	/** By the value's text, which is another object at each position, and the index of the encoding. */
	readonly #frames = new WeakMap<Uint8Array, (Uint8Array | undefined)[]>();

	/** `resume`: brings a subscription on that is lagging. `failed`: its value could not be read. */
	constructor(
		resume: (subscription: Subscription) => void,
		failed: (subscription: Subscription, cause: unknown) => void,
	) {
		this.#resume = resume;
		this.#failed = failed;
	}

	/** Brings on a subscription that is `lagging`; false: it is to be given the entries as they are. */
	take(subscription: Subscription, source: ValueSource): boolean {
		const { channel, subscriber, value } = subscription;
		const isPlain = !subscriber.encoding.codec.enveloped;
		if (value === undefined && subscription.cursor >= channel.head) {
			channel.enter(subscription, "live");
			return true;
		}
		if (typeof value === "object" && value.position.epoch === channel.epoch) {
			this.#hand(subscription, value);
			this.#goOn(subscription);
			return true;
		}
		if (isPlain || value !== undefined) {
			void this.#whole(subscription, source);
			return true;
		}
		const policy = subscription.presentPolicy;
		if (policy === "catch-up" || policy === "disconnect") {
			return false;
		}
		const entry = subscription.cursor < channel.tail ? undefined : this.#merged(channel, source, subscription.cursor);
		if (entry === undefined) {
			subscription.value = "late";
			void this.#whole(subscription, source);
			return true;
		}
		this.#conflated(subscription, entry);
		this.#goOn(subscription);
		return true;
	}

	/** Reads the value and hands it over. Never rejects. */
	async #whole(subscription: Subscription, source: ValueSource): Promise<void> {
		const { channel, subscriber } = subscription;
		const { epoch } = channel;
		channel.enter(subscription, "recovering");
		let whole: WholeValue;
		try {
			whole = await source.snapshot(channel.position);
		} catch (cause) {
			if (!subscription.ended) {
				this.#failed(subscription, cause);
			}
			return;
		}
		if (subscription.ended) {
			return;
		}
		channel.enter(subscription, "lagging");
		if (whole.position.epoch !== channel.epoch) {
			// Either the channel has moved meanwhile, or the broker is ahead of what it has told us: then `Hub.reset` follows.
			if (channel.epoch !== epoch) {
				this.#goOn(subscription);
			}
			return;
		}
		if (!subscriber.blocked) {
			this.#hand(subscription, whole);
			this.#goOn(subscription);
		}
	}

	/** Whether it takes more shows when it is given what it was sent. */
	#goOn(subscription: Subscription): void {
		const { channel, subscriber } = subscription;
		subscriber.write();
		if (subscription.phase !== "lagging") {
			return;
		}
		if (subscription.cursor >= channel.head && subscription.value === undefined) {
			channel.enter(subscription, "live");
		} else if (!subscriber.blocked) {
			this.#resume(subscription);
		}
	}

	/** The cursor begins anew where the value is, which may be beyond what this node has been told of. */
	#hand(subscription: Subscription, whole: WholeValue): void {
		const { channel, subscriber, cursor, value } = subscription;
		const { offset } = whole.position;
		const text = whole.text ?? NULL;
		subscription.value = undefined;
		if (value === "late") {
			if (offset > cursor) {
				this.#conflated(subscription, { offset, data: text, encoding: "json" });
			}
			return;
		}
		subscription.cursor = offset;
		const { encoding } = subscriber;
		const { codec } = encoding;
		if (!codec.enveloped) {
			if (whole.text !== undefined && (value !== undefined || offset > cursor)) {
				subscriber.send(
					this.#framed(whole, subscription, () =>
						codec.encodeEntry(channel.wireName, { offset, data: text, encoding: "json" }),
					),
				);
			}
			return;
		}
		subscriber.send(
			this.#framed(whole, subscription, () =>
				codec.encode({
					channel: channel.wireName,
					event: "state",
					position: formatPosition(whole.position),
					data: JSON.parse(utf8.decode(text)),
				}),
			),
		);
	}

	/** The frame that says the value, made once for all who are told it in one encoding. */
	#framed(
		{ text }: WholeValue,
		{ subscriber: { encoding } }: Subscription,
		encode: () => Parameters<typeof encoding.frame>[0],
	): Uint8Array {
		if (text === undefined) {
			return encoding.frame(encode());
		}
		const frames = this.#frames.get(text) ?? [];
		this.#frames.set(text, frames);
		frames[encoding.index] ??= encoding.frame(encode());
		return frames[encoding.index]!;
	}

	/** One message in the place of all up to its offset. */
	#conflated(subscription: Subscription, entry: MergedEntry): void {
		const { channel, subscriber } = subscription;
		const { encoding } = subscriber;
		const from = subscription.cursor + 1;
		const to = entry.offset;
		if (from < to) {
			const event = { channel: channel.wireName, event: "conflated", from, to } as const;
			subscriber.send(encoding.frame(encoding.codec.encode(event)));
		}
		subscriber.send(encoding.frame(encoding.codec.encodeEntry(channel.wireName, entry)));
		subscription.cursor = to;
	}

	#merged(channel: Channel, source: ValueSource, from: number): MergedEntry | undefined {
		const { epoch, head: to } = channel;
		const last = this.#merges.get(channel);
		if (last !== undefined && last.epoch === epoch && last.from === from && last.to === to) {
			return last.entry;
		}
		const merged = source.merged(channel.log?.entries(from) ?? []);
		const patch = merged?.kind === "patch" ? { patch: true as const } : {};
		const entry = merged && { offset: to, data: merged.text, encoding: "json" as const, ...patch };
		this.#merges.set(channel, { epoch, from, to, entry });
		return entry;
	}
}
