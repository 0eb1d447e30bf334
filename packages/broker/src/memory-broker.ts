/**
 * The broker that needs nothing else installed: logs, idempotency keys and records in this process's memory, told to
 * every node of the same cluster at once. An accepted publish survives nothing (`durability: "memory"`), and a new
 * process starts under new epochs, which is how clients learn that the old log is gone.
 *
 * Everything happens inside the call, but what is scheduled: that waits for one timer. An append is told to the
 * subscribed nodes before `publish` returns its promise; a publish made from inside a listener is appended at once and
 * told when the telling under way is done, so that all nodes hear one order. `publish` takes the data over: the caller
 * must not change it afterwards. A small view of a large buffer is copied, as it would keep all of the buffer.
 */
import { checkChannel, checkChannels, checkPublish, checkRead } from "./admission.ts";
import type {
	Broker,
	ChannelsOptions,
	Entry,
	Page,
	Position,
	Publication,
	PublishOptions,
	PublishResult,
	ReadOptions,
	Retention,
	Snapshot,
} from "./broker.ts";
import { ExpiringMap } from "./expiring-map.ts";
import type { MemoryLog } from "./memory-log.ts";
import { MemoryLogs } from "./memory-logs.ts";
import { MemoryNode, type MemoryStore, type Subscription } from "./memory-node.ts";
import { MemoryRecords } from "./memory-records.ts";
import { type After, MemorySchedule } from "./memory-schedule.ts";
import { MemoryTelling } from "./memory-telling.ts";
import { SortedNames } from "./sorted-names.ts";

export interface MemoryBrokerOptions {
	/** Milliseconds since 1970. Entries carry this time, and all expiry follows it. Default: `Date.now`. */
	readonly now?: () => number;
	/** A new epoch: never the same twice, no colon. Default: 72 random bits as base64url. */
	readonly epoch?: () => string;
	/** Calls `task` every `intervalMs` until the returned function is called. Default: a timer that keeps nothing alive. */
	readonly every?: (intervalMs: number, task: () => void) => () => void;
	/** Calls `task` once after `delayMs`, unless the returned function was called. Default: a timer, likewise. */
	readonly after?: After;
	/**
	 * How much all logs, their snapshots included, may take together. More where long histories must survive many
	 * channels. Default: 256 MiB.
	 */
	readonly maxLogBytes?: number;
	/** In what pieces the logs' memory is taken, at most 1 MiB; for tests. Default: a 128th of `maxLogBytes`. */
	readonly slabBytes?: number;
	/** The largest data of one entry; the server's own message limits are lower. Default: 16 MiB. */
	readonly maxDataBytes?: number;
	/**
	 * How many idempotency keys are remembered; when there are more, the oldest are forgotten before their time. About
	 * 200 bytes each; at the usual five minutes, 1,000,000 are 3,333 keyed publishes a second. Default: 1,000,000.
	 */
	readonly maxIdempotencyKeys?: number;
	/** How many records are kept; more are refused as `unavailable`, since to forget one would break a promise. Default: 1,000,000. */
	readonly maxRecords?: number;
	/** What all records' keys and values may take together; more is refused likewise. Default: 128 MiB. */
	readonly maxRecordBytes?: number;
	/** How many publishes may wait for their time; more are refused as `unavailable`. Default: 100,000. */
	readonly maxScheduled?: number;
	/** What all that wait may take together; more is refused likewise. Default: 128 MiB. */
	readonly maxScheduledBytes?: number;
}

/** What a memory cluster holds at the moment, for metrics. */
export interface MemoryStats {
	readonly channels: number;
	/** What the logs are taken to cost, against `maxLogBytes`. */
	readonly logBytes: number;
	readonly idempotencyKeys: number;
	readonly records: number;
	/** Publishes that wait for their time. */
	readonly scheduled: number;
	/** Logs that lost entries or their epoch to `maxLogBytes`, ever. */
	readonly evictedLogs: number;
	/** Idempotency keys that were forgotten before their time, ever. */
	readonly forgottenKeys: number;
}

