/** Bugs of the log, and of what nodes are told. */
import type { Broker, Publication } from "../../src/broker.ts";
import { type BugTable, listenThrough } from "./breaking.ts";

/** Every publication that enters the broker is changed. */
function changePublications(broker: Broker, change: (publication: Publication) => Publication): Partial<Broker> {
	return { publish: (channel, publication, options) => broker.publish(channel, change(publication), options) };
}

export const logBugs: BugTable = {
	"an entry is not told": (broker) =>
		listenThrough(broker, ({ entries }) => ({
			entries: (channel, epoch, list) => list[0]!.offset !== 2 && entries(channel, epoch, list),
		})),
	"an entry is told twice": (broker) =>
		listenThrough(broker, ({ entries }) => ({
			entries: (channel, epoch, list) => {
				entries(channel, epoch, list);
				if (list[0]!.offset === 2) {
					entries(channel, epoch, list);
				}
			},
		})),
	"two entries are told in the wrong order": (broker) => {
		let held: (() => void) | undefined;
		return listenThrough(broker, ({ entries }) => ({
			entries: (channel, epoch, list) => {
				if (list[0]!.offset === 2) {
					held = () => entries(channel, epoch, list);
					return;
				}
				entries(channel, epoch, list);
				held?.();
				held = undefined;
			},
		}));
	},
	"subscribe gives the position of before": (broker) => ({
		subscribe: async (channel) => {
			const { head } = await broker.read(channel, { after: 0, limit: 0 });
			const position = await broker.subscribe(channel);
			return { ...position, offset: Math.min(head, position.offset) };
		},
	}),
	"unsubscribe does nothing": () => ({ unsubscribe: () => {} }),
	"a loss is not told": (broker) => listenThrough(broker, () => ({ reset: () => {} })),
	"idempotency keys are ignored": (broker) => ({
		publish: (channel, publication, { idempotencyKey: _, ...options }) => broker.publish(channel, publication, options),
	}),
	"ifPosition is ignored": (broker) => ({
		publish: (channel, publication, { ifPosition: _, ...options }) => broker.publish(channel, publication, options),
	}),
	"afterKey is ignored": (broker) => ({
		publish: (channel, publication, { afterKey: _, ...options }) => broker.publish(channel, publication, options),
	}),
	"afterKey wants the key in any channel": (broker) => {
		const known = new Set<string | undefined>();
		return {
			publish: async (channel, publication, { afterKey, ...options }) => {
				const result = await broker.publish(channel, publication, {
					...options,
					...(afterKey !== undefined && !known.has(afterKey) && { afterKey }),
				});
				known.add(result.status === "conflict" ? undefined : options.idempotencyKey);
				return result;
			},
		};
	},
	"retention is ignored": (broker) => ({
		publish: (channel, publication, options) =>
			broker.publish(channel, publication, { ...options, retention: { messages: 9e9, bytes: 9e9, ageMs: 9e9 } }),
	}),
	"a page skips an entry": (broker) => ({
		read: async (channel, options) => {
			const page = await broker.read(channel, options);
			return { ...page, entries: page.entries.filter((entry) => entry.offset !== 2) };
		},
	}),
	"patch gets lost": (broker) => changePublications(broker, ({ patch: _, ...publication }) => publication),
	"report gets lost": (broker) => changePublications(broker, ({ report: _, ...publication }) => publication),
	"report is told, but not read": (broker) => ({
		read: async (channel, options) => {
			const page = await broker.read(channel, options);
			return { ...page, entries: page.entries.map(({ report: _, ...entry }) => entry) };
		},
	}),
	"told counts the nodes, subscribed or not": (broker) => ({
		publish: async (...args) => {
			const result = await broker.publish(...args);
			return result.status === "accepted" && !result.duplicate ? { ...result, told: 2 } : result;
		},
	}),
	"told leaves the publisher's node out": (broker) => ({
		publish: async (...args) => {
			const result = await broker.publish(...args);
			return result.status === "accepted" && result.told ? { ...result, told: result.told - 1 } : result;
		},
	}),
};
