/** State channels in the hub: whole values for those who begin or lost their place, one merged patch for the slow. */
import { BrokerError, type Entry, type Position } from "@tidewire/broker";
import { applyPatch } from "@tidewire/protocol/merge-patch";
import fc from "fast-check";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Hub, type Joined } from "../../src/hub/hub.ts";
import type { Start } from "../../src/hub/start.ts";
import type { ValueSource, WholeValue } from "../../src/hub/values.ts";
import { mergeEntries } from "../../src/state/merged.ts";
import { FakeBroker, FakeSubscriber, LineEncoding, quiet, turn } from "./fakes.ts";

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** A state channel `s`, whose value the test changes; the hub is told of it when the test says so. */
class Board implements ValueSource {
	readonly broker = new FakeBroker();
	readonly hub: Hub;
	readonly failures: unknown[] = [];
	readonly noticedOffsets: number[] = [];
	value: unknown;
	reads = 0;
	/** While it is there, values are not read. */
	gate: Promise<void> | undefined;
	refuses = false;
	#text: Uint8Array | undefined;

	constructor(maxLogBytes = 1_000_000) {
		this.hub = new Hub(this.broker, {
			maxLogBytes,
			maxLogsBytes: 10_000_000,
			nowMs: () => 0,
			unserved: (_, cause) => this.failures.push(cause),
			reported: () => {},
		});
		this.broker.listen(this.hub);
	}

	async snapshot(_atLeast: Position): Promise<WholeValue> {
		this.reads += 1;
		const { epoch, head } = this.broker.log("s");
		const whole = { position: { epoch, offset: head }, text: this.#text };
		// What was read is old when it comes.
		await (this.gate ?? turn());
		if (this.refuses) {
			throw new BrokerError("unavailable", "refused by the test");
		}
		return whole;
	}

	merged(entries: readonly Entry[]): ReturnType<typeof mergeEntries> {
		return mergeEntries(entries);
	}

	noticed(entries: readonly Entry[]): void {
		this.noticedOffsets.push(...entries.map(({ offset }) => offset));
	}

	/** Changes the value; the hub is told. */
	patch(...patches: readonly unknown[]): void {
		for (const patch of patches) {
			this.tell([this.change(patch)]);
		}
	}

	/** Changes the value; the hub is not told yet. */
	change(patch: unknown, isPatch = true): Entry {
		const log = this.broker.log("s");
		this.#set(isPatch ? applyPatch(this.value, patch) : patch);
		log.head += 1;
		const change = isPatch ? { patch: true as const } : {};
		const entry: Entry = { offset: log.head, timeMs: 0, data: bytes(patch), encoding: "json", ...change };
		log.entries.push(entry);
		log.entries.splice(0, Math.max(0, log.entries.length - this.broker.keep));
		return entry;
	}

	tell(entries: readonly Entry[]): void {
		this.hub.entries("s", this.broker.log("s").epoch, entries);
	}

	/** The log begins anew, with another value. */
	restart(epoch: string, value: unknown): void {
		Object.assign(this.broker.log("s"), { epoch, head: 3, entries: [] });
		this.#set(value);
		this.hub.reset("s", { epoch, offset: 3 });
	}

	#set(value: unknown): void {
		this.value = value;
		this.#text = bytes(value);
	}

	subscriber(enveloped = true): FakeSubscriber {
		const encoding = new LineEncoding(enveloped ? 0 : 1, enveloped);
		return new FakeSubscriber((subscriber) => this.hub.flush.subscriber(subscriber), encoding);
	}

	async join(subscriber: FakeSubscriber, start: Start = { from: "now" }): Promise<Joined> {
		const joined = await this.hub.join(subscriber, "s", start, "conflate", "s", this);
		this.hub.begin(joined.subscription);
		await quiet();
		return joined;
	}
}

/** In short: `state e1:2 {…}`, `3~{…}` a patch, `4={…}` a value. */
function told(subscriber: FakeSubscriber): readonly string[] {
	return subscriber.messages.map((message) => {
		const { event: what, position, from, to, offset, data, patch } = message;
		switch (what) {
			case "state":
				return `state ${position} ${JSON.stringify(data)}`;
			case "conflated":
				return `conflated ${from}-${to}`;
			case "reset":
				return `reset ${position}`;
			default:
				return `${offset}${patch === undefined ? `=${JSON.stringify(data)}` : `~${JSON.stringify(patch)}`}`;
		}
	});
}

