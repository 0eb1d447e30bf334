/**
 * The broker that needs nothing else installed: logs, idempotency keys and records in this process's memory, told to
 * every node of the same cluster at once. An accepted publish survives nothing (`durability: "memory"`), and a new
 * process starts under new epochs, which is how clients learn that the old log is gone.
 *
 * Everything happens inside the call. An append is told to the subscribed nodes before `publish` returns its promise;
 * a publish made from inside a listener is appended at once and told when the telling under way is done, so that all
 * nodes hear one order. `publish` takes the data over: the caller must not change it afterwards. A small view of a
 * large buffer is copied, as it would keep all of the buffer.
 */
import { checkPublish, checkRead } from "./admission.ts";
import {
	type Broker,
	BrokerError,
	type BrokerListener,
	type Entry,
	type Page,
	type Position,
	type Publication,
	type PublishOptions,
	type PublishResult,
	type ReadOptions,
} from "./broker.ts";
import { ExpiringMap } from "./expiring-map.ts";
import { MemoryLogs } from "./memory-logs.ts";
import { MemoryNode, type MemoryStore, type Subscription } from "./memory-node.ts";

export interface MemoryBrokerOptions {
	/** Milliseconds since 1970. Entries carry this time, and all expiry follows it. Default: `Date.now`. */
	readonly now?: () => number;
	/** A new epoch: never the same twice, no colon. Default: 72 random bits as base64url. */
	readonly epoch?: () => string;
	/** Calls `task` every `intervalMs` until the returned function is called. Default: a timer that keeps nothing alive. */
	readonly every?: (intervalMs: number, task: () => void) => () => void;
	/** How much all logs may take together. More where long histories must survive many channels. Default: 256 MiB. */
	readonly maxLogBytes?: number;
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
}

/** What a memory cluster holds at the moment, for metrics. */
export interface MemoryStats {
	readonly channels: number;
	/** What the logs are taken to cost, against `maxLogBytes`. */
	readonly logBytes: number;
	readonly idempotencyKeys: number;
	readonly records: number;
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
	/** Ends the timer. The nodes are closed by those that own them. */
	close(): void;
}

/** The only node of a cluster of its own. */
export interface MemoryBroker extends Broker, Omit<MemoryCluster, "close" | "node"> {}

/** How long an idempotency key is remembered where the publish does not say. */
export const DEFAULT_IDEMPOTENCY_MS = 300_000;

const SWEEP_INTERVAL_MS = 1_000;
/** Bounds a sweep's time to a few milliseconds; a million channels are seen within two minutes. */
const SWEEP_LIMIT = 10_000;

type Telling =
	| { readonly channel: string; readonly to: readonly Subscription[]; readonly epoch: string; readonly entry: Entry }
	| { readonly channel: string; readonly to: readonly Subscription[]; readonly reset: Position };

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

/** The data without the large buffer that it may be a small view of (a socket's chunk, a pool). */
function compact(data: Uint8Array): Uint8Array {
	return data.buffer.byteLength > 2 * data.byteLength + 64 ? new Uint8Array(data) : data;
}

function toEntry(publication: Publication, offset: number, timeMs: number, data: Uint8Array): Entry {
	const { encoding, name, key, from, exclude, ttlMs } = publication;
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
	};
}

