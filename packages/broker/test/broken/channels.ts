/** Bugs of the list of channels. */
import type { BugTable } from "./breaking.ts";

export const channelBugs: BugTable = {
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
