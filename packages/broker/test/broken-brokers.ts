/** Bugs that a broker may have, one each, as seen from outside. The compliance suite must find every one. */
import type { Broker, BrokerListener, Entry, KeyedRecord, Publication, Records } from "../src/broker.ts";
import type { FakeClock } from "./fake-clock.ts";

/** What a node does differently. Called once for each node. */
export type Breaking = (broker: Broker, clock: FakeClock) => Partial<Broker>;

const utf8 = new TextEncoder();
const RETENTION = { messages: 1_000, bytes: 1024 * 1024, ageMs: 600_000 };

function listenThrough(broker: Broker, change: (listener: BrokerListener) => Partial<BrokerListener>): Partial<Broker> {
	return {
		listen: (listener) =>
			broker.listen({
				entries: (...args) => listener.entries(...args),
				reset: (...args) => listener.reset(...args),
				...change(listener),
			}),
	};
}

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

/** Every publication that enters the broker is changed. */
function changePublications(broker: Broker, change: (publication: Publication) => Publication): Partial<Broker> {
	return { publish: (channel, publication, options) => broker.publish(channel, change(publication), options) };
}

function withRecords(change: (records: Records) => Partial<Records>): Breaking {
	return (broker) => ({ records: { ...broker.records, ...change(broker.records) } });
}

/** A list that is changed on its way out. */
function withList(change: (records: readonly KeyedRecord[]) => readonly KeyedRecord[]): Breaking {
	return withRecords((records) => ({ list: async (...args) => change(await records.list(...args)) }));
}

