/** The memory broker against the simplest thing that could be right: an array of all entries, filtered. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Broker, Entry, Page, ReadOptions, Retention } from "../src/broker.ts";
import { createMemoryCluster } from "../src/memory-broker.ts";
import { FakeClock } from "./fake-clock.ts";

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
		this.trim(nowMs);
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
const node = fc.nat(1);
const retention = fc.record({
	messages: fc.constantFrom(0, 1, 2, 3, 8, 100),
	bytes: fc.constantFrom(0, 5, 20, 1_000),
	ageMs: fc.constantFrom(0, 50, 200, 100_000),
});
const step = fc.oneof(
	{
		weight: 5,
		arbitrary: fc.record({
			do: fc.constant("publish" as const),
			channel,
			node,
			size: fc.nat(9),
			ttlMs: fc.option(fc.nat(100), { nil: undefined }),
			retention,
		}),
	},
	{
		weight: 3,
		arbitrary: fc.record({
			do: fc.constant("read" as const),
			channel,
			node,
			after: fc.oneof(fc.nat(30), fc.constant(Infinity)),
			limit: fc.constantFrom(0, 1, 3, 100),
			maxBytes: fc.constantFrom(1, 10, 1_000),
			reverse: fc.boolean(),
		}),
	},
	fc.record({ do: fc.constantFrom("subscribe" as const, "unsubscribe" as const), channel, node }),
	fc.record({ do: fc.constant("wait" as const), ms: fc.nat(120) }),
	fc.record({ do: fc.constant("sweep" as const), limit: fc.nat(4) }),
);

/** What is published as the entry with this offset: no two alike that follow each other. */
function dataOf(offset: number, size: number): Uint8Array<ArrayBuffer> {
	return new Uint8Array(size).fill(offset);
}

it.each([
	["", { maxLength: 120 }, {}],
	[", and the slabs are cleaned", { minLength: 300, maxLength: 500 }, { slabBytes: 640 }],
] as const)(
	"any sequence of publish, read, subscribe, wait and sweep agrees with an array%s",
	async (_, length, tiny) => {
		await fc.assert(
			fc.asyncProperty(fc.array(step, length), async (steps) => {
				const clock = new FakeClock();
				const cluster = createMemoryCluster({ now: clock.now, every: clock.never, after: clock.after, ...tiny });
				const model = new Map<string, ModelLog>();
				const logOf = (name: string): ModelLog => {
					const log = model.get(name) ?? new ModelLog();
					model.set(name, log);
					return log;
				};
				const told: string[][] = [[], []];
				const expected: string[][] = [[], []];
				const subscribed = [new Set<string>(), new Set<string>()];
				const nodes = told.map((list): Broker => {
					const broker = cluster.node();
					broker.listen({
						entries: (name, _epoch, entries: readonly Entry[]) =>
							list.push(...entries.map((entry) => `${name}=${entry.offset}`)),
						reset: (name) => list.push(`${name} reset`),
					});
					return broker;
				});
				for (const each of steps) {
					switch (each.do) {
						case "publish": {
							const { size, ttlMs, retention: keep } = each;
							const publication = {
								data: dataOf(logOf(each.channel).head + 1, size),
								encoding: "binary",
								...(ttlMs !== undefined && { ttlMs }),
							} as const;
							const result = await nodes[each.node]!.publish(each.channel, publication, { retention: keep });
							const offset = logOf(each.channel).append(size, ttlMs ?? Infinity, keep, clock.now());
							expect(result).toMatchObject({ status: "accepted", position: { offset } });
							subscribed.forEach((names, index) => {
								if (names.has(each.channel)) {
									expected[index]!.push(`${each.channel}=${offset}`);
								}
							});
							break;
						}
						case "read": {
							const page: Page = await nodes[each.node]!.read(each.channel, each);
							const log = logOf(each.channel);
							const offsets = log.read(each, clock.now());
							expect(page.entries.map((entry) => entry.offset)).toEqual(offsets);
							for (const { offset, data } of page.entries) {
								expect(data).toEqual(dataOf(offset, data.length));
							}
							expect([page.head, page.tail]).toEqual([log.head, log.tail]);
							break;
						}
						case "subscribe": {
							const position = await nodes[each.node]!.subscribe(each.channel);
							expect(position.offset).toBe(logOf(each.channel).head);
							subscribed[each.node]!.add(each.channel);
							break;
						}
						case "unsubscribe":
							nodes[each.node]!.unsubscribe(each.channel);
							subscribed[each.node]!.delete(each.channel);
							break;
						case "wait":
							clock.advance(each.ms);
							break;
						case "sweep":
							cluster.sweep(each.limit);
							break;
					}
				}
				expect(told).toEqual(expected);
			}),
			{ numRuns: length.maxLength === 120 ? 500 : 50 },
		);
	},
);
