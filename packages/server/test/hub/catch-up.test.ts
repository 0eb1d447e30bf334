import type { SlowPolicy } from "@tidewire/protocol";
import { describe, expect, it } from "vitest";
import { Hub } from "../../src/hub/hub.ts";
import type { Start } from "../../src/hub/start.ts";
import type { Subscription } from "../../src/hub/subscription.ts";
import { FakeBroker, FakeSubscriber, gate, LineEncoding, quiet, turn } from "./fakes.ts";

const SINCE = (offset: number, epoch = "e1"): Start => ({ from: "since", position: { epoch, offset } });
const NOW: Start = { from: "now" };

class World {
	readonly broker = new FakeBroker();
	readonly unserved: unknown[] = [];
	readonly hub: Hub;

	constructor(maxLogBytes = 1_000_000) {
		this.hub = new Hub(this.broker, {
			maxLogsBytes: 100_000_000,
			reported: () => {},
			maxLogBytes,
			nowMs: () => this.broker.nowMs,
			unserved: (subscription, cause) => {
				this.unserved.push(cause);
				this.hub.leave(subscription);
			},
		});
		this.broker.listen(this.hub);
	}

	subscriber(enveloped = true, session = "me"): FakeSubscriber {
		const encoding = new LineEncoding(enveloped ? 0 : 2, enveloped);
		return new FakeSubscriber((each) => this.hub.flush.subscriber(each), encoding, session);
	}

	async join(
		subscriber: FakeSubscriber,
		start: Start = NOW,
		policy: SlowPolicy = "catch-up",
		name = "a",
	): Promise<Subscription> {
		const { subscription } = await this.hub.join(subscriber, name, start, policy);
		this.hub.begin(subscription);
		return subscription;
	}

	append(...data: (string | { text: string; key?: string; ttlMs?: number; exclude?: string })[]): void {
		this.broker.append("a", data);
	}

	unblock(subscriber: FakeSubscriber): void {
		subscriber.blocked = false;
		this.hub.unblocked(subscriber);
	}
}

/** About as many of these short entries as fit into a log of so many bytes. */
const logOf = (entries: number): number => entries * 136;

describe("where a subscription starts", () => {
	it("now: after everything that is there", async () => {
		const world = new World();
		world.append("1", "2");
		const subscriber = world.subscriber();
		await world.join(subscriber);
		world.append("3");
		await quiet();
		expect(subscriber.received).toEqual(["3=3"]);
	});

	it("since: everything after the position, recovered", async () => {
		const world = new World();
		world.append("1", "2", "3");
		const subscriber = world.subscriber();
		const joined = await world.hub.join(subscriber, "a", SINCE(1), "catch-up");
		world.hub.begin(joined.subscription);
		await quiet();
		expect(joined).toMatchObject({ position: { epoch: "e1", offset: 1 }, recovered: true });
		expect(subscriber.received).toEqual(["2=2", "3=3"]);
	});

	it.each([
		["another epoch", SINCE(1, "e0")],
		["beyond the head", SINCE(9)],
		["an offset that history no longer follows", SINCE(0)],
	])("since %s: not recovered, from the head", async (_, start) => {
		const world = new World();
		world.broker.keep = 2;
		world.append("1", "2", "3");
		const subscriber = world.subscriber();
		const joined = await world.hub.join(subscriber, "a", start, "catch-up");
		expect(joined).toMatchObject({ position: { epoch: "e1", offset: 3 }, recovered: false });
	});

	it("since what is lost, with rewind: not recovered, from what rewind yields", async () => {
		const world = new World();
		world.append("1", "2", "3");
		const start: Start = {
			from: "since",
			position: { epoch: "e0", offset: 1 },
			otherwise: { from: "rewind", messages: 2 },
		};
		const joined = await world.hub.join(world.subscriber(), "a", start, "catch-up");
		expect(joined).toMatchObject({ position: { offset: 1 }, recovered: false });
	});

	it("rewind: so many messages, or as many as are kept", async () => {
		const world = new World();
		world.broker.keep = 3;
		world.append("1", "2", "3", "4", "5");
		const [two, many] = [world.subscriber(), world.subscriber()];
		await world.join(two, { from: "rewind", messages: 2 });
		await world.join(many, { from: "rewind", messages: 100 });
		await quiet();
		expect(two.received).toEqual(["4=4", "5=5"]);
		expect(many.received).toEqual(["3=3", "4=4", "5=5"]);
	});

	it("a time: what is not older, also where the broker's pages end early", async () => {
		const world = new World();
		world.broker.pageEntries = 2;
		for (let index = 1; index <= 10; index++) {
			world.broker.nowMs = index * 1_000;
			world.append(`${index}`);
		}
		const [some, all] = [world.subscriber(), world.subscriber()];
		await world.join(some, { from: "time", sinceMs: 4_500 });
		await world.join(all, { from: "time", sinceMs: 0 });
		await quiet(40);
		expect(some.received).toEqual(["5=5", "6=6", "7=7", "8=8", "9=9", "10=10"]);
		expect(all.received).toHaveLength(10);
	});

	it("delivers nothing before it has begun, and a reset of the meantime after it", async () => {
		const world = new World();
		world.append("1");
		const subscriber = world.subscriber();
		const { subscription } = await world.hub.join(subscriber, "a", SINCE(0), "catch-up");
		world.append("2");
		await quiet();
		world.broker.restart("a", "e2");
		world.append("new");
		await quiet();
		expect(subscriber.received).toEqual([]);
		world.hub.begin(subscription);
		await quiet();
		expect(subscriber.received).toEqual(["reset e2:0", "1=new"]);
	});

	it("is in the channel's present epoch, where the channel moves while the history is asked", async () => {
		const world = new World();
		world.append("1", "2", "3");
		await world.join(world.subscriber());
		const waiting = gate();
		world.broker.gate = waiting.opened;
		const subscriber = world.subscriber();
		const joining = world.hub.join(subscriber, "a", { from: "rewind", messages: 1 }, "catch-up");
		await quiet();
		world.broker.restart("a", "e2");
		world.append("x");
		waiting.open();
		const { position, subscription } = await joining;
		world.hub.begin(subscription);
		await quiet();
		expect(position).toEqual({ epoch: "e2", offset: 0 });
		expect(subscriber.received).toEqual(["1=x"]);
	});
});