describe("a subscriber that begins", () => {
	it("gets the value at its position, then patches", async () => {
		const board = new Board();
		board.patch({ a: 1 }, { b: 1 });
		const subscriber = board.subscriber();
		const { position } = await board.join(subscriber);
		expect(position).toEqual({ epoch: "e1", offset: 2 });
		board.patch({ a: 2 });
		await quiet();
		expect(told(subscriber)).toEqual(['state e1:2 {"a":1,"b":1}', '3~{"a":2}']);
	});

	it("gets null where there is no value yet", async () => {
		const board = new Board();
		const subscriber = board.subscriber();
		await board.join(subscriber);
		expect(told(subscriber)).toEqual(["state e1:0 null"]);
	});

	it("joins without a seam where the value is newer than what this node has been told of", async () => {
		const board = new Board();
		const first = board.subscriber();
		await board.join(first);
		const entries = [board.change({ a: 1 }), board.change({ b: 1 })];
		const second = board.subscriber();
		const { position } = await board.join(second);
		expect(position.offset).toBe(2);
		board.tell(entries);
		board.patch({ c: 1 });
		await quiet();
		expect(told(first)).toEqual(["state e1:0 null", '1~{"a":1}', '2~{"b":1}', '3~{"c":1}']);
		expect(told(second)).toEqual(['state e1:2 {"a":1,"b":1}', '3~{"c":1}']);
	});

	it("that recovers gets what it missed, and no value", async () => {
		const board = new Board();
		board.patch({ a: 1 }, { a: 2 }, { a: 3 });
		const subscriber = board.subscriber();
		const { recovered } = await board.join(subscriber, { from: "since", position: { epoch: "e1", offset: 1 } });
		expect(recovered).toBe(true);
		expect(told(subscriber)).toEqual(['2~{"a":2}', '3~{"a":3}']);
	});

	it("that does not recover gets the value, whatever it would rewind to", async () => {
		const board = new Board();
		board.patch({ a: 1 }, { a: 2 });
		const subscriber = board.subscriber();
		const { recovered, position } = await board.join(subscriber, {
			from: "since",
			position: { epoch: "other", offset: 1 },
			otherwise: { from: "rewind", messages: 2 },
		});
		expect({ recovered, position }).toEqual({ recovered: false, position: { epoch: "e1", offset: 2 } });
		expect(told(subscriber)).toEqual(['state e1:2 {"a":2}']);
	});

	it("and is blocked gets the value of the time when it takes it", async () => {
		const board = new Board();
		board.patch({ a: 1 });
		const subscriber = board.subscriber();
		subscriber.blocked = true;
		await board.join(subscriber);
		board.patch({ a: 2 });
		await quiet();
		expect(subscriber.writes).toHaveLength(0);
		subscriber.blocked = false;
		board.hub.unblocked(subscriber);
		await quiet();
		expect(told(subscriber)).toEqual(['state e1:2 {"a":2}']);
	});

	it("shares the frame of its value with others of its encoding", async () => {
		const board = new Board();
		board.patch({ a: 1 });
		const subscribers = Array.from({ length: 5 }, () => board.subscriber());
		for (const subscriber of subscribers) {
			await board.join(subscriber);
		}
		expect(new Set(subscribers.map(({ writes }) => writes[0])).size).toBe(1);
	});
});