/** Several nodes in one process, on the same logs. */
export interface MemoryCluster {
	/** One more node. */
	node(): Broker;
	/** Drops a channel's log, epoch and head too; its subscribers are told `reset`. */
	forget(channel: string): void;
	/** Lets go of what is over, among up to `limit` logs, keys and records each. It also runs by itself, see `every`. */
	sweep(limit?: number): void;
	stats(): MemoryStats;
	/** Ends the timers, and drops what waits for its time. The nodes are closed by those that own them. */
	close(): void;
}

/** The only node of a cluster of its own. */
export interface MemoryBroker extends Broker, Omit<MemoryCluster, "close" | "node"> {}

/** How long an idempotency key is remembered where the publish does not say. */
export const DEFAULT_IDEMPOTENCY_MS = 300_000;

const SWEEP_INTERVAL_MS = 1_000;
/** Bounds a sweep's time to a few milliseconds; a million channels are seen within two minutes. */
const SWEEP_LIMIT = 10_000;

const MIB = 1024 * 1024;

/** What a repeat of an idempotency key is answered with: what the first was, whatever has become of it since. */
type Outcome = { readonly status: "accepted"; readonly position: Position } | { readonly status: "scheduled" };

const SCHEDULED = { status: "scheduled" } as const;

function randomEpoch(): string {
	const bytes = crypto.getRandomValues(new Uint8Array(9));
	return btoa(String.fromCharCode(...bytes))
		.replaceAll("+", "-")
		.replaceAll("/", "_");
}

function everyUnreferenced(intervalMs: number, task: () => void): () => void {
	const timer = setInterval(task, intervalMs);
	timer.unref();
	return () => clearInterval(timer);
}

function afterUnreferenced(delayMs: number, task: () => void): () => void {
	const timer = setTimeout(task, delayMs);
	timer.unref();
	return () => clearTimeout(timer);
}

/** The data without the large buffer that it may be a small view of (a socket's chunk, a pool). */
function compact(data: Uint8Array): Uint8Array {
	return data.buffer.byteLength > 2 * data.byteLength + 64 ? new Uint8Array(data) : data;
}

function toEntry(publication: Publication, offset: number, timeMs: number, data: Uint8Array): Entry {
	const { encoding, name, key, from, exclude, ttlMs, patch, report } = publication;
	// Absent attributes stay absent: most entries have none, and then they are four fields.
	return {
		offset,
		timeMs,
		data,
		encoding,
		...(name !== undefined && { name }),
		...(key !== undefined && { key }),
		...(from !== undefined && { from }),
		...(exclude !== undefined && { exclude }),
		...(ttlMs !== undefined && { ttlMs }),
		...(patch !== undefined && { patch }),
		...(report !== undefined && { report }),
	};
}

/** The length keeps ("a", "bc") and ("ab", "c") apart. */
function outcomeKeyOf(channel: string, key: string): string {
	return `${channel.length}:${channel}${key}`;
}

class Cluster implements MemoryCluster, MemoryStore {
	readonly #now: () => number;
	readonly #logs: MemoryLogs;
	/** The channels that are listed: something was published in their epoch, or somebody is subscribed. */
	readonly #names = new SortedNames();
	readonly #maxDataBytes: number;
	readonly #maxIdempotencyKeys: number;
	readonly #outcomes = new ExpiringMap<Outcome>();
	readonly #schedule: MemorySchedule;
	readonly #telling = new MemoryTelling();
	readonly #stopSweeping: () => void;
	readonly records: MemoryRecords;
	#forgottenKeys = 0;