describe("a subscriber that was blocked", () => {
	it("continues from the node's log, without a read of the history", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await world.join(subscriber);
		subscriber.blocked = true;
		world.append("1", "2");
		await quiet();
		world.append("3");
		await quiet();
		world.unblock(subscriber);
		await quiet();
		expect(subscriber.received).toEqual(["1=1", "2=2", "3=3"]);
		expect(world.broker.reads).toEqual([]);
	});

	it("continues from the history where it fell off the log, then from the log, without a seam", async () => {
		const world = new World(logOf(3));
		const subscriber = world.subscriber();
		await world.join(subscriber);
		subscriber.blocked = true;
		for (let index = 1; index <= 20; index++) {
			world.append(`${index}`);
			await turn();
		}
		world.unblock(subscriber);
		world.append("21");
		await quiet();
		expect(subscriber.received).toEqual(Array.from({ length: 21 }, (_, index) => `${index + 1}=${index + 1}`));
	});

	it("is told of the gap where the history has let go as well", async () => {
		const world = new World(logOf(2));
		world.broker.keep = 4;
		const subscriber = world.subscriber();
		await world.join(subscriber);
		subscriber.blocked = true;
		for (let index = 1; index <= 10; index++) {
			world.append(`${index}`);
			await turn();
		}
		world.unblock(subscriber);
		await quiet();
		expect(subscriber.received).toEqual(["gap 1-6 slow", "7=7", "8=8", "9=9", "10=10"]);
	});

	it("still gets what the node's log has where there is no history at all", async () => {
		const world = new World(logOf(3));
		world.broker.keep = 0;
		const subscriber = world.subscriber();
		await world.join(subscriber);
		subscriber.blocked = true;
		for (let index = 1; index <= 10; index++) {
			world.append(`${index}`);
			await turn();
		}
		world.unblock(subscriber);
		await quiet();
		expect(subscriber.received).toEqual(["gap 1-7 slow", "8=8", "9=9", "10=10"]);
	});

	it("stops in the middle of catching up when it is blocked again, and goes on from there", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await world.join(subscriber);
		subscriber.blocked = true;
		const text = "x".repeat(30_000);
		world.append(...Array.from({ length: 20 }, () => text));
		await quiet();
		subscriber.onWrite = () => {
			subscriber.blocked = true;
		};
		world.unblock(subscriber);
		await quiet();
		const first = subscriber.messages.length;
		expect(first).toBeLessThan(20);
		for (let round = 0; round < 20; round++) {
			world.unblock(subscriber);
			await quiet(2);
		}
		expect(subscriber.messages.map(({ offset }) => offset)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
	});

	it.each(["catch-up", "conflate"] as const)(
		"in many channels is given them one after the other, and no more than it takes: %s",
		async (policy) => {
			const world = new World();
			const subscriber = world.subscriber();
			const names = Array.from({ length: 100 }, (_, index) => `channel ${index}`);
			for (const name of names) {
				await world.join(subscriber, NOW, policy, name);
			}
			subscriber.blocked = true;
			for (const name of names) {
				world.broker.append(name, ["x".repeat(20_000)]);
			}
			await quiet();
			subscriber.onWrite = () => {
				subscriber.blocked = true;
			};
			for (let round = 0; round < 50 && subscriber.messages.length < 100; round++) {
				world.unblock(subscriber);
				await quiet(2);
			}
			expect(Math.max(...subscriber.writes.map(({ length }) => length))).toBeLessThan(100_000);
			expect(new Set(subscriber.messages.map((message) => message.channel)).size).toBe(100);
		},
	);

	it("is ended, and nobody else, where its history cannot be read", async () => {
		const world = new World(logOf(2));
		const [slow, healthy] = [world.subscriber(), world.subscriber()];
		await world.join(slow);
		await world.join(healthy);
		slow.blocked = true;
		world.broker.refuse = "read";
		for (let index = 1; index <= 10; index++) {
			world.append(`${index}`);
			await turn();
		}
		world.unblock(slow);
		await quiet();
		expect(world.unserved).toHaveLength(1);
		expect(world.hub.subscribers("a")).toBe(1);
		expect(healthy.received).toHaveLength(10);
	});
});

