import type { Broker } from "@tidewire/broker";
import { brokerCompliance } from "@tidewire/broker/compliance";
import { describe, it } from "vitest";
import { createSqliteCluster, type SqliteCluster, type Synchronous } from "../src/index.ts";
import { FakeClock } from "./fake-clock.ts";
import { makeFolder } from "./files.ts";

function comply(name: string, synchronous: Synchronous, sweeps: boolean): void {
	brokerCompliance(
		name,
		{
			durability: "stored",
			can: ["advance", "reopen", "lose"],
			create: async () => {
				const clock = new FakeClock();
				const folder = makeFolder();
				const path = folder.path("channels.db");
				const open = (): SqliteCluster =>
					createSqliteCluster({ path, synchronous, now: clock.now, every: clock.never, after: clock.after });
				let cluster = open();
				let nodes: Broker[] = [];
				const node = (): Broker => {
					const next = cluster.node();
					nodes.push(next);
					return next;
				};
				const closeAll = async (): Promise<void> => {
					await Promise.all(nodes.map((each) => each.close()));
					nodes = [];
					await cluster.close();
				};
				return {
					broker: node(),
					node: async () => node(),
					advance: async (ms) => {
						clock.advance(ms);
						await cluster.idle();
						if (sweeps) {
							await cluster.sweep();
						}
					},
					reopen: async () => {
						await closeAll();
						cluster = open();
						return node();
					},
					lose: (channel) => cluster.forget(channel),
					close: async () => {
						await closeAll();
						folder.remove();
					},
				};
			},
		},
		{ describe, it, skip: it.skip },
	);
}

comply("SQLite broker that waits for the disk", "full", false);
comply("SQLite broker that waits for the kernel, swept as time passes", "normal", true);
