/** The compliance suite must be able to fail: it is fed brokers with one bug each. */
import { expect, it } from "vitest";
import type { Broker } from "../src/broker.ts";
import { brokerCompliance } from "../src/compliance.ts";
import { createMemoryCluster } from "../src/memory-broker.ts";
import type { Breaking } from "./broken/breaking.ts";
import { BUGS } from "./broken-brokers.ts";
import { FakeClock } from "./fake-clock.ts";

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
				let cluster = createMemoryCluster({ now: clock.now, every: clock.never, after: clock.after });
				const nodes: Broker[] = [];
				const node = (): Broker => {
					const broker = cluster.node();
					const broken = { ...breaking(broker, clock) };
					const proxy = new Proxy(broker, {
						get: (_target, property) => {
							const value: unknown = Reflect.get(broken, property) ?? Reflect.get(broker, property);
							return typeof value === "function" ? value.bind(broker) : value;
						},
					});
					nodes.push(proxy);
					return proxy;
				};
				const closeAll = async (): Promise<void> => {
					await Promise.all(nodes.map((each) => each.close()));
					cluster.close();
				};
				return {
					broker: node(),
					node: async () => node(),
					advance: (ms) => clock.advance(ms),
					lose: (channel) => cluster.forget(channel),
					reopen: async () => {
						await closeAll();
						cluster = createMemoryCluster({ now: clock.now, every: clock.never, after: clock.after });
						return node();
					},
					close: closeAll,
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

it("finds nothing wrong with the memory broker", async () => {
	expect(await findings(() => ({}))).toEqual([]);
});

for (const [bug, breaking] of Object.entries(BUGS)) {
	it(`finds: ${bug}`, async () => {
		expect(await findings(breaking)).not.toEqual([]);
	});
}
