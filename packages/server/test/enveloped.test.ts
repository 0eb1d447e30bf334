import { createMemoryBroker } from "@tidewire/broker";
import { channel, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createServer } from "../src/server.ts";
import { Client, enveloped, JSON_PROTOCOL, MSGPACK_PROTOCOL, OPEN, open, run } from "./client.ts";

describe("the greeting", () => {
	it("is the first message, and says what the client has to know", async () => {
		const { url } = await open({ ...OPEN, node: "n1" });
		const client = await new Client(`${url}/connect`, JSON_PROTOCOL).opened();
		expect(client.socket.protocol).toBe(JSON_PROTOCOL);
		const { hello } = (await client.next()) as { hello: Record<string, unknown> };
		expect(hello).toEqual({
			version: 1,
			session: expect.any(String),
			resume: expect.stringMatching(/^.{22,}$/),
			heartbeat: 30,
			window: 300,
			durability: "memory",
			node: "n1",
		});
	});

	it("is in the first subprotocol that the client offers and we know", async () => {
		const { url } = await open();
		const client = await new Client(`${url}/connect`, ["mqtt", MSGPACK_PROTOCOL, JSON_PROTOCOL]).opened();
		expect(client.socket.protocol).toBe(MSGPACK_PROTOCOL);
		expect(await client.next()).toHaveProperty("hello");
	});

	it("gives each session a name and a token of its own", async () => {
		const { url } = await open();
		const hellos = await Promise.all(
			Array.from({ length: 20 }, async () => {
				const client = await new Client(`${url}/connect`, JSON_PROTOCOL).opened();
				return ((await client.next()) as { hello: { session: string; resume: string } }).hello;
			}),
		);
		expect(new Set(hellos.flatMap(({ session, resume }) => [session, resume])).size).toBe(40);
	});
});

