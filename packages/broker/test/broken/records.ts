/** Bugs of the small records. */
import type { KeyedRecord, Records } from "../../src/broker.ts";
import type { Breaking, BugTable } from "./breaking.ts";

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

export const recordBugs: BugTable = {
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