describe("the policy for slow consumers", () => {
	async function behind(world: World, subscriber: FakeSubscriber, policy: SlowPolicy, entries: number): Promise<void> {
		await world.join(subscriber, NOW, policy);
		subscriber.blocked = true;
		for (let index = 1; index <= entries; index++) {
			world.append({ text: `${index}`, key: index % 2 === 0 ? "even" : "odd" });
			await turn();
		}
		world.unblock(subscriber);
		await quiet();
	}

	it("skip: a gap, then what is new", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await behind(world, subscriber, "skip", 5);
		world.append("6");
		await quiet();
		expect(subscriber.received).toEqual(["gap 1-5 slow", "6=6"]);
	});

	it("conflate: the range, and the last of each key, ascending; then gapless", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await behind(world, subscriber, "conflate", 5);
		world.append("6");
		await quiet();
		expect(subscriber.received).toEqual(["conflated 1-5", "4=4", "5=5", "6=6"]);
	});

	it("conflate loses no key whose last message has left the log, and reads no history for it", async () => {
		const world = new World(logOf(4));
		world.broker.keep = 0;
		const subscriber = world.subscriber();
		await world.join(subscriber, NOW, "conflate");
		subscriber.blocked = true;
		world.append({ text: "1", key: "rare" });
		await turn();
		for (let index = 2; index <= 11; index++) {
			world.append({ text: `${index}`, key: index % 2 === 0 ? "even" : "odd" });
			await turn();
		}
		world.unblock(subscriber);
		await quiet();
		expect(subscriber.received).toEqual(["conflated 1-11", "1=1", "10=10", "11=11"]);
		expect(world.broker.reads).toEqual([]);
	});

	it("conflate announces what its table had to let go of before what is left of it", async () => {
		const world = new World(logOf(2));
		const subscriber = world.subscriber();
		await world.join(subscriber, NOW, "conflate");
		subscriber.blocked = true;
		for (let index = 1; index <= 10; index++) {
			world.append({ text: `${index}`, key: `key ${index}` });
			await turn();
		}
		world.unblock(subscriber);
		await quiet();
		const [gap, conflated, ...left] = subscriber.received;
		const from = 10 - left.length + 1;
		expect([gap, conflated]).toEqual([`gap 1-${from - 1} slow`, `conflated ${from}-10`]);
		expect(left).toEqual(Array.from({ length: left.length }, (_, at) => `${from + at}=${from + at}`));
	});

	it("conflate leaves no silent hole where the only message is the subscriber's own", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await world.join(subscriber, NOW, "conflate");
		subscriber.blocked = true;
		world.append({ text: "1", exclude: "me" });
		await quiet();
		world.unblock(subscriber);
		world.append("2");
		await quiet();
		expect(subscriber.received).toEqual(["gap 1-1 own", "2=2"]);
	});

	it("conflate ends where all of the history has expired, instead of asking for ever", async () => {
		const world = new World(logOf(2));
		const subscriber = world.subscriber();
		await world.join(subscriber, NOW, "conflate");
		subscriber.blocked = true;
		for (let index = 1; index <= 8; index++) {
			world.append({ text: `${index}`, ttlMs: 10 });
			await turn();
		}
		world.broker.nowMs += 100;
		world.unblock(subscriber);
		await quiet();
		world.append("9");
		await quiet();
		expect(subscriber.received).toEqual(["gap 1-8 expired", "9=9"]);
		expect(world.broker.reads.length).toBeLessThan(5);
	});

	it("disconnect: nothing as long as the log reaches back, then the end", async () => {
		const world = new World(logOf(3));
		const [near, far] = [world.subscriber(), world.subscriber()];
		await behind(world, near, "disconnect", 3);
		expect([near.received.length, near.losses]).toEqual([3, []]);
		await behind(world, far, "disconnect", 5);
		expect(far.losses).toEqual(["gap"]);
	});

	it.each(["skip", "conflate", "disconnect"] as const)(
		"%s: who comes back is not slow, and gets all that it missed",
		async (policy) => {
			const world = new World();
			world.append("1", "2", "3");
			const subscriber = world.subscriber();
			await world.join(subscriber, SINCE(0), policy);
			await quiet();
			expect([subscriber.received, subscriber.losses]).toEqual([["1=1", "2=2", "3=3"], []]);
		},
	);

	it.each(["skip", "conflate", "disconnect"] as const)(
		"%s: nor is it slow because messages come while its history is read",
		async (policy) => {
			const world = new World();
			world.append("1", "2", "3");
			const subscriber = world.subscriber();
			const { subscription } = await world.hub.join(subscriber, "a", SINCE(0), policy);
			const waiting = gate();
			world.broker.gate = waiting.opened;
			world.hub.begin(subscription);
			await quiet();
			world.append("4", "5");
			await quiet();
			waiting.open();
			await quiet();
			expect(subscriber.received).toEqual(["1=1", "2=2", "3=3", "4=4", "5=5"]);
		},
	);
});

