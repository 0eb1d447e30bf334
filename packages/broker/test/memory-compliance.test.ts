import { describe, it } from "vitest";
import type { Broker } from "../src/broker.ts";
import { brokerCompliance } from "../src/compliance.ts";
import { createMemoryCluster } from "../src/memory-broker.ts";
import { FakeClock } from "./fake-clock.ts";

for (const sweeps of [false, true]) {
	brokerCompliance(
		sweeps ? "memory broker, swept as time passes" : "memory broker, never swept",
		{
			durability: "memory",
			can: ["advance", "reopen", "lose"],
			create: async () => {
				const clock = new FakeClock();
				let cluster = createMemoryCluster({ now: clock.now, every: clock.never, after: clock.after });
				const nodes: Broker[] = [];
				const node = (): Broker => {
					const next = cluster.node();
					nodes.push(next);
					return next;
				};
				const closeAll = async (): Promise<void> => {
					await Promise.all(nodes.map((each) => each.close()));
					cluster.close();
				};
				return {
					broker: node(),
					node: async () => node(),
					advance: (ms) => {
						clock.advance(ms);
						if (sweeps) {
							cluster.sweep();
						}
					},
					reopen: async () => {
						await closeAll();
						cluster = createMemoryCluster({ now: clock.now, every: clock.never, after: clock.after });
						return node();
					},
					lose: (channel) => cluster.forget(channel),
					close: closeAll,
				};
			},
		},
		{ describe, it, skip: it.skip },
	);
}