function alike(left: Uint8Array, right: Uint8Array): boolean {
	return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

const LOG: Readonly<Record<string, Breaking>> = {
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

const SNAPSHOTS: Readonly<Record<string, Breaking>> = {
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

const SCHEDULE: Readonly<Record<string, Breaking>> = {
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

const CHANNELS: Readonly<Record<string, Breaking>> = {
	"a channel without entries is not listed": (broker) => ({
		channels: async (options) => {
			const names = await broker.channels(options);
			const heads = await Promise.all(names.map((name) => broker.read(name, { after: 0, limit: 1 })));
			return names.filter((_, index) => heads[index]!.head > heads[index]!.tail);
		},
	}),
	"a node lists what is subscribed to at it only": (broker) => {
		const subscribed = new Set<string>();
		return {
			subscribe: async (channel) => {
				subscribed.add(channel);
				return broker.subscribe(channel);
			},
			channels: async (options) => {
				const names = await broker.channels(options);
				const pages = await Promise.all(names.map((name) => broker.read(name, { after: 0, limit: 0 })));
				return names.filter((name, index) => subscribed.has(name) || pages[index]!.head > 0);
			},
		};
	},
	"a channel that was asked about is listed": (broker) => {
		const asked = new Set<string>();
		return {
			read: async (channel, options) => {
				asked.add(channel);
				return broker.read(channel, options);
			},
			channels: async (options) => [...new Set([...asked, ...(await broker.channels(options))])].sort(),
		};
	},
	"channels are listed for ever": (broker) => {
		const ever = new Set<string>();
		return {
			publish: (channel, ...args) => {
				ever.add(channel);
				return broker.publish(channel, ...args);
			},
			channels: async ({ prefix = "", after = "", limit }) => {
				const now = await broker.channels({ limit: 10_000 });
				const names = [...new Set([...now, ...ever])].sort();
				return names.filter((name) => name.startsWith(prefix) && name > after).slice(0, limit);
			},
		};
	},
	"channels come in the order of their creation": (broker) => {
		const order: string[] = [];
		return {
			publish: (channel, ...args) => {
				order.push(channel);
				return broker.publish(channel, ...args);
			},
			channels: async (options) =>
				[...(await broker.channels(options))].sort((left, right) => order.indexOf(left) - order.indexOf(right)),
		};
	},
	"channels come in the order of a language": (broker) => ({
		channels: async (options) => [...(await broker.channels(options))].sort(new Intl.Collator("en").compare),
	}),
	"the prefix of channels is ignored": (broker) => ({
		channels: ({ prefix: _, ...options }) => broker.channels(options),
	}),
	"the prefix of channels is a pattern": (broker) => ({
		channels: async ({ prefix = "", after = "", limit }) => {
			const like = new RegExp(
				`^${prefix
					.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")
					.replaceAll("%", ".*")
					.replaceAll("_", ".")}`,
				"s",
			);
			const names = await broker.channels({ after, limit: 10_000 });
			return names.filter((name) => like.test(name)).slice(0, limit);
		},
	}),
	"the prefix of channels knows no capitals": (broker) => ({
		channels: async ({ prefix = "", after = "", limit }) => {
			const names = await broker.channels({ after, limit: 10_000 });
			return names.filter((name) => name.toLowerCase().startsWith(prefix.toLowerCase())).slice(0, limit);
		},
	}),
	"after is included in channels": (broker) => ({
		channels: async ({ prefix = "", after = "", limit }) => {
			const names = await broker.channels({ prefix, limit: 10_000 });
			return names.filter((name) => name >= after).slice(0, limit);
		},
	}),
	"after must be one of the channels": (broker) => ({
		channels: async ({ prefix = "", after, limit }) => {
			const names = await broker.channels({ limit: 10_000 });
			const start = after === undefined ? 0 : names.indexOf(after) + 1;
			const rest = after !== undefined && start === 0 ? [] : names.slice(start);
			return rest.filter((name) => name.startsWith(prefix)).slice(0, limit);
		},
	}),
	"the limit of channels is ignored": (broker) => ({
		channels: (options) => broker.channels({ ...options, limit: Math.max(options.limit, 1_000) }),
	}),
	"a page of channels is short before the last": (broker) => ({
		channels: async (options) => (await broker.channels(options)).slice(0, 3),
	}),
};

const RECORDS: Readonly<Record<string, Breaking>> = {
	"setIfAbsent sets always": withRecords((records) => ({
		setIfAbsent: async (key, value, ttlMs) => {
			const present = await records.get(key);
			await records.set(key, value, ttlMs);
			return present;
		},
	})),
	"replace does not compare": withRecords((records) => ({
		replace: async (key, _expected, value, ttlMs) => {
			await (value === undefined ? records.delete(key) : records.set(key, value, ttlMs));
			return true;
		},
	})),
	"replace compares, waits and sets": withRecords((records) => ({
		replace: async (key, expected, value, ttlMs) => {
			const present = await records.get(key);
			const holds = present === undefined || expected === undefined ? present === expected : alike(present, expected);
			if (holds) {
				await (value === undefined ? records.delete(key) : records.set(key, value, ttlMs));
			}
			return holds;
		},
	})),
	"replace compares lengths": withRecords((records) => ({
		replace: async (key, expected, value, ttlMs) => {
			const present = await records.get(key);
			return records.replace(key, present?.length === expected?.length ? present : expected, value, ttlMs);
		},
	})),
	"replace expects anything where nothing is expected": withRecords((records) => ({
		replace: async (key, expected, value, ttlMs) =>
			records.replace(key, expected ?? (await records.get(key)), value, ttlMs),
	})),
	"replace takes no bytes for nothing": withRecords((records) => ({
		replace: async (key, expected, value, ttlMs) => {
			const present = await records.get(key);
			const isEmpty = (bytes: Uint8Array | undefined): boolean => bytes === undefined || bytes.length === 0;
			return records.replace(key, isEmpty(present) && isEmpty(expected) ? present : expected, value, ttlMs);
		},
	})),
	"replace by nothing leaves what is there": withRecords((records) => ({
		replace: (key, expected, value, ttlMs) => records.replace(key, expected, value ?? expected, ttlMs || 1),
	})),
	"replace by nothing needs a time": withRecords((records) => ({
		replace: async (key, expected, value, ttlMs) => ttlMs > 0 && records.replace(key, expected, value, ttlMs),
	})),
	"replace leaves the time as it was": (broker, clock) => {
		const ends = new Map<string, number>();
		const { records } = broker;
		return {
			records: {
				...records,
				set: async (key, value, ttlMs) => {
					ends.set(key, clock.now() + ttlMs);
					await records.set(key, value, ttlMs);
				},
				replace: (key, expected, value, ttlMs) => {
					const restMs = (ends.get(key) ?? Infinity) - clock.now();
					return records.replace(key, expected, value, restMs > 0 ? Math.min(restMs, ttlMs) : ttlMs);
				},
			},
		};
	},
	"a refused replace starts the time anew": withRecords((records) => ({
		replace: async (key, expected, value, ttlMs) => {
			const replaced = await records.replace(key, expected, value, ttlMs);
			const present = await records.get(key);
			if (!replaced && present !== undefined) {
				await records.set(key, present, 60_000);
			}
			return replaced;
		},
	})),
	"the prefix of a list is ignored": withRecords((records) => ({
		list: (_prefix, options) => records.list("", options),
	})),
	"the prefix of a list knows no capitals": withRecords((records) => ({
		list: async (prefix, { after = "", limit }) => {
			const all = await records.list("", { limit: 10_000 });
			const found = all.filter(({ key }) => key.toLowerCase().startsWith(prefix.toLowerCase()) && key > after);
			return found.slice(0, limit);
		},
	})),
	"after is included in a list": withRecords((records) => ({
		list: async (prefix, { after = "", limit }) =>
			(await records.list(prefix, { limit: 10_000 })).filter(({ key }) => key >= after).slice(0, limit),
	})),
	"the limit of a list is ignored": withRecords((records) => ({
		list: (prefix, options) => records.list(prefix, { ...options, limit: 10_000 }),
	})),
	"a list has keys only": withList((records) => records.map(({ key }) => ({ key, value: new Uint8Array(0) }))),
	"a list leaves values of no bytes out": withList((records) => records.filter(({ value }) => value.length > 0)),
	"a list is not in order": withList((records) => records.toReversed()),
	"a list has what has ended": (broker) => {
		const { records } = broker;
		const ever = new Map<string, Uint8Array>();
		return {
			records: {
				...records,
				set: async (key, value, ttlMs) => {
					await records.set(key, value, ttlMs);
					ever.set(key, value);
				},
				delete: async (key) => {
					await records.delete(key);
					ever.delete(key);
				},
				list: async (prefix, { after = "", limit }) =>
					[...ever]
						.map(([key, value]) => ({ key, value }))
						.filter(({ key }) => key.startsWith(prefix) && (after === "" || key > after))
						.sort((left, right) => (left.key < right.key ? -1 : 1))
						.slice(0, limit),
			},
		};
	},
	"a limit counts what has ended": (broker, clock) => {
		const { records } = broker;
		const ends = new Map<string, number>();
		return {
			records: {
				...records,
				set: async (key, value, ttlMs) => {
					await records.set(key, value, ttlMs);
					ends.set(key, clock.now() + ttlMs);
				},
				list: (prefix, options) => {
					const ended = [...ends].filter(([key, endMs]) => key.startsWith(prefix) && endMs <= clock.now()).length;
					return records.list(prefix, { ...options, limit: Math.max(0, options.limit - ended) });
				},
			},
		};
	},
};

export const BUGS: Readonly<Record<string, Breaking>> = {
	...LOG,
	...SNAPSHOTS,
	...SCHEDULE,
	...CHANNELS,
	...RECORDS,
};
