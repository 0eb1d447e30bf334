/**
 * A process to be killed: takes a file over, publishes without pause, some of it keyed, and prints each position once
 * it is accepted: `channel epoch offset value`. Arguments: path, durability, the first value.
 */
import { writeSync } from "node:fs";
import { createSqliteBroker } from "../src/index.ts";

const [path = "", synchronous = "full", from = "0"] = process.argv.slice(2);
const CHANNELS = 5;
const AT_ONCE = 20;
const retention = { messages: 100_000, bytes: 1024 * 1024 * 1024, ageMs: 3_600_000 };

const broker = createSqliteBroker({ path, synchronous: synchronous === "normal" ? "normal" : "full" });
const utf8 = new TextEncoder();
let next = Number(from);

async function publish(): Promise<void> {
	for (;;) {
		const value = next++;
		const channel = `crash-${value % CHANNELS}`;
		// Some are large, so that checkpoints fall into a run too.
		const text = `${value}`.padEnd(value % 3 === 0 ? 6_000 : 0);
		const publication = { data: utf8.encode(text), encoding: "json" } as const;
		const key = value % 2 === 0 ? { idempotencyKey: `key-${value}` } : {};
		const result = await broker.publish(channel, publication, { retention, ...key });
		if (result.status === "accepted") {
			// At once: what is in a buffer of this process dies with it.
			writeSync(1, `${channel} ${result.position.epoch} ${result.position.offset} ${value}\n`);
		}
	}
}

await Promise.all(Array.from({ length: AT_ONCE }, publish));
