/** What a SQLite broker can be told, with the defaults filled in. */
import { SqliteBrokerError } from "./error.ts";
import type { Synchronous } from "./open.ts";
import type { After } from "./schedule.ts";

export interface SqliteBrokerOptions {
	/**
	 * The file; created (mode 0600) where there is none. Beside it stand `PATH-wal` and `PATH-owner` while it is
	 * open.
	 */
	readonly path: string;
	/**
	 * What "accepted" means. `full`: the disk has it, so it survives the machine as far as the disk keeps what it says it
	 * has written. `normal`: the kernel has it, so it survives this process, `kill -9` included; when the machine itself
	 * stops the last of it may be lost, and then all epochs change, so that clients are told. Default: `full`.
	 */
	readonly synchronous?: Synchronous;
	/**
	 * How long a publish may wait for others to share its transaction. More gives fewer and larger writes, where the disk
	 * is slow or wears out, for that much more latency. Default: 0, the end of the turn of the event loop.
	 */
	readonly commitDelayMs?: number;
	/**
	 * What the file's content may take; then the histories used longest ago are given up. The file itself may be a
	 * quarter larger, and the WAL beside it is 8 MiB as a rule. At least 1 MiB. Default: 1 GiB.
	 */
	readonly maxBytes?: number;
	/** How much of the file SQLite keeps in memory. More where many channels are busy at once. Default: 16 MiB. */
	readonly cacheBytes?: number;
	/** The largest data of one entry; the server's own message limits are lower. Default: 16 MiB. */
	readonly maxDataBytes?: number;
	/**
	 * What may wait to be written while the disk is behind; what is over is refused as `unavailable`. More rides out
	 * longer pauses of the disk. Default: 64 MiB.
	 */
	readonly maxWaitingBytes?: number;
	/**
	 * How many idempotency keys are remembered; when there are more, those that end first are forgotten. Default:
	 * 1,000,000.
	 */
	readonly maxIdempotencyKeys?: number;
	/**
	 * How many records are kept; more are refused as `unavailable`, since to forget one would break a promise.
	 * Default: 1,000,000.
	 */
	readonly maxRecords?: number;
	/** What all records' keys and values may take together; more is refused likewise. Default: 128 MiB. */
	readonly maxRecordBytes?: number;
	/** How many publishes may wait for their time; more are refused as `unavailable`. Default: 100,000. */
	readonly maxScheduled?: number;
	/** What all that wait may take together; more is refused likewise. Default: 128 MiB. */
	readonly maxScheduledBytes?: number;
	/**
	 * Whether the file is a copy from an earlier time (a restored backup): what was promised since is missing, so all
	 * epochs change and clients are told. For the first start after it only. Default: false.
	 */
	readonly restored?: boolean;
	/** Milliseconds since 1970. Entries carry this time, and all expiry follows it. Default: `Date.now`. */
	readonly now?: () => number;
	/**
	 * Calls `task` every `intervalMs` until the returned function is called. Default: a timer that keeps nothing
	 * alive.
	 */
	readonly every?: (intervalMs: number, task: () => void) => () => void;
	/** Calls `task` once after `delayMs`, unless the returned function was called. Default: a timer, likewise. */
	readonly after?: After;
}

/** The same with nothing left open. */
export interface StoreOptions {
	readonly path: string;
	readonly synchronous: Synchronous;
	readonly commitDelayMs: number;
	readonly maxBytes: number;
	readonly cacheBytes: number;
	readonly maxDataBytes: number;
	readonly maxWaitingBytes: number;
	readonly maxIdempotencyKeys: number;
	readonly maxRecords: number;
	readonly maxRecordBytes: number;
	readonly maxScheduled: number;
	readonly maxScheduledBytes: number;
	readonly renewEpochs: boolean;
	readonly now: () => number;
	readonly everySweep: (task: () => void) => () => void;
	readonly after: After;
}

const MIB = 1024 * 1024;
const SWEEP_INTERVAL_MS = 1_000;

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

function amount(name: string, value: number, least: number): number {
	if (!(value >= least)) {
		throw new SqliteBrokerError("bad_option", `${name} is ${String(value)}, expected a number of at least ${least}`);
	}
	return value;
}

/** Throws `bad_option` for what makes no sense. */
export function resolveOptions(options: SqliteBrokerOptions): StoreOptions {
	const { path, synchronous = "full", restored = false, every = everyUnreferenced } = options;
	if (typeof path !== "string" || path === "" || path.startsWith(":")) {
		throw new SqliteBrokerError("bad_option", `path is ${JSON.stringify(path)}, expected the name of a file`);
	}
	if (synchronous !== "full" && synchronous !== "normal") {
		throw new SqliteBrokerError("bad_option", `synchronous is ${String(synchronous)}, expected full or normal`);
	}
	return {
		path,
		synchronous,
		commitDelayMs: amount("commitDelayMs", options.commitDelayMs ?? 0, 0),
		maxBytes: amount("maxBytes", options.maxBytes ?? 1024 * MIB, MIB),
		cacheBytes: amount("cacheBytes", options.cacheBytes ?? 16 * MIB, 64 * 1024),
		maxDataBytes: amount("maxDataBytes", options.maxDataBytes ?? 16 * MIB, 0),
		maxWaitingBytes: amount("maxWaitingBytes", options.maxWaitingBytes ?? 64 * MIB, 0),
		maxIdempotencyKeys: amount("maxIdempotencyKeys", options.maxIdempotencyKeys ?? 1_000_000, 1),
		maxRecords: amount("maxRecords", options.maxRecords ?? 1_000_000, 0),
		maxRecordBytes: amount("maxRecordBytes", options.maxRecordBytes ?? 128 * MIB, 0),
		maxScheduled: amount("maxScheduled", options.maxScheduled ?? 100_000, 0),
		maxScheduledBytes: amount("maxScheduledBytes", options.maxScheduledBytes ?? 128 * MIB, 0),
		renewEpochs: restored,
		now: options.now ?? Date.now,
		everySweep: (task) => every(SWEEP_INTERVAL_MS, task),
		after: options.after ?? afterUnreferenced,
	};
}
