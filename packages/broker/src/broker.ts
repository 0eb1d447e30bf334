/**
 * The one seam between Tidewire nodes. A broker keeps, for each channel, a log of entries under an epoch, tells every
 * subscribed node of each append, and keeps small records with an expiry. It does not know clients, permissions or
 * wire protocols, and it never parses data.
 *
 * Invariants that every implementation keeps (`compliance.ts` shows them):
 * - an entry's (epoch, offset) never has two values, over restarts and failovers too;
 * - a node is told of entries in ascending order, each once, only after they are stored at the stated durability;
 * - the position that `subscribe` resolves with joins without a seam: everything up to it can be read, everything
 *   after it is told.
 */

/** What an accepted publish survives: the node (`stored`), the machine (`replicated`), or neither (`memory`). */
export type Durability = "memory" | "stored" | "replicated";

/** A place in a channel's log: between the entry with this offset and the next. The first entry has offset 1. */
export interface Position {
	readonly epoch: string;
	readonly offset: number;
}

/** How `data` is to be read: a UTF-8 JSON text as the publisher wrote it, or raw bytes. */
export type DataEncoding = "json" | "binary";

/**
 * How much of a channel's log is kept. Whichever bound is met first counts; 0 messages keeps nothing, but counts on.
 * The last publish's retention holds for the whole log.
 */
export interface Retention {
	readonly messages: number;
	readonly bytes: number;
	readonly ageMs: number;
}

/** What a publisher hands in. The broker takes it over: nobody may change it, its data included, afterwards. */
export interface Publication {
	readonly data: Uint8Array;
	readonly encoding: DataEncoding;
	/** The event's name, for the application. */
	readonly name?: string;
	/** What the entry is about: of the entries with one key only the last matters where a channel conflates. */
	readonly key?: string;
	/** The authenticated user that published. */
	readonly from?: string;
	/** The session that is not to receive the entry. */
	readonly exclude?: string;
	/** Milliseconds after which the entry is no longer worth delivering. */
	readonly ttlMs?: number;
	/** `data` is not the value but an RFC 7396 patch of the one before it: state channels. */
	readonly patch?: true;
	/** The channel in which nodes that have subscribers say what became of the entry; the broker only carries it. */
	readonly report?: string;
}

/** One entry of a channel's log. */
export interface Entry extends Publication {
	readonly offset: number;
	/** The offset of the entry before this one, where offsets are not dense (JetStream). */
	readonly previous?: number;
	/** When it was appended, milliseconds since 1970 by the broker's clock. */
	readonly timeMs: number;
}

export interface PublishOptions {
	readonly retention: Retention;
	/** A repeat with the same key within `idempotencyMs` appends nothing and gets the first position. */
	readonly idempotencyKey?: string;
	readonly idempotencyMs?: number;
	/** Append only while the log's head is here. */
	readonly ifPosition?: Position;
	/**
	 * Append, or schedule, only where the publish with this idempotency key was accepted in this channel, and is still
	 * remembered. Known to hold for a repeat of `idempotencyKey`, which is answered as always.
	 */
	readonly afterKey?: string;
	/**
	 * What the channel amounts to from this entry on (a state channel's value), kept with its offset until the next one
	 * or the epoch's end, whatever the retention. Stored together with the entry or not at all.
	 */
	readonly snapshot?: Uint8Array;
	/**
	 * When to append, milliseconds since 1970 by the broker's clock; a time that has passed means now. Until then the
	 * publication is kept at `durability`. Not together with `ifPosition` or `snapshot`. A repeat of its idempotency key
	 * is recognised from the moment it is accepted, and answered `scheduled` before and after its time. The publishes
	 * that wait are appended to a channel in the order of their times, those of one time in the order of acceptance, to
	 * the epoch of that moment; `timeMs` is then, and `ttlMs` counts from then.
	 */
	readonly atMs?: number;
}

export type PublishResult =
	| {
			readonly status: "accepted";
			readonly position: Position;
			readonly duplicate: boolean;
			/** How many nodes, the publisher's included, were told, or undefined where the broker cannot say (or it is a duplicate). */
			readonly told?: number;
	  }
	/** Kept until `atMs`. */
	| { readonly status: "scheduled"; readonly duplicate: boolean }
	/** `ifPosition` did not hold, or with `early`, `afterKey` is not known. `position` is the present head. */
	| { readonly status: "conflict"; readonly position: Position; readonly early?: true };

export interface ReadOptions {
	/** Entries after this offset (or before it, with `reverse`: `Infinity` reads from the newest). */
	readonly after: number;
	readonly limit: number;
	/** The page ends before the entry that would exceed this many bytes of data; it holds at least one entry. */
	readonly maxBytes?: number;
	readonly reverse?: boolean;
}

