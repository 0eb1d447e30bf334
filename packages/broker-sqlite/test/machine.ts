/**
 * Machines that tests need: one that starts anew, one whose disk refuses; and short forms of what they do with a
 * broker.
 */
import { type Broker, BrokerError, type Entry, type Publication, type PublishOptions } from "@tidewire/broker";
import { expect } from "vitest";
import type { SqliteBrokerOptions } from "../src/options.ts";
import { openCluster, type SqliteCluster } from "../src/sqlite-broker.ts";
import type { Machine } from "../src/store.ts";
import { type Sync, syncDescriptor } from "../src/wal.ts";

export const KEEP = { messages: 1_000, bytes: 1024 * 1024, ageMs: 600_000 };
const DAY_MS = 24 * 60 * 60 * 1000;
export const KEEP_ALL = { messages: Infinity, bytes: Infinity, ageMs: 365 * DAY_MS };

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** No timer of a broker under test runs by itself. */
const never = (): (() => void) => () => {};

export function machine(boot = "first", sync: Sync = syncDescriptor): Machine {
	return { boot, sync };
}

/** Opens the file on a machine; sweeps and schedules stand still unless `options` says otherwise. */
export function open(options: SqliteBrokerOptions, on: Machine = machine()): SqliteCluster {
	return openCluster({ every: never, after: never, ...options }, on);
}

export function json(value: string): Publication {
	return { data: utf8.encode(value), encoding: "json" };
}

export function ofSize(bytes: number): Publication {
	return { data: new Uint8Array(bytes).fill(32), encoding: "binary" };
}

/** Publishes what must be accepted; gives `epoch` and `offset`. */
export async function publish(
	broker: Broker,
	channel: string,
	publication: Publication,
	options: Partial<PublishOptions> = {},
): Promise<{ readonly epoch: string; readonly offset: number }> {
	const result = await broker.publish(channel, publication, { retention: KEEP, ...options });
	if (result.status !== "accepted") {
		throw new Error(`the publish came to ${result.status}`);
	}
	return result.position;
}

function texts(entries: readonly Entry[]): string[] {
	return entries.map((entry) => text.decode(entry.data));
}

export async function readTexts(broker: Broker, channel: string): Promise<string[]> {
	return texts((await broker.read(channel, { after: 0, limit: 1_000 })).entries);
}

export async function refusal(promise: Promise<unknown>): Promise<BrokerError> {
	const reason = await promise.then(
		() => undefined,
		(error: unknown) => error,
	);
	expect(reason).toBeInstanceOf(BrokerError);
	return reason as BrokerError;
}