	constructor(options: MemoryBrokerOptions) {
		this.#now = options.now ?? Date.now;
		this.#logs = new MemoryLogs({
			maxBytes: options.maxLogBytes ?? 256 * MIB,
			epoch: options.epoch ?? randomEpoch,
			dropped: (log) => this.#followDropped(log),
			slabBytes: options.slabBytes,
		});
		this.#maxDataBytes = options.maxDataBytes ?? 16 * MIB;
		this.#maxIdempotencyKeys = options.maxIdempotencyKeys ?? 1_000_000;
		this.records = new MemoryRecords({
			now: this.#now,
			maxRecords: options.maxRecords ?? 1_000_000,
			maxBytes: options.maxRecordBytes ?? 128 * MIB,
		});
		this.#schedule = new MemorySchedule({
			now: this.#now,
			after: options.after ?? afterUnreferenced,
			maxScheduled: options.maxScheduled ?? 100_000,
			maxBytes: options.maxScheduledBytes ?? 128 * MIB,
			due: ({ channel, publication, retention }) => {
				const nowMs = this.#now();
				this.#append(this.#logs.open(channel, nowMs), publication, retention, nowMs);
			},
		});
		this.#stopSweeping = (options.every ?? everyUnreferenced)(SWEEP_INTERVAL_MS, () => this.sweep(SWEEP_LIMIT));
	}

	node(closed: () => void = () => {}): Broker {
		return new MemoryNode(this, closed);
	}

	close(): void {
		this.#stopSweeping();
		this.#schedule.close();
	}

	sweep(limit = Infinity): void {
		const nowMs = this.#now();
		this.#logs.sweep(nowMs, limit);
		this.#outcomes.sweep(nowMs, limit);
		this.records.sweep(nowMs, limit);
	}

	stats(): MemoryStats {
		return {
			channels: this.#logs.size,
			logBytes: this.#logs.bytes,
			idempotencyKeys: this.#outcomes.size,
			records: this.records.size,
			scheduled: this.#schedule.size,
			evictedLogs: this.#logs.evicted,
			forgottenKeys: this.#forgottenKeys,
		};
	}

	publish(channel: string, publication: Publication, options: PublishOptions): PublishResult {
		checkPublish(channel, publication, options, this.#maxDataBytes);
		const nowMs = this.#now();
		const { retention, idempotencyKey, afterKey, ifPosition, snapshot, atMs } = options;
		const outcomeKey = idempotencyKey === undefined ? undefined : outcomeKeyOf(channel, idempotencyKey);
		const first = outcomeKey === undefined ? undefined : this.#outcomes.get(outcomeKey, nowMs);
		if (first !== undefined) {
			return { ...first, duplicate: true };
		}
		const early = afterKey !== undefined && this.#outcomes.get(outcomeKeyOf(channel, afterKey), nowMs) === undefined;
		if (!early && atMs !== undefined && atMs > nowMs) {
			const data = compact(publication.data);
			this.#schedule.add({ atMs, channel, publication: { ...publication, data }, retention });
			this.#remember(outcomeKey, SCHEDULED, options, nowMs);
			return { ...SCHEDULED, duplicate: false };
		}
		const log = this.#logs.open(channel, nowMs);
		if (early || (ifPosition !== undefined && (ifPosition.epoch !== log.epoch || ifPosition.offset !== log.head))) {
			this.#settle(log);
			return { status: "conflict", position: { epoch: log.epoch, offset: log.head }, ...(early && { early }) };
		}
		const position = { epoch: log.epoch, offset: log.head + 1 };
		this.#remember(outcomeKey, { status: "accepted", position }, options, nowMs);
		const told = this.#append(log, publication, retention, nowMs, snapshot);
		return { status: "accepted", position, duplicate: false, told };
	}

	read(channel: string, options: ReadOptions): Page {
		checkRead(channel, options);
		const nowMs = this.#now();
		const log = this.#logs.open(channel, nowMs);
		const page = log.read(options, nowMs);
		this.#settle(log);
		return page;
	}

	snapshot(channel: string): Snapshot {
		checkChannel(channel);
		const log = this.#logs.open(channel, this.#now());
		const { epoch, head, snapshot } = log;
		this.#settle(log);
		return { epoch, head, ...snapshot };
	}

	channels(options: ChannelsOptions): readonly string[] {
		checkChannels(options);
		const nowMs = this.#now();
		const { prefix = "", after, limit } = options;
		return this.#names.list({ prefix, after, limit }, (name) => {
			const log = this.#logs.find(name);
			return log !== undefined && (log.subscriptions.length > 0 || nowMs < log.endsMs);
		});
	}

	attach(channel: string, subscription: Subscription | undefined): Position {
		const log = this.#logs.open(channel, this.#now());
		if (subscription !== undefined) {
			log.attach(subscription);
			this.#names.add(channel);
		}
		const position = { epoch: log.epoch, offset: log.head };
		this.#settle(log);
		return position;
	}

	detach(channel: string, subscription: Subscription): void {
		const log = this.#logs.find(channel);
		if (log !== undefined) {
			log.detach(subscription);
			if (log.subscriptions.length === 0 && log.head === 0) {
				this.#names.delete(channel);
			}
			this.#settle(log);
		}
	}

	forget(channel: string): void {
		const log = this.#logs.find(channel);
		if (log !== undefined) {
			this.#logs.drop(log);
			this.#telling.tell();
		}
	}

	/** Appends and tells. Gives the number of nodes told. */
	#append(
		log: MemoryLog,
		publication: Publication,
		retention: Retention,
		nowMs: number,
		snapshot?: Uint8Array,
	): number {
		// Listeners are told with the publisher's own bytes; what is kept is a copy, in a slab.
		const entry = toEntry(publication, log.head + 1, nowMs, publication.data);
		log.append(entry, retention);
		if (snapshot !== undefined) {
			log.snapshot = { offset: entry.offset, data: compact(snapshot) };
		}
		if (entry.offset === 1) {
			this.#names.add(log.channel);
		}
		const { channel, epoch, subscriptions: to } = log;
		this.#logs.settle(log);
		if (to.length > 0) {
			this.#telling.add({ channel, to, epoch, entry });
		}
		this.#telling.tell();
		return to.length;
	}

	/** After each use of a log. Others may have ended to keep to the budget: their subscribers are told. */
	#settle(log: MemoryLog): void {
		this.#logs.settle(log);
		this.#telling.tell();
	}

	/** An epoch ended. Where somebody is subscribed the channel goes on in another, which is told with the next `tell`. */
	#followDropped({ channel, subscriptions: to }: MemoryLog): void {
		if (to.length === 0) {
			this.#names.delete(channel);
			return;
		}
		const next = this.#logs.open(channel, this.#now());
		next.subscriptions = to;
		this.#telling.add({ channel, to, reset: { epoch: next.epoch, offset: next.head } });
	}

	#remember(key: string | undefined, outcome: Outcome, { idempotencyMs }: PublishOptions, nowMs: number): void {
		if (key === undefined) {
			return;
		}
		if (this.#outcomes.size >= this.#maxIdempotencyKeys) {
			this.#outcomes.dropOldest();
			this.#forgottenKeys++;
		}
		this.#outcomes.set(key, outcome, nowMs + (idempotencyMs ?? DEFAULT_IDEMPOTENCY_MS));
	}
}

/** Several nodes in one process, on the same logs: for tests of clusters, and for servers that share a process. */
export function createMemoryCluster(options: MemoryBrokerOptions = {}): MemoryCluster {
	return new Cluster(options);
}

/** A memory broker for one node. */
export function createMemoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
	const cluster = new Cluster(options);
	return Object.assign(
		cluster.node(() => cluster.close()),
		{
			forget: (channel: string) => cluster.forget(channel),
			sweep: (limit?: number) => cluster.sweep(limit),
			stats: () => cluster.stats(),
		},
	);
}
