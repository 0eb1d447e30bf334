/** What nodes are told of, and that it joins what they read without a seam. */
import { claim, json, KEEP, Listening, publish, read, refused, same, texts } from "./claims.ts";
import type { CaseTable } from "./subject.ts";

const TEN = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

export const deliveryCases: CaseTable = {
	"a subscribed node is told of each entry, once, ascending": async ({ broker }) => {
		const here = new Listening(broker);
		const start = await broker.subscribe("a");
		same(start.offset, 0, "position");
		for (const value of TEN) {
			await publish(broker, "a", value);
		}
		const told = await here.entries("a", 10);
		same(texts(told), TEN, "told");
		same(here.told[0]!.epoch, start.epoch, "epoch");
		const kept = (await read(broker, "a")).entries;
		same(
			told.map((entry) => entry.offset),
			kept.map((entry) => entry.offset),
			"offsets",
		);
	},
	"an entry is told as it is read": async ({ broker }) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		const full = { name: "n", key: "k", from: "ann", exclude: "s1", ttlMs: 60_000, patch: true, report: "r" } as const;
		await broker.publish("a", { ...json("1"), ...full }, { retention: KEEP });
		const [told] = await here.entries("a", 1);
		const [kept] = (await read(broker, "a")).entries;
		for (const field of Object.keys(full) as (keyof typeof full)[]) {
			same(told![field], full[field], field);
		}
		for (const field of ["offset", "timeMs", "encoding"] as const) {
			same(told![field], kept![field], field);
		}
		same([...told!.data], [...kept!.data], "data");
	},
	"what is told can be read": async ({ broker, node }) => {
		const here = new Listening(await node());
		await here.broker.subscribe("a");
		void publish(broker, "a", "1");
		await here.entries("a", 1);
		same(texts((await read(here.broker, "a")).entries), ["1"], "log");
	},
	"an accepted publish says how many nodes were told, its own included, or nothing": async ({ broker, node }) => {
		const here = new Listening(broker);
		const there = new Listening(await node());
		const told = async (expected: number, what: string): Promise<void> => {
			const result = await here.broker.publish("a", json("1"), { retention: KEEP });
			claim(result.status === "accepted", `got ${result.status}`);
			same(result.told ?? expected, expected, `told ${what}`);
		};
		await there.broker.subscribe("b");
		await told(0, "when nobody is subscribed");
		await here.broker.subscribe("a");
		await told(1, "when only the publisher's node is");
		await there.broker.subscribe("a");
		await there.broker.subscribe("a");
		await told(2, "when both are");
		here.broker.unsubscribe("a");
		await told(1, "when only the other one is");
		await there.broker.close();
		await told(0, "when that has closed");
	},
	"every subscribed node is told, whichever published": async ({ broker, node }) => {
		const nodes = [new Listening(broker), new Listening(await node()), new Listening(await node())];
		for (const { broker: each } of nodes) {
			await each.subscribe("a");
		}
		for (const { broker: each } of nodes) {
			await publish(each, "a", "1");
		}
		const offsets: unknown[] = [];
		for (const here of nodes) {
			offsets.push((await here.entries("a", 3)).map((entry) => entry.offset));
		}
		same(offsets[1], offsets[0], "offsets at the second node");
		same(offsets[2], offsets[0], "offsets at the third node");
	},
	"a node is told only of channels it subscribed to": async ({ broker, node }) => {
		const here = new Listening(await node());
		await here.broker.subscribe("a");
		await publish(broker, "b", "1");
		await publish(broker, "A", "1");
		await publish(broker, "a", "2");
		await here.entries("a", 1);
		same(
			here.told.map((told) => told.channel),
			["a"],
			"told",
		);
	},
	"subscribe joins without a seam while others publish: read up to its position, told after it": async (subject) => {
		const { broker, node } = subject;
		for (let round = 0; round < 20; round++) {
			const channel = `race-${round}`;
			const here = new Listening(await node());
			const publishing: Promise<unknown>[] = [];
			const send = (value: string): number => publishing.push(publish(broker, channel, value));
			TEN.slice(0, round % 5).forEach(send);
			const subscribing = here.broker.subscribe(channel);
			TEN.slice(round % 5, 7).forEach(send);
			const start = await subscribing;
			TEN.slice(7).forEach(send);
			await Promise.all(publishing);
			const before = (await read(broker, channel)).entries.filter((entry) => entry.offset <= start.offset);
			const told = await here.entries(channel, TEN.length - before.length);
			same([...texts(before), ...texts(told)], TEN, `round ${round}`);
			await here.broker.close();
		}
	},
	"subscribing in the middle of a log gives its head, and tells nothing old": async ({ broker }) => {
		const here = new Listening(broker);
		await publish(broker, "a", "1");
		const position = await publish(broker, "a", "2");
		same(await broker.subscribe("a"), position, "position");
		await publish(broker, "a", "3");
		same(texts(await here.entries("a", 1)), ["3"], "told");
	},
	"subscribing twice is subscribing once": async ({ broker }) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		const position = await publish(broker, "a", "1");
		same(await broker.subscribe("a"), position, "position");
		await publish(broker, "a", "2");
		same(texts(await here.entries("a", 2)), ["1", "2"], "told");
	},
	"after unsubscribe the listener is told no more, and a new subscribe begins at its own position": async ({
		broker,
		node,
	}) => {
		const here = new Listening(await node());
		await here.broker.subscribe("a");
		await publish(broker, "a", "1");
		await here.entries("a", 1);
		here.broker.unsubscribe("a");
		const missed = await publish(broker, "a", "2");
		same(await here.broker.subscribe("a"), missed, "position");
		await publish(broker, "a", "3");
		same(texts(await here.entries("a", 2)), ["1", "3"], "told");
	},
	"unsubscribing one node leaves the others": async ({ broker, node }) => {
		const here = new Listening(broker);
		const there = new Listening(await node());
		await here.broker.subscribe("a");
		await there.broker.subscribe("a");
		there.broker.unsubscribe("a");
		there.broker.unsubscribe("never");
		await publish(there.broker, "a", "1");
		same(texts(await here.entries("a", 1)), ["1"], "told");
		same(there.told, [], "told after unsubscribe");
	},
	"a repeat with the same idempotency key tells nobody": async ({ broker }) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		const options = { retention: KEEP, idempotencyKey: "k", idempotencyMs: 60_000 };
		await broker.publish("a", json("1"), options);
		await broker.publish("a", json("1"), options);
		await publish(broker, "a", "2");
		same(texts(await here.entries("a", 2)), ["1", "2"], "told");
	},
	"zero retention still tells": async ({ broker }) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		await publish(broker, "a", "1", { retention: { messages: 0, bytes: 0, ageMs: 0 } });
		same(texts(await here.entries("a", 1)), ["1"], "told");
	},
	"publishes of two nodes at once are told in the log's order everywhere": async ({ broker, node }) => {
		const here = new Listening(broker);
		const there = new Listening(await node());
		await here.broker.subscribe("a");
		await there.broker.subscribe("a");
		await Promise.all(TEN.map((value, index) => publish(index % 2 ? here.broker : there.broker, "a", value)));
		const log = texts((await read(broker, "a")).entries);
		same(texts(await here.entries("a", 10)), log, "told here");
		same(texts(await there.entries("a", 10)), log, "told there");
	},
	"when a log is lost its subscribers are told reset, and it goes on in another epoch": async ({ broker, lose }) => {
		const here = new Listening(broker);
		await broker.subscribe("a");
		const before = await publish(broker, "a", "1");
		await lose!("a");
		const position = await here.reset("a");
		claim(position.epoch !== before.epoch, "the epoch stayed");
		const after = await publish(broker, "a", "2");
		same(after.epoch, position.epoch, "epoch");
		claim(after.offset > position.offset, "the log goes on after the position");
		same(texts(await here.entries("a", 2)), ["1", "2"], "told");
	},
	"no (epoch, offset) has two values after a restart": async ({ broker, reopen }) => {
		const before = await publish(broker, "a", "1");
		const again = await reopen!();
		const page = await read(again, "a");
		if (page.epoch === before.epoch) {
			same(texts(page.entries), ["1"], "kept over the restart");
		}
		const after = await publish(again, "a", "2");
		claim(after.epoch !== before.epoch || after.offset > before.offset, "a position was used twice");
	},
	"subscribe before listen is invalid, and so is a second listen": async ({ broker }) => {
		await refused("invalid", () => broker.subscribe("a"));
		new Listening(broker);
		await refused("invalid", async () => new Listening(broker));
	},
	"after close everything is refused, and nothing is told": async ({ broker, node }) => {
		const there = new Listening(await node());
		await there.broker.subscribe("a");
		await there.broker.close();
		await there.broker.close();
		await publish(broker, "a", "1");
		there.broker.unsubscribe("a");
		await refused("closed", () => there.broker.publish("a", json("1"), { retention: KEEP }));
		await refused("closed", () => there.broker.subscribe("a"));
		await refused("closed", () => read(there.broker, "a"));
		await refused("closed", () => there.broker.records.get("k"));
		await refused("closed", () => there.broker.records.set("k", new Uint8Array(1), 1_000));
		await refused("closed", () => there.broker.publish("a", json("1"), { retention: KEEP, atMs: 9e12 }));
		await refused("closed", () => there.broker.snapshot("a"));
		await refused("closed", () => there.broker.channels({ limit: 1 }));
		await refused("closed", () => there.broker.records.setIfAbsent("k", new Uint8Array(1), 1_000));
		await refused("closed", () => there.broker.records.delete("k"));
		await refused("closed", () => there.broker.records.replace("k", undefined, new Uint8Array(1), 1_000));
		await refused("closed", () => there.broker.records.list("", { limit: 1 }));
		same(there.told, [], "told");
	},
};