describe("subscribe", () => {
	it("answers before the channel's messages, which count from there without a hole", async () => {
		const { url, server } = await open();
		await server.channel("a").publish(0);
		const client = await enveloped(`${url}/connect`);
		client.send({ id: 1, action: "subscribe", channel: "a" });
		const reply = await client.next();
		expect(reply).toEqual({ ack: 1, channel: "a", position: expect.stringMatching(/:1$/) });
		for (const value of [1, 2, 3]) {
			await server.channel("a").publish(value);
		}
		expect([await client.next(), await client.next(), await client.next()]).toEqual([
			{ channel: "a", offset: 2, data: 1 },
			{ channel: "a", offset: 3, data: 2 },
			{ channel: "a", offset: 4, data: 3 },
		]);
	});

	it("since a position: recovered, and everything after it", async () => {
		const { url, server } = await open();
		const position = await server.channel("a").publish(1);
		await server.channel("a").publish(2);
		const client = await enveloped(`${url}/connect`);
		client.send({ id: 1, action: "subscribe", channel: "a", since: position });
		expect(await client.next()).toEqual({ ack: 1, channel: "a", position, recovered: true });
		expect(await client.next()).toEqual({ channel: "a", offset: 2, data: 2 });
	});

	it.each([
		["another epoch", "other:1"],
		["beyond the head", undefined],
	])("since %s: not recovered, from the head, or from where rewind says", async (_, since) => {
		const { url, server } = await open();
		await server.channel("a").publish(1);
		const head = await server.channel("a").publish(2);
		const asked = since ?? head.replace(":2", ":9");
		const client = await enveloped(`${url}/connect`);
		expect(await client.ask({ action: "subscribe", channel: "a", since: asked })).toMatchObject({
			position: head,
			recovered: false,
		});
		await client.ask({ action: "unsubscribe", channel: "a" });
		expect(await client.ask({ action: "subscribe", channel: "a", since: asked, rewind: 1 })).toMatchObject({
			position: head.replace(":2", ":1"),
			recovered: false,
		});
		expect(await client.next()).toMatchObject({ offset: 2 });
	});

	it.each([
		[1, [3]],
		[0, []],
		[100, [1, 2, 3]],
		["10m", [1, 2, 3]],
	])("rewind %j", async (rewind, expected) => {
		const { url, server } = await open();
		for (const value of [1, 2, 3]) {
			await server.channel("a").publish(value);
		}
		const client = await enveloped(`${url}/connect`);
		const reply = await client.ask({ action: "subscribe", channel: "a", rewind });
		expect(reply).not.toHaveProperty("recovered");
		for (const data of expected) {
			expect(await client.next()).toMatchObject({ data });
		}
		await client.nothingElse();
	});

	it("a channel already held: its position, and no message twice", async () => {
		const { url, server } = await open();
		const client = await enveloped(`${url}/connect`);
		await client.ask({ action: "subscribe", channel: "a" });
		const position = await server.channel("a").publish(1);
		expect(await client.next()).toMatchObject({ data: 1 });
		expect(await client.ask({ action: "subscribe", channel: "a" })).toEqual({
			ack: expect.anything(),
			channel: "a",
			position,
			already: true,
		});
		await server.channel("a").publish(2);
		expect(await client.next()).toMatchObject({ data: 2 });
		await client.nothingElse();
	});

	it("several channels: a row for each, and one that is refused does not undo the others", async () => {
		const { url, server } = await open();
		const position = await server.channel("a").publish(1);
		await server.channel("a").publish(2);
		const client = await enveloped(`${url}/connect`);
		const { channels } = await client.ask({ action: "subscribe", channels: { a: position, b: null, "@user": null } });
		expect(channels).toEqual([
			{ channel: "a", position, recovered: true },
			{ channel: "b", position: expect.stringMatching(/:0$/) },
			{ channel: "@user", error: expect.objectContaining({ code: "unauthenticated" }) },
		]);
		expect(await client.next()).toMatchObject({ channel: "a", data: 2 });
	});

	it("several channels, one of which takes its time: nothing comes before the reply", async () => {
		const { promise, resolve } = Promise.withResolvers<boolean>();
		const { url, server } = await run(
			createServer(contract({ channels: { quick: channel(), slow: channel() } }), {
				may: { subscribe: { quick: true, slow: () => promise } },
			}),
		);
		const position = await server.channel("quick").publish(1);
		await server.channel("quick").publish(2);
		const client = await enveloped(`${url}/connect`);
		client.send({ id: 1, action: "subscribe", channels: { quick: position, slow: null } });
		// Answered at once, so the subscription to "quick" has been made by then.
		client.send({ id: 2, action: "ping" });
		expect(await client.next()).toEqual({ ack: 2 });
		await server.channel("quick").publish(3);
		client.send({ id: 3, action: "ping" });
		expect(await client.next()).toEqual({ ack: 3 });
		resolve(true);
		expect(await client.next()).toMatchObject({ ack: 1, channels: [{ position }, { channel: "slow" }] });
		expect([await client.next(), await client.next()]).toMatchObject([{ data: 2 }, { data: 3 }]);
	});

	it("S38: more subscriptions than a connection may hold are refused", async () => {
		const { url } = await open({ ...OPEN, limits: { maxSubscriptions: 3 } });
		const client = await enveloped(`${url}/connect`);
		const { channels } = await client.ask({
			action: "subscribe",
			channels: { a: null, b: null, c: null, d: null, e: null },
		});
		const codes = (channels as { error?: { code: string } }[]).map(({ error }) => error?.code);
		expect(codes).toEqual([undefined, undefined, undefined, "limit_reached", "limit_reached"]);
		await client.ask({ action: "unsubscribe", channel: "a" });
		expect(await client.ask({ action: "subscribe", channel: "f" })).not.toHaveProperty("error");
	});

	it("is told of a reset when the channel's epoch changes, and goes on; a plain client is closed with 1012", async () => {
		const broker = createMemoryBroker();
		const { url, server } = await open({ ...OPEN, broker });
		const client = await enveloped(`${url}/connect`);
		const bare = await new Client(`${url}/connect?channel=a`).opened();
		await server.channel("a").publish(1);
		await client.ask({ action: "subscribe", channel: "a" });
		broker.forget("a");
		const position = await server.channel("a").publish(2);
		expect(await client.next()).toEqual({ channel: "a", event: "reset", position: position.replace(/\d+$/, "0") });
		expect(await client.next()).toEqual({ channel: "a", offset: 1, data: 2 });
		expect(await bare.closed).toMatchObject({ code: 1012 });
	});
});

describe("unsubscribe", () => {
	it("is followed by nothing of the channel, and is no error where there is no subscription", async () => {
		const { url, server } = await open();
		const client = await enveloped(`${url}/connect`);
		await client.ask({ action: "subscribe", channel: "a" });
		for (let value = 0; value < 50; value++) {
			void server.channel("a").publish(value);
		}
		client.send({ id: "u", action: "unsubscribe", channel: "a" });
		while ((await client.next()).ack !== "u") {}
		await server.channel("a").publish("late");
		await client.nothingElse();
		expect(await client.ask({ action: "unsubscribe", channel: "a" })).not.toHaveProperty("error");
	});
});