describe("a subscriber that was slow", () => {
	async function slow(board: Board, patches: readonly unknown[]): Promise<FakeSubscriber> {
		const subscriber = board.subscriber();
		await board.join(subscriber);
		subscriber.blocked = true;
		board.patch(...patches);
		await quiet();
		subscriber.blocked = false;
		board.hub.unblocked(subscriber);
		await quiet();
		return subscriber;
	}

	it("gets one merged patch in the place of many", async () => {
		const subscriber = await slow(new Board(), [{ a: 1 }, { b: { c: 1 } }, { b: { d: 1 }, a: null }]);
		expect(told(subscriber)).toEqual(["state e1:0 null", "conflated 1-3", '3~{"a":null,"b":{"c":1,"d":1}}']);
	});

	it("gets one patch as it is", async () => {
		expect(told(await slow(new Board(), [{ a: 1 }]))).toEqual(["state e1:0 null", '1~{"a":1}']);
	});

	it("gets the whole value where no one patch says it", async () => {
		const subscriber = await slow(new Board(), [{ a: 1 }, { a: { b: 1 } }]);
		expect(told(subscriber)).toEqual(["state e1:0 null", "conflated 1-2", '2={"a":{"b":1}}']);
	});

	it("gets the whole value where the log no longer reaches back", async () => {
		const board = new Board(500);
		const subscriber = board.subscriber();
		await board.join(subscriber);
		subscriber.blocked = true;
		for (let n = 0; n < 50; n++) {
			board.patch({ [`key${n}`]: "x".repeat(100) });
			await turn();
		}
		subscriber.blocked = false;
		board.hub.unblocked(subscriber);
		await quiet();
		board.patch({ last: 1 });
		await quiet();
		const [, conflated, value, next] = told(subscriber);
		expect(conflated).toBe("conflated 1-50");
		expect(value).toMatch(/^50=\{"key0"/);
		expect(next).toBe('51~{"last":1}');
	});

	it("that recovers from history that has gone meanwhile gets the whole value", async () => {
		const board = new Board(300);
		const subscriber = board.subscriber();
		board.patch({ a: 1 }, { b: 1 }, { c: 1 });
		const start: Start = { from: "since", position: { epoch: "e1", offset: 1 } };
		const { subscription } = await board.hub.join(subscriber, "s", start, "conflate", "s", board);
		board.broker.log("s").entries.splice(0);
		board.hub.begin(subscription);
		await quiet();
		expect(told(subscriber)).toEqual(["conflated 2-3", '3={"a":1,"b":1,"c":1}']);
	});

	it("merges once for all who were equally late", async () => {
		const board = new Board();
		let merges = 0;
		board.merged = (entries) => {
			merges += 1;
			return mergeEntries(entries);
		};
		const subscribers = Array.from({ length: 10 }, () => board.subscriber());
		for (const subscriber of subscribers) {
			await board.join(subscriber);
			subscriber.blocked = true;
		}
		board.patch({ a: 1 }, { b: 1 });
		await quiet();
		for (const subscriber of subscribers) {
			subscriber.blocked = false;
			board.hub.unblocked(subscriber);
		}
		await quiet();
		expect(merges).toBe(1);
		expect(told(subscribers[9]!).at(-1)).toBe('2~{"a":1,"b":1}');
	});
});

describe("another epoch", () => {
	it("is announced, and the new value follows", async () => {
		const board = new Board();
		const subscriber = board.subscriber();
		await board.join(subscriber);
		board.patch({ a: 1 });
		board.restart("e2", { n: 1 });
		await quiet();
		board.patch({ n: 2 });
		await quiet();
		expect(told(subscriber)).toEqual(["state e1:0 null", "reset e2:3", 'state e2:3 {"n":1}', '4~{"n":2}']);
	});

	it("while it waits to be written to in a long flush: it gets no patch of the old one", async () => {
		const board = new Board();
		const subscriber = board.subscriber();
		await board.join(subscriber);
		// Each look at the clock finds the turn over, and 64 others are written to first.
		let ms = 0;
		const clock = vi.spyOn(performance, "now").mockImplementation(() => {
			ms += 100;
			return ms;
		});
		onTestFinished(() => clock.mockRestore());
		for (let count = 0; count < 64; count++) {
			board.hub.flush.subscriber(board.subscriber());
		}
		board.patch({ a: 1 });
		await turn();
		expect(told(subscriber)).toEqual(["state e1:0 null"]);
		board.restart("e2", { n: 1 });
		board.patch({ m: 1 });
		await quiet();
		expect(told(subscriber)).toEqual(["state e1:0 null", "reset e2:3", 'state e2:4 {"n":1,"m":1}']);
		board.patch({ m: 2 });
		await quiet();
		expect(told(subscriber).at(-1)).toBe('5~{"m":2}');
	});

	it("while the value is read: that of the new one is sent", async () => {
		const board = new Board();
		const subscriber = board.subscriber(false);
		await board.join(subscriber);
		const { promise, resolve } = Promise.withResolvers<void>();
		board.gate = promise;
		board.patch({ a: 1 });
		await quiet();
		board.restart("e2", { n: 1 });
		resolve();
		await quiet();
		expect(subscriber.messages).toEqual([{ n: 1 }]);
		expect(subscriber.losses).toEqual([]);
	});

	it("before the subscription began: it is told, and gets the new value", async () => {
		const board = new Board();
		const subscriber = board.subscriber();
		const { subscription } = await board.hub.join(subscriber, "s", { from: "now" }, "conflate", "s", board);
		board.restart("e2", { n: 1 });
		board.hub.begin(subscription);
		await quiet();
		expect(told(subscriber)).toEqual(["reset e2:3", 'state e2:3 {"n":1}']);
	});
});

describe("a plain subscriber", () => {
	it("gets whole values only: the present one, and after each turn in which it changed", async () => {
		const board = new Board();
		board.patch({ a: 1 });
		const subscriber = board.subscriber(false);
		await board.join(subscriber);
		board.patch({ b: 1 }, { c: 1 });
		await quiet();
		board.patch({ a: null });
		await quiet();
		expect(subscriber.messages).toEqual([{ a: 1 }, { a: 1, b: 1, c: 1 }, { b: 1, c: 1 }]);
	});

	it("gets nothing while there is no value, and the latest after it was slow", async () => {
		const board = new Board();
		const subscriber = board.subscriber(false);
		await board.join(subscriber);
		expect(subscriber.messages).toEqual([]);
		subscriber.blocked = true;
		board.patch({ n: 1 }, { n: 2 }, { n: 3 });
		await quiet();
		subscriber.blocked = false;
		board.hub.unblocked(subscriber);
		await quiet();
		expect(subscriber.messages).toEqual([{ n: 3 }]);
	});
});

describe("a value that cannot be read", () => {
	it("refuses the subscriber that asks, and ends the one that needs it", async () => {
		const board = new Board();
		board.refuses = true;
		await expect(board.join(board.subscriber())).rejects.toThrow("refused by the test");
		board.refuses = false;
		const subscriber = board.subscriber(false);
		await board.join(subscriber);
		board.refuses = true;
		board.patch({ a: 1 });
		await quiet();
		expect(board.failures).toHaveLength(1);
	});
});

describe("whatever happens", () => {
	it("everybody comes to the same value", async () => {
		const name = fc.constantFrom("a", "b");
		const leaf = fc.constantFrom<unknown>(1, 2, null, {});
		const patch = fc.dictionary(name, fc.oneof(leaf, fc.dictionary(name, leaf)), { maxKeys: 2 });
		const step = fc.oneof(
			{ weight: 6, arbitrary: patch.map((change) => ({ type: "patch" as const, change })) },
			{ weight: 1, arbitrary: patch.map((change) => ({ type: "value" as const, change })) },
			{ weight: 3, arbitrary: fc.nat(3).map((who) => ({ type: "block" as const, who })) },
			{ weight: 3, arbitrary: fc.nat(3).map((who) => ({ type: "unblock" as const, who })) },
			{ weight: 3, arbitrary: fc.constant({ type: "turn" as const }) },
			{ weight: 1, arbitrary: fc.constant({ type: "restart" as const }) },
		);
		await fc.assert(
			fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 3_000 }), async (steps, log) => {
				const board = new Board(log);
				board.broker.keep = 3;
				const subscribers = [board.subscriber(), board.subscriber(), board.subscriber(false), board.subscriber()];
				await Promise.all(subscribers.map((subscriber) => board.join(subscriber)));
				let epochs = 1;
				for (const each of steps) {
					switch (each.type) {
						case "patch":
							board.patch(each.change);
							break;
						case "value":
							board.tell([board.change(each.change, false)]);
							break;
						case "block":
							subscribers[each.who]!.blocked = true;
							break;
						case "unblock":
							subscribers[each.who]!.blocked = false;
							board.hub.unblocked(subscribers[each.who]!);
							break;
						case "turn":
							await turn();
							break;
						case "restart":
							epochs += 1;
							board.restart(`e${epochs}`, { epochs });
							break;
						default:
							each satisfies never;
					}
				}
				for (const subscriber of subscribers) {
					subscriber.blocked = false;
					board.hub.unblocked(subscriber);
				}
				await quiet();
				for (const subscriber of subscribers) {
					expect(heldBy(subscriber) ?? null).toEqual(board.value ?? null);
					expect(subscriber.losses).toEqual([]);
				}
			}),
			{ numRuns: 300 },
		);
	});
});

/** What the subscriber holds, if it believes what it is told; offsets must follow one another. */
function heldBy({ messages, encoding }: FakeSubscriber): unknown {
	if (!encoding.codec.enveloped) {
		return messages.at(-1);
	}
	let value: unknown;
	let at = 0;
	let conflatedTo = 0;
	for (const message of messages) {
		if (message.event === "conflated") {
			expect(message.from).toBe(at + 1);
			conflatedTo = message.to as number;
			continue;
		}
		if (message.event !== undefined) {
			at = Number(String(message.position).split(":")[1]);
			value = message.event === "state" ? message.data : value;
			continue;
		}
		expect([at + 1, conflatedTo]).toContain(message.offset);
		at = message.offset as number;
		value = "patch" in message ? applyPatch(value, message.patch) : message.data;
	}
	return value;
}
