import type { Entry } from "@tidewire/broker";
import { describe, expect, it } from "vitest";
import { Channel } from "../../src/hub/channel.ts";
import { DeflateContext, DeflateContexts } from "../../src/hub/deflate-context.ts";
import { Flush } from "../../src/hub/flush.ts";
import { LogBudget } from "../../src/hub/log.ts";
import { Subscription } from "../../src/hub/subscription.ts";
import { WriteQueue } from "../../src/hub/write-queue.ts";
import { FakeSubscriber, LineEncoding, turn } from "./fakes.ts";

/** A flush with a clock that the test moves, and channels that it appends to. */
class World {
	/** What one look at the clock costs: 0 is never cut, 10 is cut at every look. */
	lookMs = 0;
	elapsedMs = 0;
	readonly resumed: Subscription[] = [];
	readonly budget = new LogBudget(1_000_000);
	/** Up to where everybody has been offered what there was. */
	readonly flushedTo = new Map<Channel, number>();
	readonly encoding = new LineEncoding(0);
	readonly flush = new Flush(
		{
			resume: (subscription) => this.resumed.push(subscription),
			flushed: (channel, offset) => this.flushedTo.set(channel, offset),
		},
		() => 1_000,
		() => {
			this.elapsedMs += this.lookMs;
			return this.elapsedMs;
		},
	);
	readonly #heads = new Map<Channel, number>();

	channel(name: string): Channel {
		const channel = new Channel(name, name);
		channel.moveTo({ epoch: "e1", offset: 0 });
		return channel;
	}

	subscriber(encoding = this.encoding, session = "me"): FakeSubscriber {
		return new FakeSubscriber((each) => this.flush.subscriber(each), encoding, session);
	}

	join(subscriber: FakeSubscriber, channel: Channel): Subscription {
		const subscription = new Subscription(channel, subscriber, "catch-up", channel.head);
		channel.add(subscription);
		channel.enter(subscription, "live");
		subscriber.subscriptions = [...subscriber.subscriptions, subscription];
		return subscription;
	}