describe("publish", () => {
	it("answers with the position; subscribers get what was attached", async () => {
		const { url } = await open();
		const [ann, bob] = [await enveloped(`${url}/connect`), await enveloped(`${url}/connect`)];
		await bob.ask({ action: "subscribe", channel: "a" });
		const reply = await ann.ask({ action: "publish", channel: "a", data: { x: 1 }, name: "moved", key: "k" });
		expect(reply).toEqual({ ack: expect.anything(), position: expect.stringMatching(/:1$/) });
		expect(await bob.next()).toEqual({ channel: "a", offset: 1, name: "moved", key: "k", data: { x: 1 } });
	});

	it("without an id gets no answer, unless it fails", async () => {
		const { url } = await open();
		const client = await enveloped(`${url}/connect`);
		client.send({ action: "publish", channel: "a", data: 1 });
		await client.nothingElse();
		client.send({ action: "publish", channel: "$x", data: 1 });
		expect(await client.next()).toMatchObject({ error: { code: "not_found" } });
	});

	it("keeps the order in which one client published, of a thousand in one go", async () => {
		const { url } = await open();
		const [ann, bob] = [await enveloped(`${url}/connect`), await enveloped(`${url}/connect`)];
		await bob.ask({ action: "subscribe", channel: "a" });
		for (let value = 0; value < 1_000; value++) {
			ann.send({ action: "publish", channel: "a", data: value });
		}
		for (let value = 0; value < 1_000; value++) {
			expect(await bob.next()).toEqual({ channel: "a", offset: value + 1, data: value });
		}
	});

	it("echo:false and exclude: a gap of the own, which is no loss", async () => {
		const { url } = await open();
		const greeted = await new Client(`${url}/connect`, JSON_PROTOCOL).opened();
		const { session } = ((await greeted.next()) as { hello: { session: string } }).hello;
		const bob = await enveloped(`${url}/connect`);
		await greeted.ask({ action: "subscribe", channel: "a" });
		await bob.ask({ action: "subscribe", channel: "a" });
		greeted.send({ action: "publish", channel: "a", data: 1, echo: false });
		expect(await greeted.next()).toEqual({ channel: "a", event: "gap", from: 1, to: 1, reason: "own" });
		expect(await bob.next()).toMatchObject({ offset: 1, data: 1 });
		bob.send({ action: "publish", channel: "a", data: 2, exclude: session });
		expect(await greeted.next()).toEqual({ channel: "a", event: "gap", from: 2, to: 2, reason: "own" });
		expect(await bob.next()).toMatchObject({ offset: 2, data: 2 });
	});

	it("ttl: what is over when it would be read is a gap, expired", async () => {
		let nowMs = 1_000_000;
		const { url } = await open({ ...OPEN, nowMs: () => nowMs });
		const client = await enveloped(`${url}/connect`);
		const { position } = await client.ask({ action: "publish", channel: "a", data: 1, ttl: 5 });
		await client.ask({ action: "publish", channel: "a", data: 2 });
		nowMs += 6_000;
		const since = String(position).replace(":1", ":0");
		expect(await client.ask({ action: "subscribe", channel: "a", since })).toMatchObject({ recovered: true });
		expect(await client.next()).toEqual({ channel: "a", event: "gap", from: 1, to: 1, reason: "expired" });
		expect(await client.next()).toEqual({ channel: "a", offset: 2, data: 2 });
	});

	it("if: only while the channel is there, else conflict with where it is", async () => {
		const { url } = await open();
		const client = await enveloped(`${url}/connect`);
		const { position: first } = await client.ask({ action: "publish", channel: "a", data: 1 });
		const { position: second } = await client.ask({ action: "publish", channel: "a", data: 2, if: first });
		expect(await client.ask({ action: "publish", channel: "a", data: 3, if: first })).toMatchObject({
			error: { code: "conflict", position: second },
		});
	});

	it("I2: the same id twice makes one message, and gets the same answer", async () => {
		const { url } = await open();
		const client = await enveloped(`${url}/connect`);
		await client.ask({ action: "subscribe", channel: "a" });
		client.send({ id: "p", action: "publish", channel: "a", data: 1 });
		client.send({ id: "p", action: "publish", channel: "a", data: 1 });
		const all = [await client.next(), await client.next(), await client.next()];
		const acks = all.filter(({ ack }) => ack === "p");
		expect(acks[0]).toEqual(acks[1]);
		expect(all.filter(({ data }) => data === 1)).toHaveLength(1);
		await client.nothingElse();
		// Another channel, another deed; 1 and "1" differ.
		expect(await client.ask({ id: "p", action: "publish", channel: "b", data: 1 })).toMatchObject({
			position: expect.stringMatching(/:1$/),
		});
	});

	it("takes binary data in base64, and gives it back so", async () => {
		const { url } = await open();
		const client = await enveloped(`${url}/connect`);
		await client.ask({ action: "subscribe", channel: "a" });
		client.send({ action: "publish", channel: "a", data: "AQID", encoding: "base64" });
		expect(await client.next()).toEqual({ channel: "a", offset: 1, data: "AQID", encoding: "base64" });
	});

	it("gives what the schema makes of the data, and the publisher's own text where it changes nothing", async () => {
		const { url } = await run(
			createServer(
				contract({
					channels: {
						same: channel({ data: z.object({ n: z.number() }) }),
						changed: channel({ data: z.object({ n: z.coerce.number() }) }),
					},
				}),
				{ may: { subscribe: { same: true, changed: true }, publish: { same: true, changed: true } } },
			),
		);
		const client = await enveloped(`${url}/connect`);
		const bare = await new Client(`${url}/connect?channel=same&channel=changed`).opened();
		client.send('{"action":"publish","channel":"same","data":{"n": 1.0}}');
		expect(await bare.frame()).toBe('{"n": 1.0}');
		client.send('{"action":"publish","channel":"changed","data":{"n": "2"}}');
		expect(await bare.frame()).toBe('{"n":2}');
		expect(await client.ask({ action: "publish", channel: "same", data: { n: "x" } })).toMatchObject({
			error: { code: "invalid_data", issues: [{ path: ["n"] }] },
		});
	});

	it("too_large for the channel's own limit, and the connection stays", async () => {
		const { url } = await run(
			createServer(contract({ channels: { small: channel({ maxMessageBytes: 10 }) } }), {
				may: { publish: { small: true } },
			}),
		);
		const client = await enveloped(`${url}/connect`);
		expect(await client.ask({ action: "publish", channel: "small", data: "123456789" })).toMatchObject({
			error: { code: "too_large" },
		});
		expect(await client.ask({ action: "publish", channel: "small", data: "12345678" })).toHaveProperty("position");
	});
});

