/** Bugs of snapshots. */
import type { BugTable } from "./breaking.ts";

const utf8 = new TextEncoder();
const RETENTION = { messages: 1_000, bytes: 1024 * 1024, ageMs: 600_000 };

export const snapshotBugs: BugTable = {
	"the first snapshot stays": (broker) => {
		const seen = new Set<string>();
		return {
			publish: (channel, publication, options) => {
				const { snapshot, ...others } = options;
				const isFirst = snapshot !== undefined && !seen.has(channel);
				seen.add(channel);
				return broker.publish(channel, publication, isFirst ? options : others);
			},
		};
	},
	"a snapshot has the head's offset": (broker) => ({
		snapshot: async (channel) => {
			const snapshot = await broker.snapshot(channel);
			return snapshot.offset === undefined ? snapshot : { ...snapshot, offset: snapshot.head };
		},
	}),
	"a snapshot goes with its entry": (broker) => ({
		snapshot: async (channel) => {
			const { offset, data, ...position } = await broker.snapshot(channel);
			const { tail } = await broker.read(channel, { after: 0, limit: 0 });
			return offset !== undefined && data !== undefined && offset > tail ? { ...position, offset, data } : position;
		},
	}),
	"a snapshot is kept apart, also where its entry is not appended": (broker) => {
		const kept = new Map<string, Uint8Array>();
		return {
			publish: async (channel, publication, options) => {
				const result = await broker.publish(channel, publication, options);
				if (options.snapshot !== undefined) {
					kept.set(channel, options.snapshot);
				}
				return result;
			},
			snapshot: async (channel) => {
				const snapshot = await broker.snapshot(channel);
				const data = kept.get(channel);
				return snapshot.offset === undefined || data === undefined ? snapshot : { ...snapshot, data };
			},
		};
	},
	"a snapshot outlives its epoch": (broker) => {
		const kept = new Map<string, { offset: number; data: Uint8Array }>();
		return {
			publish: async (channel, publication, options) => {
				const result = await broker.publish(channel, publication, options);
				if (result.status === "accepted" && !result.duplicate && options.snapshot !== undefined) {
					kept.set(channel, { offset: result.position.offset, data: options.snapshot });
				}
				return result;
			},
			snapshot: async (channel) => ({ ...(await broker.snapshot(channel)), ...kept.get(channel) }),
		};
	},
	"a snapshot is read apart from its offset": (broker) => ({
		snapshot: async (channel) => {
			const before = await broker.snapshot(channel);
			await null;
			const { data } = await broker.snapshot(channel);
			return before.offset === undefined || data === undefined ? before : { ...before, data };
		},
	}),
	"a snapshot is stored after its entry was told": (broker) => ({
		publish: async (channel, publication, options) => {
			const { snapshot, ...others } = options;
			const result = await broker.publish(channel, publication, others);
			for (let turn = 0; snapshot !== undefined && result.status === "accepted" && turn < 20; turn++) {
				await null;
			}
			return snapshot === undefined
				? result
				: broker.publish(channel, publication, { ...options, retention: RETENTION });
		},
	}),
	"a snapshot of no bytes is none": (broker) => ({
		snapshot: async (channel) => {
			const { offset, data, ...position } = await broker.snapshot(channel);
			return offset !== undefined && data?.length ? { ...position, offset, data } : position;
		},
	}),
	"a snapshot is text": (broker) => ({
		snapshot: async (channel) => {
			const snapshot = await broker.snapshot(channel);
			const { data } = snapshot;
			return data === undefined ? snapshot : { ...snapshot, data: utf8.encode(new TextDecoder().decode(data)) };
		},
	}),
};
