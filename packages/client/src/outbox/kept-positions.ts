/**
 * Where channels were, kept a moment behind: after a crash the last deliveries may be seen again, never skipped. Bounded:
 * the channels used longest ago are forgotten first.
 */
import type { Positions } from "../client.ts";
import type { Journal } from "./journal.ts";
import { isPosition, POSITION, type PositionRecord } from "./records.ts";

/** While channels are busy, they are written down so often. */
const WRITE_EVERY_MS = 200;
const MAX_CHANNELS = 1_000;
/** No server knows an epoch for longer by default. */
const MAX_AGE_MS = 86_400_000;

export interface KeptPositions extends Positions {
	restore(records: ReadonlyMap<string, unknown>): void;
	/** Returns the keys of what is forgotten. */
	clear(): readonly string[];
	/** Writes what is still to be written. */
	close(): void;
}

export function createKeptPositions(journal: Journal, nowMs: () => number): KeptPositions {
	/** The one that moved last is the last. */
	const kept = new Map<string, PositionRecord>();
	let dirty = new Set<string>();
	let timer: ReturnType<typeof setTimeout> | undefined;
	let wroteAt = Number.NEGATIVE_INFINITY;

	function write(): void {
		clearTimeout(timer);
		timer = undefined;
		wroteAt = performance.now();
		const changes = [...dirty].map((channel) => [POSITION + channel, kept.get(channel)] as const);
		dirty = new Set();
		// What could not be written is written with the next move: until then the page would begin further back.
		journal.put(changes).catch(() => {});
	}

	function change(channel: string): void {
		dirty.add(channel);
		timer ??= setTimeout(write, Math.max(0, wroteAt + WRITE_EVERY_MS - performance.now()));
	}

	// The last moment in which a page that is left can write; whether it is done, the browser does not promise.
	globalThis.addEventListener?.("pagehide", write);
	return {
		get: (channel) => kept.get(channel)?.position,
		set(channel, position) {
			kept.delete(channel);
			kept.set(channel, { position, at: nowMs() });
			change(channel);
			if (kept.size > MAX_CHANNELS) {
				const [oldest] = kept.keys();
				kept.delete(oldest!);
				dirty.add(oldest!);
			}
		},
		delete(channel) {
			if (kept.delete(channel)) {
				change(channel);
			}
		},
		restore(records) {
			const found: [string, PositionRecord][] = [];
			for (const [key, record] of records) {
				if (key.startsWith(POSITION)) {
					const channel = key.slice(POSITION.length);
					if (isPosition(record) && nowMs() - record.at < MAX_AGE_MS) {
						found.push([channel, record]);
					} else {
						change(channel);
					}
				}
			}
			for (const [channel, record] of found.sort(([, one], [, other]) => one.at - other.at)) {
				kept.set(channel, record);
			}
		},
		clear() {
			const keys = [...kept.keys()].map((channel) => POSITION + channel);
			kept.clear();
			dirty.clear();
			return keys;
		},
		close() {
			globalThis.removeEventListener?.("pagehide", write);
			write();
		},
	};
}
