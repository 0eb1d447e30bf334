/**
 * The SQLite broker against the simplest thing that could be right: an array of all entries, filtered; over
 * restarts.
 */
import type { Broker, ReadOptions, Retention } from "@tidewire/broker";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { SqliteCluster } from "../src/index.ts";
import { FakeClock } from "./fake-clock.ts";
import { makeFolder } from "./files.ts";
import { open } from "./machine.ts";

interface Kept {
	readonly offset: number;
	readonly size: number;
	readonly timeMs: number;
	readonly ttlMs: number;
}

class ModelLog {
	kept: Kept[] = [];
	head = 0;
	retention: Retention = { messages: 0, bytes: 0, ageMs: 0 };

	append(size: number, ttlMs: number, retention: Retention, nowMs: number): number {
		this.kept.push({ offset: ++this.head, size, timeMs: nowMs, ttlMs });
		this.retention = retention;
		this.trim(nowMs);
		const bytes = (): number => this.kept.reduce((sum, each) => sum + each.size, 0);
		while (this.kept.length > retention.messages || bytes() > retention.bytes) {
			this.kept.shift();
		}
		return this.head;
	}

	trim(nowMs: number): void {
		while (this.kept.length > 0 && nowMs - this.kept[0]!.timeMs >= this.retention.ageMs) {
			this.kept.shift();
		}
	}

	read({ after, limit, maxBytes = Infinity, reverse = false }: ReadOptions, nowMs: number): number[] {
		this.trim(nowMs);
		const fresh = this.kept.filter((each) => nowMs - each.timeMs < each.ttlMs);
		const wanted = reverse
			? fresh.filter((each) => each.offset < after).reverse()
			: fresh.filter((each) => each.offset > after);
		const offsets: number[] = [];
		let bytes = 0;
		for (const each of wanted.slice(0, limit)) {
			bytes += each.size;
			if (bytes > maxBytes && offsets.length > 0) {
				break;
			}
			offsets.push(each.offset);
		}
		return offsets;
	}

	get tail(): number {
		return (this.kept[0]?.offset ?? this.head + 1) - 1;
	}
}

const channel = fc.constantFrom("a", "b", "__proto__");
const retention = fc.record({
	messages: fc.constantFrom(0, 1, 2, 3, 8, 100, Infinity),
	bytes: fc.constantFrom(0, 5, 20, 1_000, Infinity),
	ageMs: fc.constantFrom(0, 50, 200, 100_000),
});
const message = fc.record({ channel, size: fc.nat(9), ttlMs: fc.option(fc.nat(100), { nil: undefined }), retention });
const step = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			do: fc.constant("publish" as const),
			// A burst beyond what is trimmed at once, now and then.
			messages: fc.oneof(
				{ weight: 8, arbitrary: fc.array(message, { minLength: 1, maxLength: 5 }) },
				{ weight: 1, arbitrary: message.map((one) => Array.from({ length: 200 }, () => one)) },
			),
		}),
	},
	{
		weight: 3,
		arbitrary: fc.record({
			do: fc.constant("read" as const),
			channel,
			after: fc.oneof(fc.nat(30), fc.nat(300), fc.constant(Infinity)),
			limit: fc.constantFrom(0, 1, 3, 100),
			maxBytes: fc.constantFrom(1, 10, 1_000),
			reverse: fc.boolean(),
		}),
	},
	fc.record({ do: fc.constant("wait" as const), ms: fc.nat(120) }),
	fc.record({ do: fc.constantFrom("sweep" as const, "reopen" as const) }),
);

it("any sequence of publish, read, wait, sweep and restart agrees with an array", { timeout: 60_000 }, async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
			const clock = new FakeClock();
			const folder = makeFolder();
			const path = folder.path("channels.db");
			const model = new Map<string, ModelLog>();
			const logOf = (name: string): ModelLog => {
				const log = model.get(name) ?? new ModelLog();
				model.set(name, log);
				return log;
			};
			const told: string[] = [];
			const expected: string[] = [];
			let cluster!: SqliteCluster;
			let node!: Broker;
			const start = async (): Promise<void> => {
				cluster = open({ path, now: clock.now, synchronous: "normal" });
				node = cluster.node();
				node.listen({
					entries: (name, _epoch, entries) => told.push(...entries.map((entry) => `${name}=${entry.offset}`)),
					reset: (name) => told.push(`${name} reset`),
				});
				expect((await node.subscribe("a")).offset).toBe(logOf("a").head);
			};
			await start();
			for (const each of steps) {
				switch (each.do) {
					case "publish": {
						const results = await Promise.all(
							each.messages.map(({ channel: name, size, ttlMs, retention: keep }) =>
								node.publish(
									name,
									{ data: new Uint8Array(size), encoding: "binary", ...(ttlMs !== undefined && { ttlMs }) },
									{ retention: keep },
								),
							),
						);
						for (const [index, { channel: name, size, ttlMs, retention: keep }] of each.messages.entries()) {
							const offset = logOf(name).append(size, ttlMs ?? Infinity, keep, clock.now());
							expect(results[index]).toMatchObject({ status: "accepted", position: { offset } });
							if (name === "a") {
								expected.push(`a=${offset}`);
							}
						}
						break;
					}
					case "read": {
						const page = await node.read(each.channel, each);
						const log = logOf(each.channel);
						const offsets = log.read(each, clock.now());
						expect(page.entries.map((entry) => entry.offset)).toEqual(offsets);
						expect([page.head, page.tail]).toEqual([log.head, log.tail]);
						break;
					}
					case "wait":
						clock.advance(each.ms);
						break;
					case "sweep":
						await cluster.sweep();
						break;
					case "reopen":
						await cluster.close();
						await start();
						break;
				}
			}
			expect(told).toEqual(expected);
			await cluster.close();
			folder.remove();
		}),
		{ numRuns: 60 },
	);
});