class Cluster implements MemoryCluster, MemoryStore {
	readonly #now: () => number;
	readonly #logs: MemoryLogs;
	readonly #maxDataBytes: number;
	readonly #maxIdempotencyKeys: number;
	readonly #maxRecords: number;
	readonly #maxRecordBytes: number;
	readonly #accepted = new ExpiringMap<Position>();
	readonly #records = new ExpiringMap<{ readonly value: Uint8Array; readonly cost: number }>(({ cost }) => {
		this.#recordBytes -= cost;
	});
	#recordBytes = 0;
	#forgottenKeys = 0;
	readonly #tellings: Telling[] = [];
	#telling = false;
	readonly #stopSweeping: () => void;

	constructor(options: MemoryBrokerOptions) {
		this.#now = options.now ?? Date.now;
		this.#logs = new MemoryLogs({
			maxBytes: options.maxLogBytes ?? 256 * 1024 * 1024,
			epoch: options.epoch ?? randomEpoch,
		});
		this.#maxDataBytes = options.maxDataBytes ?? 16 * 1024 * 1024;
		this.#maxIdempotencyKeys = options.maxIdempotencyKeys ?? 1_000_000;
		this.#maxRecords = options.maxRecords ?? 1_000_000;
		this.#maxRecordBytes = options.maxRecordBytes ?? 128 * 1024 * 1024;
		this.#stopSweeping = (options.every ?? everyUnreferenced)(SWEEP_INTERVAL_MS, () => this.sweep(SWEEP_LIMIT));
	}

	node(closed: () => void = () => {}): Broker {
		return new MemoryNode(this, closed);
	}

	close(): void {
		this.#stopSweeping();
	}

	sweep(limit = Infinity): void {
		const nowMs = this.#now();
		this.#logs.sweep(nowMs, limit);
		this.#accepted.sweep(nowMs, limit);
		this.#records.sweep(nowMs, limit);
	}

	stats(): MemoryStats {
		return {
			channels: this.#logs.size,
			logBytes: this.#logs.bytes,
			idempotencyKeys: this.#accepted.size,
			records: this.#records.size,
			evictedLogs: this.#logs.evicted,
			forgottenKeys: this.#forgottenKeys,
		};
	}

	publish(channel: string, publication: Publication, options: PublishOptions): PublishResult {
		checkPublish(channel, publication, options, this.#maxDataBytes);
		const nowMs = this.#now();
		const { retention, idempotencyKey, ifPosition } = options;
		// The length keeps ("a", "bc") and ("ab", "c") apart.
		const acceptedKey = idempotencyKey === undefined ? undefined : `${channel.length}:${channel}${idempotencyKey}`;
		if (acceptedKey !== undefined) {
			const position = this.#accepted.get(acceptedKey, nowMs);
			if (position !== undefined) {
				return { status: "accepted", position, duplicate: true };
			}
		}
		const log = this.#logs.open(channel, nowMs);
		if (ifPosition !== undefined && (ifPosition.epoch !== log.epoch || ifPosition.offset !== log.head)) {
			this.#logs.settle(log);
			return { status: "conflict", position: { epoch: log.epoch, offset: log.head } };
		}
		const data = retention.messages < 1 ? publication.data : compact(publication.data);
		const entry = toEntry(publication, log.head + 1, nowMs, data);
		const position = { epoch: log.epoch, offset: entry.offset };
		log.append(entry, retention);
		if (acceptedKey !== undefined) {
			this.#remember(acceptedKey, position, nowMs + (options.idempotencyMs ?? DEFAULT_IDEMPOTENCY_MS));
		}
		this.#logs.settle(log);
		if (log.subscriptions.length > 0) {
			this.#tell({ channel, to: log.subscriptions, epoch: log.epoch, entry });
		}
		return { status: "accepted", position, duplicate: false };
	}

	read(channel: string, options: ReadOptions): Page {
		checkRead(channel, options);
		const nowMs = this.#now();
		const log = this.#logs.open(channel, nowMs);
		const page = log.read(options, nowMs);
		this.#logs.settle(log);
		return page;
	}

	attach(channel: string, subscription: Subscription | undefined): Position {
		const log = this.#logs.open(channel, this.#now());
		if (subscription !== undefined) {
			log.subscriptions = [...log.subscriptions, subscription];
		}
		this.#logs.settle(log);
		return { epoch: log.epoch, offset: log.head };
	}

	detach(channel: string, subscription: Subscription): void {
		const log = this.#logs.find(channel);
		if (log !== undefined) {
			log.subscriptions = log.subscriptions.filter((other) => other !== subscription);
			this.#logs.settle(log);
		}
	}

	forget(channel: string): void {
		const log = this.#logs.find(channel);
		if (log === undefined) {
			return;
		}
		this.#logs.drop(log);
		if (log.subscriptions.length > 0) {
			const next = this.#logs.open(channel, this.#now());
			next.subscriptions = log.subscriptions;
			this.#logs.settle(next);
			this.#tell({ channel, to: next.subscriptions, reset: { epoch: next.epoch, offset: next.head } });
		}
	}

	getRecord(key: string): Uint8Array | undefined {
		return this.#records.get(key, this.#now())?.value;
	}

	setRecord(key: string, value: Uint8Array, ttlMs: number): void {
		const nowMs = this.#now();
		const cost = 2 * key.length + value.byteLength;
		if (!this.#hasRoom(key, cost, nowMs)) {
			this.#records.sweep(nowMs, SWEEP_LIMIT);
			if (!this.#hasRoom(key, cost, nowMs)) {
				throw new BrokerError("unavailable", "there is no room for more records");
			}
		}
		this.#records.delete(key);
		this.#recordBytes += cost;
		this.#records.set(key, { value: new Uint8Array(value), cost }, nowMs + ttlMs);
	}

	deleteRecord(key: string): void {
		this.#records.delete(key);
	}

	#hasRoom(key: string, cost: number, nowMs: number): boolean {
		const present = this.#records.get(key, nowMs);
		return (
			this.#records.size - (present === undefined ? 0 : 1) < this.#maxRecords &&
			this.#recordBytes - (present?.cost ?? 0) + cost <= this.#maxRecordBytes
		);
	}

	#remember(key: string, position: Position, endsMs: number): void {
		if (this.#accepted.size >= this.#maxIdempotencyKeys) {
			this.#accepted.dropOldest();
			this.#forgottenKeys++;
		}
		this.#accepted.set(key, position, endsMs);
	}

	/** Tells now, or after what is being told, so that a publish from inside a listener keeps its place. */
	#tell(telling: Telling): void {
		this.#tellings.push(telling);
		if (this.#telling) {
			return;
		}
		this.#telling = true;
		// The list may grow while it is walked.
		for (const next of this.#tellings) {
			for (const subscription of next.to) {
				if (subscription.active) {
					this.#tellOne(subscription.listener, next);
				}
			}
		}
		this.#tellings.length = 0;
		this.#telling = false;
	}

	#tellOne(listener: BrokerListener, telling: Telling): void {
		try {
			if ("reset" in telling) {
				listener.reset(telling.channel, telling.reset);
			} else {
				listener.entries(telling.channel, telling.epoch, [telling.entry]);
			}
		} catch (error) {
			// A bug in one node's code: neither the publisher nor another node may suffer, and it must not go unseen.
			queueMicrotask(() => {
				throw error;
			});
		}
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