describe("plain subscribers, whose protocol has no words for a hole", () => {
	it("are closed where messages are lost, never given a silent hole", async () => {
		const world = new World(logOf(2));
		world.broker.keep = 3;
		const subscriber = world.subscriber(false);
		subscriber.onLost = () => world.hub.leaveAll(subscriber);
		await world.join(subscriber);
		subscriber.blocked = true;
		for (let index = 1; index <= 10; index++) {
			world.append(`${index}`);
			await turn();
		}
		world.unblock(subscriber);
		await quiet();
		expect([subscriber.losses, subscriber.writes]).toEqual([["gap"], []]);
	});

	it("get the latest values only where the channel conflates", async () => {
		const world = new World();
		const subscriber = world.subscriber(false);
		await world.join(subscriber, NOW, "conflate");
		subscriber.blocked = true;
		world.append("1", "2", "3");
		await quiet();
		world.unblock(subscriber);
		await quiet();
		expect([subscriber.messages, subscriber.losses]).toEqual([["3"], []]);
	});

	it("are not closed for what is no loss: their own, and what has expired", async () => {
		const world = new World();
		const subscriber = world.subscriber(false);
		await world.join(subscriber);
		world.append({ text: "1", exclude: "me" }, "2");
		await quiet();
		expect([subscriber.messages, subscriber.losses]).toEqual([["2"], []]);
	});
});

describe("own and expired messages", () => {
	it("are announced to whom they are withheld from, in their place", async () => {
		const world = new World();
		const [me, other] = [world.subscriber(true, "me"), world.subscriber(true, "other")];
		await world.join(me);
		await world.join(other);
		world.append("1", { text: "2", exclude: "me" }, "3");
		await quiet();
		expect(me.received).toEqual(["1=1", "gap 2-2 own", "3=3"]);
		expect(other.received).toEqual(["1=1", "2=2", "3=3"]);
	});

	it("expired while the subscriber stood still: a gap, and recovered stays true", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await world.join(subscriber);
		subscriber.blocked = true;
		world.append({ text: "1", ttlMs: 10 }, "2");
		await quiet();
		world.broker.nowMs += 100;
		world.unblock(subscriber);
		await quiet();
		expect(subscriber.received).toEqual(["gap 1-1 expired", "2=2"]);
	});

	it("expired inside of the history, and at its end", async () => {
		const world = new World(logOf(1));
		world.append("1", { text: "2", ttlMs: 10 }, "3", { text: "4", ttlMs: 10 });
		world.broker.nowMs += 100;
		const subscriber = world.subscriber();
		await world.join(subscriber, SINCE(0));
		await quiet();
		world.append("5");
		await quiet();
		expect(subscriber.received).toEqual(["1=1", "gap 2-2 expired", "3=3", "gap 4-4 expired", "5=5"]);
	});
});