describe("history", () => {
	it("a page, oldest first or newest first, each message without its channel, and where to go on", async () => {
		const { url, server } = await open();
		for (const value of [1, 2, 3, 4, 5]) {
			await server.channel("a").publish(value);
		}
		const client = await enveloped(`${url}/connect`);
		const first = await client.ask({ action: "history", channel: "a", limit: 2 });
		expect(first.messages).toEqual([
			{ offset: 1, data: 1 },
			{ offset: 2, data: 2 },
		]);
		const second = await client.ask({ action: "history", channel: "a", limit: 2, since: first.position });
		expect(second.messages).toEqual([
			{ offset: 3, data: 3 },
			{ offset: 4, data: 4 },
		]);
		const newest = await client.ask({ action: "history", channel: "a", limit: 2, reverse: true });
		expect((newest.messages as { data: number }[]).map(({ data }) => data)).toEqual([5, 4]);
		const older = await client.ask({ action: "history", channel: "a", reverse: true, since: newest.position });
		expect((older.messages as { data: number }[]).map(({ data }) => data)).toEqual([3, 2, 1]);
	});

	it("S41: pages are bounded, whatever is asked for", async () => {
		const { url, server } = await open({ ...OPEN, limits: { maxHistoryPage: 3 } });
		for (let value = 0; value < 10; value++) {
			await server.channel("a").publish(value);
		}
		const client = await enveloped(`${url}/connect`);
		const { messages } = await client.ask({ action: "history", channel: "a", limit: 1_000_000_000 });
		expect(messages).toHaveLength(3);
	});

	it("of another epoch is a conflict, with where the channel is", async () => {
		const { url, server } = await open();
		const position = await server.channel("a").publish(1);
		const client = await enveloped(`${url}/connect`);
		expect(await client.ask({ action: "history", channel: "a", since: "other:0" })).toMatchObject({
			error: { code: "conflict", position },
		});
	});
});

describe("MessagePack beside JSON in one channel", () => {
	it("the same messages, each in its own words", async () => {
		const { msgpackClient } = await import("@tidewire/protocol/msgpack");
		const { url } = await open();
		const packed = await new Client(`${url}/connect`, MSGPACK_PROTOCOL).opened();
		await packed.next();
		const json = await enveloped(`${url}/connect`);
		packed.send(
			msgpackClient.encode({
				type: "subscribe",
				id: 1,
				targets: [{ channel: "a", since: null }],
				many: false,
			}) as Uint8Array,
		);
		expect(await packed.next()).toMatchObject({ ack: 1, channel: "a" });
		await json.ask({ action: "subscribe", channel: "a" });

		json.send('{"action":"publish","channel":"a","data":{"p":1.0,"2":0,"1":[null,"é"]}}');
		expect(await packed.next()).toEqual({ channel: "a", offset: 1, data: { p: 1, 2: 0, 1: [null, "é"] } });
		expect(await json.frame()).toBe('{"channel":"a","offset":1,"data":{"p":1.0,"2":0,"1":[null,"é"]}}');

		packed.send(msgpackClient.encode({ type: "publish", channel: "a", data: new Uint8Array([1, 2, 3]) }) as Uint8Array);
		expect(await json.next()).toEqual({ channel: "a", offset: 2, data: "AQID", encoding: "base64" });
		expect(await packed.next()).toMatchObject({ offset: 2, data: new Uint8Array([1, 2, 3]) });
	});
});