/**
 * A part of a channel's log, read at one moment. Entries past their `ttlMs` are absent: a missing offset above `tail`
 * has expired, one up to `tail` is no longer kept. A page may end early, so only an empty page (of a `limit` above 0)
 * says that nothing more is there.
 */
export interface Page {
	readonly epoch: string;
	/** The offset of the newest entry ever appended in this epoch, kept or not; 0 for none. */
	readonly head: number;
	/** Entries after this offset are kept; `tail === head` when none is. */
	readonly tail: number;
	/** In the order asked for. */
	readonly entries: readonly Entry[];
}

/** A channel's newest snapshot, read together with its head. */
export interface Snapshot {
	readonly epoch: string;
	readonly head: number;
	/** The offset that `data` is the value at, and `data`; undefined where none was published in this epoch. */
	readonly offset?: number;
	readonly data?: Uint8Array;
}

export interface ChannelsOptions {
	/** Only names that begin so. */
	readonly prefix?: string;
	/** Only names after this one. */
	readonly after?: string;
	readonly limit: number;
}

/** What a broker tells the node that it belongs to. Callbacks must not throw. */
export interface BrokerListener {
	/** New entries of a subscribed channel, ascending. */
	entries(channel: string, epoch: string, entries: readonly Entry[]): void;
	/** The channel's continuity is lost: its log goes on at `position`, in another epoch. */
	reset(channel: string, position: Position): void;
}

export interface Broker {
	readonly durability: Durability;
	/** Who is to be told of entries. Called once, before the first `subscribe`. */
	listen(listener: BrokerListener): void;
	/** Appends one entry. Resolves when it is kept at `durability`; rejects with `BrokerError` when that is unknown or refused. */
	publish(channel: string, publication: Publication, options: PublishOptions): Promise<PublishResult>;
	/**
	 * From the position that this resolves with, the listener is told of each new entry of the channel; it may be told of
	 * the first ones before this resolves. Where the channel is already subscribed to, this resolves with the head.
	 */
	subscribe(channel: string): Promise<Position>;
	/** The listener is told of this channel no more. */
	unsubscribe(channel: string): void;
	/** Reads a page of what is kept of the channel's log. An unknown channel is an empty log. */
	read(channel: string, options: ReadOptions): Promise<Page>;
	/** Reads the channel's newest snapshot. */
	snapshot(channel: string): Promise<Snapshot>;
	/**
	 * Names of the channels that something was published to in an epoch that is still alive, or that have subscribers on
	 * any node, ascending, up to `limit`. Fewer than `limit` say that there are no more. Order and `after` are those of
	 * UTF-16 units or of UTF-8 bytes, whichever the store has: they differ only beyond U+D7FF.
	 */
	channels(options: ChannelsOptions): Promise<readonly string[]>;
	/** Small records with an expiry: sessions, idempotent replies, leases. */
	readonly records: Records;
	/** Ends everything; the broker is not used afterwards. */
	close(): Promise<void>;
}

/** A key-value store for small values. Keys are any string of at most 512 bytes. */
export interface Records {
	get(key: string): Promise<Uint8Array | undefined>;
	set(key: string, value: Uint8Array, ttlMs: number): Promise<void>;
	/** Sets the value where there is none; resolves with the present value where there is one. */
	setIfAbsent(key: string, value: Uint8Array, ttlMs: number): Promise<Uint8Array | undefined>;
	delete(key: string): Promise<void>;
	/**
	 * Compare-and-set: where the present value is `expected` (undefined: there is none), puts `value` in its place
	 * (undefined: deletes it, and `ttlMs` does not matter). Whether it held. The time starts anew where it did.
	 */
	replace(
		key: string,
		expected: Uint8Array | undefined,
		value: Uint8Array | undefined,
		ttlMs: number,
	): Promise<boolean>;
	/** The live records whose keys begin with `prefix`, ascending by key as channels are, after `after`, up to `limit`. */
	list(prefix: string, options: { readonly after?: string; readonly limit: number }): Promise<readonly KeyedRecord[]>;
}

export interface KeyedRecord {
	readonly key: string;
	readonly value: Uint8Array;
}

/** Why a broker refused. `unavailable` may succeed later; its outcome is unknown where a publish was under way. */
export type BrokerErrorCode = "unavailable" | "closed" | "invalid";

export class BrokerError extends Error {
	readonly code: BrokerErrorCode;

	constructor(code: BrokerErrorCode, message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = "BrokerError";
		this.code = code;
	}
}