describe("a channel whose epoch changes", () => {
	it("tells every subscriber, and goes on at the new epoch's beginning", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await world.join(subscriber);
		world.append("1");
		await quiet();
		world.broker.restart("a", "e2");
		world.append("x");
		await quiet();
		expect(subscriber.received).toEqual(["1=1", "reset e2:0", "1=x"]);
	});

	it("is noticed by entries of another epoch, too, before any reset is told", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await world.join(subscriber);
		world.append("1");
		await quiet();
		world.broker.restart("a", "e2", false);
		world.append("x", "y");
		await quiet();
		expect(subscriber.received).toEqual(["1=1", "reset e2:0", "1=x", "2=y"]);
	});

	it("does not strand or mislead a subscriber whose history of the old epoch is being read", async () => {
		for (const readAfterwards of [false, true]) {
			const world = new World(logOf(2));
			const subscriber = world.subscriber();
			await world.join(subscriber);
			subscriber.blocked = true;
			for (let index = 1; index <= 6; index++) {
				world.append(`${index}`);
				await turn();
			}
			const waiting = gate();
			world.broker.gate = waiting.opened;
			world.unblock(subscriber);
			await quiet();
			world.broker.restart("a", "e2");
			world.append(...Array.from({ length: 9 }, (_, index) => `new${index + 1}`));
			if (readAfterwards) {
				await quiet();
			}
			waiting.open();
			await quiet();
			expect(subscriber.received).toEqual([
				"reset e2:0",
				...Array.from({ length: 9 }, (_, index) => `${index + 1}=new${index + 1}`),
			]);
		}
	});
});

describe("the hub keeps nothing of what is over", () => {
	it("closes a channel with its last subscriber", async () => {
		const world = new World();
		const [one, two] = [world.subscriber(), world.subscriber()];
		const first = await world.join(one);
		await world.join(two);
		world.hub.leave(first);
		expect([world.hub.size, world.broker.log("a").subscribed]).toEqual([1, true]);
		world.hub.leaveAll(two);
		expect([world.hub.size, world.broker.log("a").subscribed]).toEqual([0, false]);
	});

	it("forgets a channel that the broker refused, for everybody who waited, and asks anew afterwards", async () => {
		const world = new World();
		world.broker.refuse = "subscribe";
		const waiting = gate();
		world.broker.gate = waiting.opened;
		const joins = [world.join(world.subscriber()), world.join(world.subscriber())];
		waiting.open();
		const results = await Promise.allSettled(joins);
		expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
		expect(world.hub.size).toBe(0);
		world.broker.refuse = undefined;
		const subscriber = world.subscriber();
		await world.join(subscriber);
		world.append("1");
		await quiet();
		expect(subscriber.received).toEqual(["1=1"]);
	});

	it("forgets a channel whose history could not be read for the start", async () => {
		const world = new World();
		world.broker.refuse = "read";
		await expect(world.join(world.subscriber(), { from: "rewind", messages: 1 })).rejects.toThrow("refused");
		expect(world.hub.size).toBe(0);
	});

	it("leaves a second time without harm", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		const subscription = await world.join(subscriber);
		await world.join(world.subscriber());
		world.hub.leaveAll(subscriber);
		world.hub.leave(subscription);
		expect(world.hub.subscribers("a")).toBe(1);
	});
});

describe("many who come back at once", () => {
	it("share the reads of the history and what is encoded of it, wherever they come from", async () => {
		const world = new World();
		world.append(...Array.from({ length: 2_000 }, (_, index) => `${index + 1}`));
		const encoding = new LineEncoding(0);
		const subscribers = Array.from({ length: 100 }, (_, index) => {
			const subscriber = new FakeSubscriber((each) => world.hub.flush.subscriber(each), encoding, `s${index}`);
			return { subscriber, since: 900 + (index % 3) };
		});
		await Promise.all(subscribers.map(({ subscriber, since }) => world.join(subscriber, SINCE(since))));
		await quiet(40);
		for (const { subscriber, since } of subscribers) {
			expect(subscriber.messages.map(({ offset }) => offset)).toEqual(
				Array.from({ length: 2_000 - since }, (_, at) => since + 1 + at),
			);
		}
		// One page up to the first boundary for each position, then the same four for all.
		const pages = new Set(world.broker.reads.filter(({ limit }) => limit > 1).map(({ after }) => after));
		expect(pages.size).toBe(3 + 4);
		expect(world.broker.reads.filter(({ limit }) => limit > 1)).toHaveLength(3 + 4);
		expect(encoding.encoded).toBeLessThan(2 * 1_100);
	});
});

