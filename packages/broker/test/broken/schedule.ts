/** Bugs of publishes that wait for their time. */
import type { Broker, Entry, Publication } from "../../src/broker.ts";
import { type BugTable, listenThrough } from "./breaking.ts";

/** Every entry that leaves the broker is changed. */
function changeEntries(broker: Broker, change: (entry: Entry) => Entry): Partial<Broker> {
	return {
		...listenThrough(broker, ({ entries }) => ({
			entries: (channel, epoch, list) => entries(channel, epoch, list.map(change)),
		})),
		read: async (channel, options) => {
			const page = await broker.read(channel, options);
			return { ...page, entries: page.entries.map(change) };
		},
	};
}

export const scheduleBugs: BugTable = {
	"a scheduled publish is appended at once": (broker) => ({
		publish: async (channel, publication, { atMs, ...options }) => {
			const result = await broker.publish(channel, publication, options);
			return atMs === undefined ? result : { status: "scheduled", duplicate: false };
		},
	}),
	"a scheduled publish is lost": (broker) => ({
		publish: async (channel, publication, options) =>
			options.atMs === undefined
				? broker.publish(channel, publication, options)
				: { status: "scheduled", duplicate: false },
	}),
	"a scheduled publish is appended twice": (broker) => ({
		publish: async (channel, publication, options) => {
			const result = await broker.publish(channel, publication, options);
			if (result.status === "scheduled" && !result.duplicate) {
				await broker.publish(channel, publication, { retention: options.retention, atMs: options.atMs! });
			}
			return result;
		},
	}),
	"a scheduled publish is a millisecond early": (broker) => ({
		publish: (channel, publication, options) =>
			broker.publish(channel, publication, {
				...options,
				...(options.atMs !== undefined && options.atMs > 0 && { atMs: options.atMs - 1 }),
			}),
	}),
	"scheduled publishes of one second are appended as they were accepted": (broker) => ({
		publish: (channel, publication, options) =>
			broker.publish(channel, publication, {
				...options,
				...(options.atMs !== undefined && { atMs: Math.ceil(options.atMs / 1_000) * 1_000 }),
			}),
	}),
	"scheduled publishes of one time are appended the last first": (broker) => {
		let count = 0;
		return {
			publish: (channel, publication, options) =>
				broker.publish(channel, publication, {
					...options,
					...(options.atMs !== undefined && { atMs: options.atMs - ++count / 1_000 }),
				}),
		};
	},
	"a scheduled entry carries the time at which it was accepted": (broker, clock) => {
		const acceptedMs = new Map<string, number>();
		const textOf = ({ data }: Publication): string => new TextDecoder().decode(data);
		return {
			...changeEntries(broker, (entry) => ({ ...entry, timeMs: acceptedMs.get(textOf(entry)) ?? entry.timeMs })),
			publish: async (channel, publication, options) => {
				const result = await broker.publish(channel, publication, options);
				if (result.status === "scheduled") {
					acceptedMs.set(textOf(publication), clock.now());
				}
				return result;
			},
		};
	},
	"a scheduled entry has its data only": (broker) => ({
		publish: (channel, publication, options) => {
			const { data, encoding } = publication;
			return broker.publish(channel, options.atMs === undefined ? publication : { data, encoding }, options);
		},
	}),
	"a repeat is recognised when the first was appended, not before": (broker) => ({
		publish: async (channel, publication, options) => {
			const { idempotencyKey: _, ...others } = options;
			return broker.publish(channel, publication, options.atMs === undefined ? options : others);
		},
	}),
	"an idempotency key's time counts from when it is appended": (broker, clock) => ({
		publish: (channel, publication, options) => {
			const { atMs = 0, idempotencyMs } = options;
			const waitMs = Math.max(0, atMs - clock.now());
			return broker.publish(channel, publication, {
				...options,
				...(idempotencyMs !== undefined && { idempotencyMs: idempotencyMs + waitMs }),
			});
		},
	}),
	"what was scheduled ends with its node": (broker, clock) => {
		let open = true;
		return {
			publish: async (channel, publication, options) => {
				const { atMs, ...others } = options;
				if (atMs === undefined || !(atMs > clock.now()) || !Number.isFinite(atMs)) {
					return broker.publish(channel, publication, options);
				}
				clock.after(atMs - clock.now(), () => open && void broker.publish(channel, publication, others));
				return { status: "scheduled", duplicate: false };
			},
			close: async () => {
				open = false;
				await broker.close();
			},
		};
	},
	"a time that has passed is scheduled": (broker) => ({
		publish: async (channel, publication, options) => {
			const result = await broker.publish(channel, publication, options);
			return options.atMs === undefined ? result : { status: "scheduled", duplicate: false };
		},
	}),
	"a condition on a later publish is ignored": (broker) => ({
		publish: (channel, publication, options) => {
			const { ifPosition: _, ...others } = options;
			return broker.publish(channel, publication, options.atMs === undefined ? options : others);
		},
	}),
	"a snapshot of a later publish is ignored": (broker) => ({
		publish: (channel, publication, options) => {
			const { snapshot: _, ...others } = options;
			return broker.publish(channel, publication, options.atMs === undefined ? options : others);
		},
	}),
};
