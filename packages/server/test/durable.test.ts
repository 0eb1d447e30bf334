/** B9: what came while a consumer was away waits for it, and is delivered again until it says that it has it. */
import { type Broker, createMemoryCluster, type Records } from "@tidewire/broker";
import { type Contract, channel, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { SILENT } from "../src/observe/log.ts";
import { createServer } from "../src/server.ts";
import { API_KEY, afterwards, type Client, enveloped, type Message, open, plain, type Running, run } from "./client.ts";
import { as, type Cluster, twoNodes } from "./cluster.ts";

const DAY_MS = 86_400_000;

interface Subscribed {
	readonly client: Client;
	readonly reply: Message;
}

/** The user's client, subscribed as this consumer, to `@user` unless `more` says otherwise. */
async function durable(
	user: string,
	node: Pick<Running, "url">,
	consumer: string,
	more: Message = {},
): Promise<Subscribed> {
	const client = await as(user, node);
	const reply = await client.ask({ action: "subscribe", channel: "@user", durable: consumer, ...more });
	return { client, reply };
}

/** Says what it has, and goes when that has been taken. */
async function leave(client: Client, position?: string, channel = "@user"): Promise<void> {
	if (position !== undefined) {
		client.send({ action: "received", channel, position });
	}
	await client.ask({ action: "ping" });
	client.socket.close();
	await client.closed;
}

async function take(client: Client, count: number): Promise<unknown[]> {
	const messages: unknown[] = [];
	while (messages.length < count) {
		messages.push((await client.next()).data);
	}
	return messages;
}

/** The consumer exists, and its user is away. */
async function away(user: string, node: Pick<Running, "url">, consumer: string, more: Message = {}): Promise<void> {
	await leave((await durable(user, node, consumer, more)).client);
}

/** The broker with some of its records' methods replaced. */
function withRecords(broker: Broker, methods: (records: Records) => Partial<Records>): Broker {
	const { records } = broker;
	const replaced = { ...methods(records) };
	const bound = (target: object, name: PropertyKey): unknown => {
		const value: unknown = Reflect.get(target, name, target);
		return typeof value === "function" ? value.bind(target) : value;
	};
	const changed = new Proxy(records, { get: (of, name) => Reflect.get(replaced, name) ?? bound(of, name) });
	return new Proxy(broker, { get: (of, name) => (name === "records" ? changed : bound(of, name)) });
}

function at(position: string, offset: number): string {
	return `${position.split(":")[0]}:${offset}`;
}

describe("an inbox", () => {
	it("waits while nobody is connected, is delivered again until it is received, and then no more", async () => {
		const { nodes } = await twoNodes();
		await away("ann", nodes[0], "phone");
		const inbox = nodes[1].server.user("ann");
		await inbox.publish("one");
		const last = await inbox.publish("two");

		const first = await durable("ann", nodes[0], "phone");
		expect(first.reply).toMatchObject({ channel: "@user", position: at(last, 0), recovered: true });
		expect(await take(first.client, 2)).toEqual(["one", "two"]);
		await leave(first.client);

		const again = await durable("ann", nodes[1], "phone");
		expect(again.reply).toMatchObject({ position: at(last, 0), recovered: true });
		expect(await take(again.client, 2)).toEqual(["one", "two"]);
		await leave(again.client, last);

		const third = await durable("ann", nodes[0], "phone");
		expect(third.reply).toMatchObject({ position: last, recovered: true });
		await third.client.nothingElse();
		await inbox.publish("three");
		expect(await take(third.client, 1)).toEqual(["three"]);
	});

	it("is received up to a position, whatever came after it", async () => {
		const { nodes } = await twoNodes();
		await away("ann", nodes[0], "phone");
		const inbox = nodes[0].server.user("ann");
		const one = await inbox.publish("one");
		await inbox.publish("two");
		const { client } = await durable("ann", nodes[0], "phone");
		await take(client, 2);
		await leave(client, one);
		expect(await take((await durable("ann", nodes[1], "phone")).client, 1)).toEqual(["two"]);
	});

	it("is each device's own, by its consumer's name or by its channel", async () => {
		const { nodes } = await twoNodes();
		await away("ann", nodes[0], "phone");
		await away("ann", nodes[0], "laptop");
		await away("ann", nodes[0], "phone", { channel: "@device:phone" });
		const ann = nodes[0].server.user("ann");
		const position = await ann.publish("to all");
		await ann.device("phone").publish("to the phone");
		const phone = await durable("ann", nodes[0], "phone");
		expect(await take(phone.client, 1)).toEqual(["to all"]);
		await leave(phone.client, position);
		const laptop = await durable("ann", nodes[0], "laptop");
		expect(await take(laptop.client, 1)).toEqual(["to all"]);
		const device = await durable("ann", nodes[0], "phone", { channel: "@device:phone" });
		expect(await take(device.client, 1)).toEqual(["to the phone"]);
		await (await durable("ann", nodes[0], "phone")).client.nothingElse();
	});

	it("keeps an own channel's messages for a week, where the contract says nothing else", async () => {
		const cluster = await twoNodes();
		const [node] = cluster.nodes;
		await away("ann", node, "phone");
		await node.server.user("ann").publish("early");
		cluster.pass(6.9 * DAY_MS);
		const { client } = await durable("ann", node, "phone");
		expect(await take(client, 1)).toEqual(["early"]);
	});

	it("is any channel's that may be subscribed to", async () => {
		const { nodes } = await twoNodes({ may: { subscribe: { "*": ({ user }) => user?.id === "ann" } } });
		await away("ann", nodes[0], "phone", { channel: "news" });
		await nodes[1].server.channel("news").publish("extra");
		const { client } = await durable("ann", nodes[0], "phone", { channel: "news" });
		expect(await take(client, 1)).toEqual(["extra"]);
		const { reply } = await durable("bob", nodes[0], "phone", { channel: "news" });
		expect(reply).toMatchObject({ error: { code: "forbidden" } });
	});

	it("goes on for several channels of one request, each with its own cursor", async () => {
		const { nodes } = await twoNodes();
		const channels = { "@user": null, "@device:phone": null };
		const first = await as("ann", nodes[0]);
		await first.ask({ action: "subscribe", channels, durable: "phone" });
		await leave(first);
		const ann = nodes[0].server.user("ann");
		await ann.publish("to all");
		await ann.device("phone").publish("to the phone");
		const second = await as("ann", nodes[0]);
		expect(await second.ask({ action: "subscribe", channels, durable: "phone" })).toMatchObject({
			channels: [{ recovered: true }, { recovered: true }],
		});
		expect((await take(second, 2)).sort()).toEqual(["to all", "to the phone"]);
	});
});

describe("where a consumer begins", () => {
	it("from now, at its first subscribe, and the reply says nothing of recovery", async () => {
		const { nodes } = await twoNodes();
		const position = await nodes[0].server.user("ann").publish("before");
		const { client, reply } = await durable("ann", nodes[0], "phone");
		expect(reply).toMatchObject({ position });
		expect(reply).not.toHaveProperty("recovered");
		await client.nothingElse();
	});

	it("further back with rewind, and stays there until it has received", async () => {
		const { nodes } = await twoNodes();
		await nodes[0].server.user("ann").publish("before");
		for (const node of nodes) {
			const { client } = await durable("ann", node, "phone", { rewind: 100 });
			expect(await take(client, 1)).toEqual(["before"]);
			await leave(client);
		}
	});

	it("after a position with since, and stays there until it has received", async () => {
		const { nodes } = await twoNodes();
		const one = await nodes[0].server.user("ann").publish("one");
		await nodes[0].server.user("ann").publish("two");
		const { client, reply } = await durable("ann", nodes[0], "phone", { since: one });
		expect(reply).toMatchObject({ position: one, recovered: true });
		expect(await take(client, 1)).toEqual(["two"]);
		await leave(client);
		expect((await durable("ann", nodes[1], "phone")).reply).toMatchObject({ position: one, recovered: true });
	});

	it("later not by rewind, which is for its first subscribe", async () => {
		const { nodes } = await twoNodes();
		await nodes[0].server.user("ann").publish("before");
		await away("ann", nodes[0], "phone");
		await (await durable("ann", nodes[0], "phone", { rewind: 100 })).client.nothingElse();
	});

	it("later after the client's own position where that is further, else after what was received", async () => {
		const { nodes } = await twoNodes();
		await away("ann", nodes[0], "phone");
		const inbox = nodes[0].server.user("ann");
		const [one, two] = [await inbox.publish("one"), await inbox.publish("two")];
		await inbox.publish("three");
		const ahead = await durable("ann", nodes[0], "phone", { since: two });
		expect(ahead.reply).toMatchObject({ position: two, recovered: true });
		expect(await take(ahead.client, 1)).toEqual(["three"]);
		await leave(ahead.client, two);
		const behind = await durable("ann", nodes[1], "phone", { since: one });
		expect(behind.reply).toMatchObject({ position: two, recovered: true });
		expect(await take(behind.client, 1)).toEqual(["three"]);
	});

	it.each([
		["beyond the head", (position: string) => at(position, 99)],
		["of another epoch", () => "elsewhere:1"],
	])("later after what was received where the client's own position is %s, and says so", async (_, since) => {
		const { nodes } = await twoNodes();
		const one = await nodes[0].server.user("ann").publish("one");
		await away("ann", nodes[0], "phone");
		await nodes[0].server.user("ann").publish("two");
		const { client, reply } = await durable("ann", nodes[0], "phone", { since: since(one) });
		expect(reply).toMatchObject({ position: one, recovered: false });
		expect(await client.next()).toEqual({ channel: "@user", offset: 2, data: "two" });
	});
});

describe("what is lost while a consumer is away is told", () => {
	it("by the history's bounds: with the offsets, each time until the consumer is past them", async () => {
		const small = contract({ channels: { "@user": channel({ history: { messages: 2 } }) } });
		const { nodes } = await twoNodes({}, small);
		await away("ann", nodes[0], "phone");
		const inbox = nodes[0].server.user("ann");
		for (const data of [1, 2, 3, 4]) {
			await inbox.publish(data);
		}
		for (const node of nodes) {
			const { client, reply } = await durable("ann", node, "phone");
			expect(reply).toMatchObject({ position: expect.stringMatching(/:0$/), recovered: false });
			expect(await client.next()).toEqual({ channel: "@user", event: "gap", from: 1, to: 2, reason: "lost" });
			expect(await take(client, 2)).toEqual([3, 4]);
			await leave(client);
		}
	});

	it("by the end of the log: a reset, and everything that the new one holds", async () => {
		const { nodes, forget } = await twoNodes();
		await away("ann", nodes[0], "phone");
		await nodes[0].server.user("ann").publish("gone");
		forget("@user:ann");
		const position = await nodes[0].server.user("ann").publish("new");
		for (const since of [undefined, "old:7"]) {
			const { client, reply } = await durable("ann", nodes[0], "phone", since === undefined ? {} : { since });
			expect(reply).toMatchObject({ position: at(position, 0), recovered: false });
			expect(await client.next()).toEqual({ channel: "@user", event: "reset", position: at(position, 0) });
			expect(await take(client, 1)).toEqual(["new"]);
			await leave(client);
		}
	});

	it("by both", async () => {
		const small = contract({ channels: { "@user": channel({ history: { messages: 1 } }) } });
		const { nodes, forget } = await twoNodes({}, small);
		await away("ann", nodes[0], "phone");
		forget("@user:ann");
		await nodes[0].server.user("ann").publish(1);
		const position = await nodes[0].server.user("ann").publish(2);
		const { client, reply } = await durable("ann", nodes[0], "phone");
		expect(reply).toMatchObject({ position: at(position, 0), recovered: false });
		expect(await client.next()).toMatchObject({ event: "reset", position: at(position, 0) });
		expect(await client.next()).toMatchObject({ event: "gap", from: 1, to: 1, reason: "lost" });
		expect(await take(client, 1)).toEqual([2]);
	});

	it("but not what was sent for a time only, and that is over", async () => {
		const cluster = await twoNodes();
		const [node] = cluster.nodes;
		await away("ann", node, "phone");
		await node.server.user("ann").publish("your taxi is here", { ttlMs: 1_000 });
		const position = await node.server.user("ann").publish("your receipt");
		cluster.pass(2_000);
		const { client, reply } = await durable("ann", node, "phone");
		expect(reply).toMatchObject({ position: at(position, 0), recovered: true });
		expect(await client.next()).toMatchObject({ event: "gap", from: 1, to: 1, reason: "expired" });
		expect(await take(client, 1)).toEqual(["your receipt"]);
	});

	it("and a consumer goes on in the new log when the channel begins anew while it is there", async () => {
		const { nodes, forget } = await twoNodes();
		const before = await nodes[0].server.user("ann").publish("old");
		const { client } = await durable("ann", nodes[0], "phone");
		forget("@user:ann");
		const position = await nodes[0].server.user("ann").publish("new");
		expect(await client.next()).toMatchObject({ event: "reset" });
		expect(await take(client, 1)).toEqual(["new"]);
		client.send({ action: "received", channel: "@user", position: before });
		await leave(client, position);
		const again = await durable("ann", nodes[1], "phone");
		expect(again.reply).toMatchObject({ position, recovered: true });
		await again.client.nothingElse();
	});
});

describe("received", () => {
	async function withThree(): Promise<{ cluster: Cluster<Contract>; positions: readonly string[]; client: Client }> {
		const cluster = await twoNodes({ durable: { intervalMs: 3_600_000 } });
		const [node] = cluster.nodes;
		await away("ann", node, "phone");
		const inbox = node.server.user("ann");
		const positions = [await inbox.publish(1), await inbox.publish(2), await inbox.publish(3)];
		const { client } = await durable("ann", node, "phone");
		await take(client, 3);
		return { cluster, positions, client };
	}

	it.each([
		["an older position", (two: string) => at(two, 1)],
		["the same again", (two: string) => two],
		["S42: an offset that was never sent", (two: string) => at(two, 4)],
		["S42: an offset far beyond the head", (two: string) => at(two, Number.MAX_SAFE_INTEGER)],
		["another epoch", () => "elsewhere:3"],
	])("of %s is ignored, without a word", async (_, then) => {
		const { cluster, positions, client } = await withThree();
		const two = positions[1]!;
		// The first is written at once, the second waits for its interval.
		client.send({ action: "received", channel: "@user", position: at(two, 1) });
		client.send({ action: "received", channel: "@user", position: two });
		client.send({ action: "received", channel: "@user", position: then(two) });
		await client.nothingElse();
		// Whatever was noted is written when its node stops.
		await cluster.nodes[0].server.close();
		expect((await durable("ann", cluster.nodes[1], "phone")).reply).toMatchObject({ position: two, recovered: true });
	});

	it("is known to its node before it is written", async () => {
		const { cluster, positions, client } = await withThree();
		client.send({ action: "received", channel: "@user", position: positions[0] });
		await leave(client, positions[2]);
		expect((await durable("ann", cluster.nodes[0], "phone")).reply).toMatchObject({ position: positions[2] });
		// At another node the consumer gets again what is not written yet.
		expect((await durable("ann", cluster.nodes[1], "phone")).reply).toMatchObject({ position: positions[0] });
	});

	it("of a channel that is not subscribed to is ignored: the server may have ended it a moment before", async () => {
		const { nodes } = await twoNodes();
		const client = await as("ann", nodes[0]);
		client.send({ action: "received", channel: "@user", position: "e:1" });
		await client.nothingElse();
	});

	it("of a subscription that is not durable is a mistake, and says so", async () => {
		const { nodes } = await twoNodes();
		const client = await as("ann", nodes[0]);
		const { position } = await client.ask({ action: "subscribe", channel: "@user" });
		client.send({ action: "received", channel: "@user", position });
		expect(await client.next()).toMatchObject({ error: { code: "bad_request" } });
	});

	it("is a consumer's, not a connection's: two of one name on two nodes never move it back", async () => {
		const { nodes } = await twoNodes();
		await away("ann", nodes[0], "phone");
		const inbox = nodes[0].server.user("ann");
		const [left, right] = [await durable("ann", nodes[0], "phone"), await durable("ann", nodes[1], "phone")];
		const one = await inbox.publish(1);
		const two = await inbox.publish(2);
		for (const { client } of [left, right]) {
			await take(client, 2);
		}
		await leave(right.client, two);
		await leave(left.client, one);
		expect((await durable("ann", nodes[0], "phone")).reply).toMatchObject({ position: two, recovered: true });
	});

	it("S42: a flood costs the broker a write for each interval, and the newest counts", async () => {
		const cluster = createMemoryCluster();
		afterwards(() => cluster.close());
		const writes: string[] = [];
		const broker = withRecords(cluster.node(), (records) => ({
			replace: (key, ...rest) => {
				writes.push(key);
				return records.replace(key, ...rest);
			},
		}));
		const server = createServer(undefined, {
			authenticate: () => ({ id: "ann" }),
			broker,
			durable: { intervalMs: 3_600_000 },
			log: SILENT,
		});
		const node = await run(server);
		const { client } = await durable("ann", node, "phone");
		let position = "";
		for (let count = 0; count < 1_000; count++) {
			position = await server.user("ann").publish(count);
		}
		await take(client, 1_000);
		for (let offset = 1; offset <= 1_000; offset++) {
			client.send({ action: "received", channel: "@user", position: at(position, offset) });
			client.send({ action: "received", channel: "@user", position: at(position, 1) });
		}
		await client.ask({ action: "ping" });
		expect(writes).toHaveLength(1);
		await server.close();
		expect(writes).toHaveLength(2);
		const other = await run(
			createServer(undefined, { authenticate: () => ({ id: "ann" }), broker: cluster.node(), log: SILENT }),
		);
		expect((await durable("ann", other, "phone")).reply).toMatchObject({ position, recovered: true });
	});
});

describe("a consumer", () => {
	it("is forgotten when it has not come back for its time, and then begins anew", async () => {
		const cluster = await twoNodes();
		const [node] = cluster.nodes;
		await away("ann", node, "phone");
		cluster.pass(31 * DAY_MS);
		await node.server.user("ann").publish("late");
		const { client, reply } = await durable("ann", node, "phone");
		expect(reply).not.toHaveProperty("recovered");
		await client.nothingElse();
	});

	it("has its time anew with each use", async () => {
		const cluster = await twoNodes();
		const [node] = cluster.nodes;
		for (let months = 0; months < 2; months++) {
			await away("ann", node, "phone");
			cluster.pass(29 * DAY_MS);
		}
		expect((await durable("ann", node, "phone")).reply).toHaveProperty("recovered");
	});

	it("is one user's: another's of the same name is another, and shows nothing of it", async () => {
		const { nodes } = await twoNodes({ may: { subscribe: { "*": true } } });
		await away("ann", nodes[0], "phone", { channel: "news" });
		const position = await nodes[0].server.channel("news").publish("extra");
		const bob = await durable("bob", nodes[0], "phone", { channel: "news" });
		expect(bob.reply).toMatchObject({ position });
		await leave(bob.client, position, "news");
		expect(await take((await durable("ann", nodes[0], "phone", { channel: "news" })).client, 1)).toEqual(["extra"]);
	});

	it.each([
		["a user and a name that would run together", ["a", "b:c"], ["a:b", "c"]],
		["NFC twins", ["ann", "\u00e9"], ["ann", "e\u0301"]],
		["a name like a part of a key", ["ann", "durable:"], ["ann", ""]],
		["names that only quotes tell apart", ["ann", '","'], ["ann", '"']],
	] as const)("is told from others by all of its name: %s", async (_, [user, name], [otherUser, otherName]) => {
		const { nodes } = await twoNodes();
		await away(user, nodes[0], name);
		const other = otherName === "" ? "durable" : otherName;
		expect((await durable(otherUser, nodes[0], other)).reply).not.toHaveProperty("recovered");
		expect((await durable(user, nodes[0], name)).reply).toHaveProperty("recovered");
	});

	it("S42: has a name of 200 bytes at most", async () => {
		const { nodes } = await twoNodes();
		expect((await durable("ann", nodes[0], "é".repeat(100))).reply).toHaveProperty("position");
		expect((await durable("ann", nodes[0], "é".repeat(101))).reply).toMatchObject({ error: { code: "bad_request" } });
		expect((await durable("ann", nodes[0], "")).reply).toMatchObject({ error: { code: "bad_request" } });
	});

	it("S42: is one of a bounded number: a flood of names is refused, and hurts nobody else", async () => {
		const { nodes, broker } = await twoNodes({ may: { subscribe: { "*": true } }, durable: { maxPerUser: 3 } });
		await away("ann", nodes[0], "phone");
		const client = await as("ann", nodes[0]);
		const names = Array.from({ length: 100 }, (_, index) => [`news:${index}`, null]);
		const { channels } = await client.ask({
			action: "subscribe",
			channels: Object.fromEntries(names),
			durable: "flood",
		});
		const rows = channels as readonly Message[];
		expect(rows.filter((row) => "position" in row)).toHaveLength(2);
		expect(rows.filter((row) => (row.error as Message | undefined)?.code === "limit_reached")).toHaveLength(98);
		expect(await broker().records.list("durable:", { limit: 1_000 })).toHaveLength(3);
		expect((await durable("ann", nodes[1], "another")).reply).toMatchObject({ error: { code: "limit_reached" } });
		expect((await durable("ann", nodes[0], "phone")).reply).toMatchObject({ recovered: true });
		expect((await durable("bob", nodes[0], "phone")).reply).toHaveProperty("position");
		// What was refused is not subscribed to either.
		const last = await client.ask({ action: "subscribe", channel: "news:99" });
		expect(last).toMatchObject({ position: expect.any(String) });
		expect(last).not.toHaveProperty("already");
	});

	it("is made once where two of its connections come at the same moment, and both get everything", async () => {
		const cluster = createMemoryCluster();
		afterwards(() => cluster.close());
		const both = Promise.withResolvers<void>();
		let asked = 0;
		const broker = withRecords(cluster.node(), (records) => ({
			// Neither is told before both have asked.
			get: async (key) => {
				const record = await records.get(key);
				if (++asked === 2) {
					both.resolve();
				}
				await both.promise;
				return record;
			},
		}));
		const node = await run(createServer(undefined, { authenticate: () => ({ id: "ann" }), broker, log: SILENT }));
		const subscribed = await Promise.all([durable("ann", node, "phone"), durable("ann", node, "phone")]);
		expect(asked).toBeGreaterThan(2);
		expect(await cluster.node().records.list("durable:", { limit: 10 })).toHaveLength(1);
		await node.server.user("ann").publish("to both");
		for (const { client, reply } of subscribed) {
			expect(reply).toHaveProperty("position");
			expect(await take(client, 1)).toEqual(["to both"]);
		}
	});
});

describe("refused", () => {
	it("nobody has no consumers, and neither has the holder of the API key", async () => {
		const anonymous = await open({ apiKey: API_KEY, may: { subscribe: { "*": true } } });
		for (const options of [{}, { headers: { authorization: `Bearer ${API_KEY}` } }]) {
			const client = await enveloped(`${anonymous.url}/connect`, options);
			expect(await client.ask({ action: "subscribe", channel: "a", durable: "phone" })).toMatchObject({
				error: { code: "unauthenticated" },
			});
		}
	});

	it("a plain client, whose messages have no offsets", async () => {
		const { nodes } = await twoNodes();
		const client = await plain(`${nodes[0].url}/connect`, { headers: { authorization: "Bearer ann" } });
		expect(await client.ask({ action: "subscribe", channel: "@user", durable: "phone" })).toMatchObject({
			error: { code: "bad_request" },
		});
	});

	it("another policy than catch-up, asked for or declared; and state channels", async () => {
		const declared = contract({
			channels: { ticker: channel({ slow: "conflate" }), score: channel({ state: true }) },
		}) as unknown as Contract;
		const { nodes } = await twoNodes({ may: { subscribe: { ticker: true, score: true } } as never }, declared);
		const [node] = nodes;
		const code = async (more: Message): Promise<unknown> =>
			((await durable("ann", node, "phone", more)).reply.error as Message | undefined)?.code;
		expect(await code({ policy: "skip" })).toBe("bad_request");
		expect(await code({ channel: "score" })).toBe("bad_request");
		expect(await code({ channel: "ticker" })).toBe("forbidden");
		expect(await code({ policy: "catch-up" })).toBeUndefined();
	});

	it("a channel that the connection holds otherwise; as the same consumer it is already held", async () => {
		const { nodes } = await twoNodes();
		const { client } = await durable("ann", nodes[0], "phone");
		const ask = (durable: string): Promise<Message> => client.ask({ action: "subscribe", channel: "@user", durable });
		expect(await ask("phone")).toMatchObject({ already: true });
		expect(await ask("laptop")).toMatchObject({ error: { code: "bad_request" } });
		await client.ask({ action: "unsubscribe", channel: "@user" });
		await client.ask({ action: "subscribe", channel: "@user" });
		expect(await ask("phone")).toMatchObject({ error: { code: "bad_request" } });
	});
});
