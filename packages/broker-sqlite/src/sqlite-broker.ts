/**
 * The broker that keeps everything in one SQLite file: logs, positions, idempotency keys, snapshots, scheduled
 * publishes and records survive the process. One process owns the file at a time; others may take it over one
 * after another, after a `kill -9` at once.
 *
 * `node:sqlite` works on the caller's thread. What one turn of the event loop may spend there is bounded everywhere:
 * transactions, pages of reading, removal of what has ended. Waiting for the disk happens off the thread (`wal.ts`).
 */
import type { Broker } from "@tidewire/broker";
import { readBoot } from "./boot.ts";
import { SqliteNode } from "./node.ts";
import { resolveOptions, type SqliteBrokerOptions } from "./options.ts";
import { type Machine, type SqliteStats, Store } from "./store.ts";
import { syncDescriptor } from "./wal.ts";

/** Several nodes in one process, on the same file. */
export interface SqliteCluster {
	/** One more node. */
	node(): Broker;
	/** Drops a channel's log, epoch and head too; its subscribers are told `reset`. */
	forget(channel: string): Promise<void>;
	/** Lets go of all that has ended. It also runs by itself, see `every`. */
	sweep(): Promise<void>;
	stats(): SqliteStats;
	/** Resolves when all that was asked for before is done. */
	idle(): Promise<void>;
	/** Closes the file. The nodes are closed by those that own them. */
	close(): Promise<void>;
}

/** The only node of a cluster of its own. */
export interface SqliteBroker extends Broker, Omit<SqliteCluster, "close" | "node"> {}

/** Several nodes in one process on one file. Throws `SqliteBrokerError` where the file cannot be had. */
export function createSqliteCluster(options: SqliteBrokerOptions): SqliteCluster {
	return openCluster(options, { boot: readBoot(), sync: syncDescriptor });
}

/** A broker for one node on one file. Throws `SqliteBrokerError` where the file cannot be had. */
export function createSqliteBroker(options: SqliteBrokerOptions): SqliteBroker {
	const resolved = resolveOptions(options);
	const store = new Store(resolved, { boot: readBoot(), sync: syncDescriptor });
	const node = new SqliteNode(store, { maxDataBytes: resolved.maxDataBytes, closed: () => store.close() });
	return Object.assign(node, controls(store));
}

/** The same on another machine, for tests. */
export function openCluster(options: SqliteBrokerOptions, machine: Machine): SqliteCluster {
	const resolved = resolveOptions(options);
	const store = new Store(resolved, machine);
	return {
		...controls(store),
		node: () => new SqliteNode(store, { maxDataBytes: resolved.maxDataBytes, closed: () => store.idle() }),
		close: () => store.close(),
	};
}

function controls(store: Store): Omit<SqliteCluster, "close" | "node"> {
	return {
		forget: (channel) => store.forget(channel),
		sweep: () => store.sweep(),
		stats: () => store.stats(),
		idle: () => store.idle(),
	};
}