	append(channel: Channel, text: string, more: Partial<Entry> = {}): void {
		const offset = (this.#heads.get(channel) ?? 0) + 1;
		this.#heads.set(channel, offset);
		const data = Buffer.from(JSON.stringify(text));
		channel.append([{ offset, timeMs: 1_000, data, encoding: "json", ...more }], 1_000_000, this.budget);
		this.flush.channel(channel);
	}

	/** Turns until the flush has nothing left; how many it took. */
	async flushed(subscribers: readonly FakeSubscriber[], expected: number): Promise<number> {
		let turns = 0;
		while (subscribers.some((each) => each.received.length < expected) && turns < 1_000) {
			await turn();
			turns++;
		}
		return turns;
	}
}

describe("one flush a turn", () => {
	it("writes once to each socket, over several channels and messages", async () => {
		const world = new World();
		const channels = [world.channel("a"), world.channel("b"), world.channel("c")];
		const subscriber = world.subscriber();
		for (const channel of channels) {
			world.join(subscriber, channel);
			world.append(channel, "1");
			world.append(channel, "2");
		}
		await turn();
		expect(subscriber.writes).toHaveLength(1);
		expect(subscriber.received).toEqual(["1=1", "2=2", "1=1", "2=2", "1=1", "2=2"]);
	});

	it("puts replies of the turn before the channels' messages, in the same write", async () => {
		const world = new World();
		const channel = world.channel("a");
		const subscriber = world.subscriber();
		world.join(subscriber, channel);
		world.append(channel, "1");
		subscriber.send(Buffer.from('{"ack":1}\n'));
		await turn();
		expect(subscriber.writes).toHaveLength(1);
		expect(subscriber.received).toEqual(['{"ack":1}', "1=1"]);
	});

	it("gives subscribers with equal lists the same buffer, by identity", async () => {
		const world = new World();
		const [a, b] = [world.channel("a"), world.channel("b")];
		const both = Array.from({ length: 5 }, () => world.subscriber());
		const onlyA = Array.from({ length: 5 }, () => world.subscriber());
		for (const subscriber of [...both, ...onlyA]) {
			world.join(subscriber, a);
		}
		for (const subscriber of both) {
			world.join(subscriber, b);
		}
		world.append(a, "1");
		world.append(a, "2");
		world.append(b, "3");
		await turn();
		expect(new Set(both.map(({ writes }) => writes[0])).size).toBe(1);
		expect(new Set(onlyA.map(({ writes }) => writes[0])).size).toBe(1);
	});

	it("shares per encoding, also where subscribers of two encodings take turns in two channels", async () => {
		const world = new World();
		const [a, b] = [world.channel("a"), world.channel("b")];
		const encodings = [world.encoding, new LineEncoding(1)];
		const subscribers = Array.from({ length: 10 }, (_, index) => world.subscriber(encodings[index % 2]));
		for (const subscriber of subscribers) {
			world.join(subscriber, a);
			world.join(subscriber, b);
		}
		world.append(a, "1");
		world.append(b, "2");
		await turn();
		expect(new Set(subscribers.map(({ writes }) => writes[0])).size).toBe(2);
	});

	it("shares per deflate context, also where subscribers in two contexts take turns in two channels", async () => {
		const world = new World();
		const [a, b] = [world.channel("a"), world.channel("b")];
		const contexts = new DeflateContexts(world.encoding, {
			// Frames here are lines, not what is compressed.
			engine: { deflate: (payload) => payload, inflate: () => "invalid" },
			windowBits: 15,
			threshold: 1,
			maxBytes: 1_000,
		});
		const starts = [contexts.first, new DeflateContext(contexts, [])];
		const subscribers = Array.from({ length: 10 }, (_, index) => {
			const subscriber = world.subscriber();
			subscriber.context = starts[index % 2];
			world.join(subscriber, a);
			world.join(subscriber, b);
			return subscriber;
		});
		world.append(a, "1");
		world.append(b, "2");
		await turn();
		expect(new Set(subscribers.map(({ writes }) => writes[0])).size).toBe(2);
	});

	it("encodes an entry once for each encoding that is asked for", async () => {
		const world = new World();
		const channel = world.channel("a");
		const other = new LineEncoding(1);
		const subscribers = Array.from({ length: 10 }, (_, index) => world.subscriber(index < 5 ? world.encoding : other));
		for (const subscriber of subscribers) {
			world.join(subscriber, channel);
		}
		world.append(channel, "1");
		world.append(channel, "2");
		await turn();
		expect([world.encoding.encoded, other.encoded]).toEqual([2, 2]);
	});

	it("shares the buffer of messages with a ttl too, and gives only the excluded session another one", async () => {
		const world = new World();
		const channel = world.channel("a");
		const subscribers = Array.from({ length: 4 }, (_, index) => world.subscriber(world.encoding, `s${index}`));
		for (const subscriber of subscribers) {
			world.join(subscriber, channel);
		}
		world.append(channel, "1", { ttlMs: 60_000 });
		world.append(channel, "2", { exclude: "s1" });
		await turn();
		const [first, excluded, ...others] = subscribers;
		expect(new Set([first, ...others].map((each) => each?.writes[0])).size).toBe(1);
		expect(excluded?.received).toEqual(["1=1", "gap 2-2 own"]);
	});

	it("keeps nothing of a channel whose readers are all at the head", async () => {
		const world = new World();
		const channel = world.channel("a");
		world.join(world.subscriber(), channel);
		world.append(channel, "1");
		expect(channel.log?.bytes).toBeGreaterThan(0);
		await turn();
		expect(channel.log).toBeUndefined();
	});
});

describe("a blocked subscriber", () => {
	it("stands still, keeps the log, and holds up nobody", async () => {
		const world = new World();
		const channel = world.channel("a");
		const [healthy, slow] = [world.subscriber(), world.subscriber()];
		world.join(healthy, channel);
		const left = world.join(slow, channel);
		slow.blocked = true;
		world.append(channel, "1");
		await turn();
		expect(healthy.received).toEqual(["1=1"]);
		expect(slow.writes).toEqual([]);
		expect([left.cursor, left.phase, channel.tail]).toEqual([0, "lagging", 0]);
	});

	it("is brought on by whoever cares for laggards once it is writable and the channel moves", async () => {
		const world = new World();
		const channel = world.channel("a");
		const slow = world.subscriber();
		const subscription = world.join(slow, channel);
		slow.blocked = true;
		world.append(channel, "1");
		await turn();
		slow.blocked = false;
		world.append(channel, "2");
		await turn();
		expect(world.resumed).toEqual([subscription]);
	});
});

describe("a flush that takes too long", () => {
	function crowd(world: World, channel: Channel, count: number): FakeSubscriber[] {
		return Array.from({ length: count }, () => {
			const subscriber = world.subscriber();
			world.join(subscriber, channel);
			return subscriber;
		});
	}

	it("goes on next turn where it stopped, and misses nobody", async () => {
		const world = new World();
		const channel = world.channel("a");
		const subscribers = crowd(world, channel, 1_000);
		world.lookMs = 10;
		world.append(channel, "1");
		expect(await world.flushed(subscribers, 1)).toBeGreaterThan(5);
		expect(subscribers.every(({ received }) => received.join() === "1=1")).toBe(true);
	});

	it("bounds the writes of a turn as well as the walk", async () => {
		const world = new World();
		const channel = world.channel("a");
		const subscribers = crowd(world, channel, 1_000);
		let looks = 0;
		world.append(channel, "1");
		world.lookMs = 0;
		// The walk of all takes no time; the writes do.
		for (const subscriber of subscribers) {
			subscriber.onWrite = () => {
				looks++;
				world.elapsedMs += 1;
			};
		}
		await turn();
		expect(looks).toBeGreaterThan(0);
		expect(looks).toBeLessThanOrEqual(128);
		await world.flushed(subscribers, 1);
		expect(subscribers.every(({ writes }) => writes.length === 1)).toBe(true);
	});

	it("puts a reply before the messages that still wait to be written", async () => {
		const world = new World();
		const channel = world.channel("a");
		const subscribers = crowd(world, channel, 500);
		for (const subscriber of subscribers) {
			subscriber.onWrite = () => {
				world.elapsedMs += 1;
			};
		}
		world.append(channel, "1");
		await turn();
		const waiting = subscribers.at(-1)!;
		expect(waiting.writes).toHaveLength(0);
		waiting.send(Buffer.from('{"ack":1}\n'));
		await world.flushed(subscribers, 1);
		await turn();
		expect(waiting.received).toEqual(['{"ack":1}', "1=1"]);
	});

	it("misses nobody when subscribers leave and join in the middle of the walk", async () => {
		const world = new World();
		const channel = world.channel("a");
		const subscribers = crowd(world, channel, 400);
		world.lookMs = 10;
		world.append(channel, "1");
		await turn();
		// Those at the front have been passed; each that goes lets one from the end, not yet passed, take its place.
		const gone = subscribers.slice(0, 40);
		for (const subscriber of gone) {
			channel.remove(subscriber.subscriptions[0]!);
		}
		const late = world.subscriber();
		world.join(late, channel);
		const stayed = subscribers.slice(40);
		await world.flushed(stayed, 1);
		await turn();
		expect(stayed.every(({ received }) => received.join() === "1=1")).toBe(true);
		expect(late.received).toEqual([]);
	});

	it("gives a message that comes in the middle of the walk to those already passed as well, in order", async () => {
		const world = new World();
		const channel = world.channel("a");
		const subscribers = crowd(world, channel, 400);
		world.lookMs = 10;
		world.append(channel, "1");
		await turn();
		world.append(channel, "2");
		await world.flushed(subscribers, 2);
		expect(subscribers.every(({ received }) => received.join() === "1=1,2=2")).toBe(true);
	});

	it("does not let one channel's crowd starve the others for ever", async () => {
		const world = new World();
		const [big, small] = [world.channel("big"), world.channel("small")];
		const subscribers = crowd(world, big, 400);
		const other = world.subscriber();
		world.join(other, small);
		world.lookMs = 10;
		world.append(big, "1");
		world.append(small, "1");
		await world.flushed([...subscribers, other], 1);
		expect(other.received).toEqual(["1=1"]);
	});
});

describe("between busy and quiet channels", () => {
	/** A thousand subscribers, of whom each write takes a millisecond. */
	function slowCrowd(world: World, channel: Channel): FakeSubscriber[] {
		return Array.from({ length: 1_000 }, () => {
			const subscriber = world.subscriber();
			world.join(subscriber, channel);
			subscriber.onWrite = () => {
				world.elapsedMs += 1;
			};
			return subscriber;
		});
	}

	it("a quiet channel's message does not wait behind a crowd's", async () => {
		const world = new World();
		const [busy, quiet] = [world.channel("busy"), world.channel("quiet")];
		const crowd = slowCrowd(world, busy);
		const other = world.subscriber();
		world.join(other, quiet);
		world.append(busy, "1");
		await turn();
		world.append(quiet, "1");
		await turn();
		expect(other.received).toEqual(["1=1"]);
		expect(crowd.some(({ writes }) => writes.length === 0)).toBe(true);
	});

	it("a crowd gets some of its messages in every turn, however busy the quiet ones are together", async () => {
		const world = new World();
		const busy = world.channel("busy");
		const crowd = slowCrowd(world, busy);
		const small = Array.from({ length: 200 }, (_, index) => {
			const channel = world.channel(`small ${index}`);
			const subscriber = world.subscriber();
			subscriber.onWrite = () => {
				world.elapsedMs += 1;
			};
			world.join(subscriber, channel);
			return channel;
		});
		world.append(busy, "1");
		let served = 0;
		for (let turns = 0; turns < 10; turns++) {
			for (const channel of small) {
				world.append(channel, "x");
			}
			await turn();
			const now = crowd.filter(({ writes }) => writes.length > 0).length;
			expect(now).toBeGreaterThan(served);
			served = now;
		}
	});

	it("whoever came last is not passed over while messages come faster than the crowd can be written to", async () => {
		const world = new World();
		const busy = world.channel("busy");
		const crowd = slowCrowd(world, busy);
		world.lookMs = 2;
		for (let n = 1; n <= 60; n++) {
			world.append(busy, `${n}`);
			await turn();
		}
		expect(Math.min(...crowd.map(({ writes }) => writes.length))).toBeGreaterThan(0);
	});

	it("what waits is written as one: a write is for a moment, not for a message", async () => {
		const world = new World();
		const busy = world.channel("busy");
		const crowd = slowCrowd(world, busy);
		for (let n = 1; n <= 10; n++) {
			world.append(busy, `${n}`);
			await turn();
		}
		await world.flushed(crowd, 10);
		const expected = Array.from({ length: 10 }, (_, at) => `${at + 1}=${at + 1}`);
		expect(crowd.every(({ received }) => received.join() === expected.join())).toBe(true);
		expect(crowd.at(-1)!.writes.length).toBeLessThan(3);
	});
});

describe("a channel that moves to another epoch", () => {
	it("never gives what it had made of the old one under the same offsets", async () => {
		const world = new World();
		const channel = world.channel("a");
		const [healthy, slow] = [world.subscriber(), world.subscriber()];
		const subscriptions = [world.join(healthy, channel), world.join(slow, channel)];
		slow.blocked = true;
		world.append(channel, "old");
		await turn();
		// The laggard keeps log and slices alive; in one turn the old epoch goes on, ends, and the new one begins.
		channel.append([{ offset: 2, timeMs: 1_000, data: Buffer.from('"x"'), encoding: "json" }], 1_000_000, world.budget);
		world.flush.channel(channel);
		channel.moveTo({ epoch: "e2", offset: 0 });
		for (const subscription of subscriptions) {
			subscription.cursor = 0;
			channel.enter(subscription, "live");
		}
		channel.append(
			[{ offset: 1, timeMs: 1_000, data: Buffer.from('"new"'), encoding: "json" }],
			1_000_000,
			world.budget,
		);
		world.flush.channel(channel);
		await turn();
		expect(healthy.received).toEqual(["1=old", "1=new"]);
	});
});

describe("a node that is saturated for long", () => {
	it("settles what everybody has been offered: neither queues nor reports nor logs wait for a quiet moment", async () => {
		const world = new World();
		const busy = world.channel("busy");
		const crowd = Array.from({ length: 2_000 }, () => {
			const subscriber = world.subscriber();
			world.join(subscriber, busy);
			subscriber.onWrite = () => {
				world.elapsedMs += 0.02;
				subscriber.writes.length = 0;
			};
			return subscriber;
		});
		const other = world.channel("other");
		world.join(crowd[0]!, other);
		for (let n = 1; n <= 400; n++) {
			world.append(busy, `${n}`);
			if (n % 10 === 0) {
				world.append(other, `${n}`);
			}
			await turn();
		}
		const settled = world.flushedTo.get(busy) ?? 0;
		expect(settled).toBeGreaterThan(350);
		expect(settled).toBeLessThanOrEqual(400);
	});

	it("holds of its write queue no more than what waits", () => {
		const queue = new WriteQueue();
		const subscriber = new World().subscriber();
		for (let n = 0; n < 100; n++) {
			queue.push(subscriber);
		}
		for (let n = 0; n < 50_000; n++) {
			queue.push(subscriber);
			queue.take();
		}
		expect([queue.come, queue.gone, queue.empty]).toEqual([50_100, 50_000, false]);
		expect(queue.held).toBeLessThan(3_000);
	});
});
