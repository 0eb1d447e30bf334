/** The compliance suite must be able to fail: it is fed brokers with one bug each. */
import { expect, it } from "vitest";
import type { Broker, BrokerListener } from "../src/broker.ts";
import { brokerCompliance } from "../src/compliance.ts";
import { createMemoryCluster } from "../src/memory-broker.ts";
import { FakeClock } from "./fake-clock.ts";

type Breaking = (broker: Broker) => Partial<Broker>;

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

/** Runs the suite on memory brokers broken in one way, and gives the titles of the cases that failed. */
async function findings(breaking: Breaking): Promise<string[]> {
	const failed: string[] = [];
	const cases: [string, () => Promise<void>][] = [];
	brokerCompliance(
		"broken",
		{
			durability: "memory",
			can: ["advance", "lose", "reopen"],
			create: async () => {
				const clock = new FakeClock();
				const cluster = createMemoryCluster({ now: clock.now, every: clock.never, after: clock.after });
				const node = (): Broker => {
					const broker = cluster.node();
					return new Proxy(broker, {
						get: (_target, property) => {
							const value: unknown = Reflect.get({ ...breaking(broker) }, property) ?? Reflect.get(broker, property);
							return typeof value === "function" ? value.bind(broker) : value;
						},
					});
				};
				return {
					broker: node(),
					node: async () => node(),
					advance: (ms) => clock.advance(ms),
					lose: (channel) => cluster.forget(channel),
					reopen: async () => node(),
					close: async () => cluster.close(),
				};
			},
		},
		{ describe: (_name, body) => body(), it: (title, body) => cases.push([title, body]) },
	);
	for (const [title, body] of cases) {
		const result: { outcome?: "passed" | "failed" } = {};
		void body().then(
			() => {
				result.outcome = "passed";
			},
			() => {
				result.outcome = "failed";
			},
		);
		// The memory broker needs no event loop: what has not come after some turns never comes.
		for (let turn = 0; turn < 5 && result.outcome === undefined; turn++) {
			await new Promise((resolve) => setImmediate(resolve));
		}
		if (result.outcome !== "passed") {
			failed.push(title);
		}
	}
	return failed;
}

const BUGS: Readonly<Record<string, Breaking>> = {
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
		publish: (channel, publication, { retention, ifPosition }) =>
			broker.publish(channel, publication, { retention, ...(ifPosition && { ifPosition }) }),
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
	"setIfAbsent sets always": (broker) => ({
		records: {
			...broker.records,
			setIfAbsent: async (key, value, ttlMs) => {
				const present = await broker.records.get(key);
				await broker.records.set(key, value, ttlMs);
				return present;
			},
		},
	}),
};

it("finds nothing wrong with the memory broker", async () => {
	expect(await findings(() => ({}))).toEqual([]);
});

for (const [bug, breaking] of Object.entries(BUGS)) {
	it(`finds: ${bug}`, async () => {
		expect(await findings(breaking)).not.toEqual([]);
	});
}