describe("what is lost between the broker and the node", () => {
	/** The broker appends, and the node hears nothing of it. */
	function loseTelling(world: World, ...data: string[]): void {
		world.broker.log("a").subscribed = false;
		world.append(...data);
		world.broker.log("a").subscribed = true;
	}

	it("is found when the next message comes, and filled in from the history: nobody was slow", async () => {
		for (const policy of ["catch-up", "conflate", "skip", "disconnect"] as const) {
			const world = new World();
			const subscriber = world.subscriber();
			await world.join(subscriber, NOW, policy);
			world.append("1");
			await quiet();
			loseTelling(world, "2", "3");
			world.append("4");
			await quiet();
			expect([subscriber.received, subscriber.losses]).toEqual([["1=1", "2=2", "3=3", "4=4"], []]);
		}
	});

	it("is found where no next message comes, by asking twice", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await world.join(subscriber);
		world.append("1");
		await quiet();
		loseTelling(world, "2");
		await world.hub.checkPositions();
		await quiet();
		expect(subscriber.received).toEqual(["1=1"]);
		await world.hub.checkPositions();
		await quiet();
		expect(subscriber.received).toEqual(["1=1", "2=2"]);
		world.append("3");
		await quiet();
		expect(subscriber.received).toEqual(["1=1", "2=2", "3=3"]);
	});

	it("is found where it was a reset, by asking twice", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		await world.join(subscriber);
		world.append("1");
		await quiet();
		world.broker.restart("a", "e2", false);
		loseTelling(world, "2");
		await world.hub.checkPositions();
		await world.hub.checkPositions();
		await quiet();
		expect(subscriber.received).toEqual(["1=1", "reset e2:1"]);
	});

	it("does not send a client back that was told of it by another node", async () => {
		const world = new World();
		const present = world.subscriber();
		await world.join(present);
		world.append("1");
		await quiet();
		loseTelling(world, "2", "3");
		const back = world.subscriber();
		const joined = await world.hub.join(back, "a", SINCE(3), "catch-up");
		world.hub.begin(joined.subscription);
		expect(joined).toMatchObject({ recovered: true, position: { epoch: "e1", offset: 3 } });
		world.append("4");
		await quiet();
		expect([present.received, back.received]).toEqual([["1=1", "2=2", "3=3", "4=4"], ["4=4"]]);
	});

	it("does not send a client back to an epoch that is over", async () => {
		const world = new World();
		const present = world.subscriber();
		await world.join(present);
		world.append("1");
		await quiet();
		world.broker.restart("a", "e2", false);
		loseTelling(world, "2");
		const back = world.subscriber();
		const joined = await world.hub.join(back, "a", SINCE(1, "e2"), "catch-up");
		world.hub.begin(joined.subscription);
		expect(joined).toMatchObject({ recovered: true, position: { epoch: "e2", offset: 1 } });
		await quiet();
		expect([present.received, back.received]).toEqual([["1=1", "reset e2:1"], []]);
	});

	it("asks about a bounded number of channels at a time, and about each in the end", async () => {
		const world = new World();
		const subscriber = world.subscriber();
		for (let index = 0; index < 3_000; index++) {
			await world.join(subscriber, NOW, "catch-up", `channel ${index}`);
		}
		let asked = 0;
		const read = world.broker.read.bind(world.broker);
		const names = new Set<string>();
		world.broker.read = (name, options) => {
			asked++;
			names.add(name);
			return read(name, options);
		};
		await world.hub.checkPositions();
		expect(asked).toBe(50);
		for (let round = 0; round < 60; round++) {
			await world.hub.checkPositions();
		}
		expect(names.size).toBe(3_000);
	});

	it("does no harm where the broker does not answer", async () => {
		const world = new World();
		await world.join(world.subscriber());
		world.broker.refuse = "read";
		await world.hub.checkPositions();
		expect(world.unserved).toEqual([]);
	});
});
