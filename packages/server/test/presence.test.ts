import { channel, contract } from "@tidewire/contract";
import { msgpackClient } from "@tidewire/protocol/msgpack";
import { describe, expect, it } from "vitest";
import type { ServerOptions } from "../src/options.ts";
import { createServer } from "../src/server.ts";
import { Client, enveloped, JSON_PROTOCOL, MSGPACK_PROTOCOL, OPEN, open, plain, run } from "./client.ts";
import { as, twoNodes } from "./cluster.ts";

/** The servers' clock goes on by itself, since watchers are told at intervals; that of their records stands. */
const MAY: ServerOptions = { ...OPEN, nowMs: Date.now };

const enter = (client: Client, more: object = {}) =>
	client.ask({ action: "subscribe", channel: "chat:lobby", presence: true, ...more });

/** A client with the names that its hello gave it. */
async function arrive(
	{ url }: { readonly url: string },
	id?: string,
	protocol = JSON_PROTOCOL,
): Promise<{ readonly client: Client; readonly session: string; readonly resume: string }> {
	const headers = id === undefined ? {} : { authorization: `Bearer ${id}` };
	const client = await new Client(`${url}/connect`, protocol, { headers }).opened();
	const { hello } = (await client.next()) as { readonly hello: { readonly session: string; readonly resume: string } };
	return { client, ...hello };
}

describe("presence over the wire (B6)", () => {
	it("who enters is told to the others, and in the list, on both nodes", async () => {
		const { nodes } = await twoNodes(MAY);
		const { client: ann, session: annsSession } = await arrive(nodes[0], "ann");
		const { client: bob, session: bobsSession } = await arrive(nodes[1], "bob");
		expect(await enter(ann)).toMatchObject({ channel: "chat:lobby", position: expect.any(String) });
		await enter(bob, { presence: { data: { mood: "fine" } } });
		const joined = { id: bobsSession, user: "bob", data: { mood: "fine" }, since: expect.any(Number) };
		expect(await ann.next()).toEqual({ channel: "chat:lobby", event: "join", member: joined });
		const { members, count, users, more } = await bob.ask({ action: "presence", channel: "chat:lobby" });
		expect(members).toHaveLength(2);
		expect(members).toEqual(
			expect.arrayContaining([joined, { id: annsSession, user: "ann", since: expect.any(Number) }]),
		);
		expect({ count, users, more }).toEqual({ count: 2, users: 2, more: undefined });
		const listing = await nodes[0].server.channel("chat:lobby").presence();
		expect(listing).toMatchObject({ count: 2, users: 2, more: false });
		expect(listing.members.find(({ user }) => user === "bob")?.data).toEqual({ mood: "fine" });
	});

	it("an update is told, and is in the reply to whoever made it", async () => {
		const { url } = await open();
		const one = await enveloped(`${url}/connect`);
		await enter(one);
		const { client: two, session } = await arrive({ url });
		await enter(two);
		await one.next();
		const reply = await two.ask({ action: "presence", channel: "chat:lobby", data: { typing: true } });
		expect(reply.members).toContainEqual(expect.objectContaining({ id: session, data: { typing: true } }));
		expect(await one.next()).toMatchObject({ event: "update", member: { id: session, data: { typing: true } } });
	});

	it("unsubscribing leaves at once, and so does a goodbye; nothing of the channel follows the reply", async () => {
		const { url } = await open();
		const [one, two, three] = [
			await enveloped(`${url}/connect`),
			await enveloped(`${url}/connect`),
			(await arrive({ url }, undefined, MSGPACK_PROTOCOL)).client,
		];
		await enter(one);
		await enter(two);
		const presence = { enter: true, watch: true, data: { packed: 1 } };
		const targets = [{ channel: "chat:lobby", since: null }];
		three.send(msgpackClient.encode({ type: "subscribe", id: 1, targets, many: false, presence }) as Uint8Array);
		expect(await three.next()).toMatchObject({ ack: 1 });
		expect([(await one.next()).event, (await one.next()).event]).toEqual(["join", "join"]);
		await two.ask({ action: "unsubscribe", channel: "chat:lobby" });
		expect(await one.next()).toMatchObject({ event: "leave" });
		three.socket.close(1000);
		expect(await one.next()).toMatchObject({ event: "leave" });
		await two.nothingElse();
		expect(await one.ask({ action: "presence", channel: "chat:lobby" })).toMatchObject({ count: 1 });
	});

	it("enter and watch are chosen apart; both can be ended without unsubscribing", async () => {
		const { url } = await open();
		const [watcher, other] = [await enveloped(`${url}/connect`), await enveloped(`${url}/connect`)];
		await enter(watcher, { presence: { enter: false } });
		await enter(other, { presence: { watch: false } });
		expect(await watcher.next()).toMatchObject({ event: "join" });
		expect(await watcher.ask({ action: "presence", channel: "chat:lobby", data: 1 })).toMatchObject({
			error: { code: "conflict" },
		});
		expect(await enter(other, { presence: { enter: false, watch: false } })).toMatchObject({ already: true });
		expect(await watcher.next()).toMatchObject({ event: "leave" });
	});

	it("whoever may subscribe may see, unless the permission for presence says otherwise", async () => {
		const { url } = await open({
			authenticate: ({ token }) => (token === undefined ? { id: "guest" } : { id: token }),
			may: { subscribe: { "*": true }, presence: { "*": ({ user }) => user?.id === "ann" } },
		});
		const guest = await enveloped(`${url}/connect`);
		expect(await enter(guest)).toMatchObject({ error: { code: "forbidden" } });
		expect(await guest.ask({ action: "presence", channel: "chat:lobby" })).toMatchObject({
			error: { code: "forbidden" },
		});
		// The refusal of one is the refusal of both.
		expect(await guest.ask({ action: "subscribe", channel: "chat:lobby" })).not.toHaveProperty("already");
		const ann = await as("ann", { url });
		expect(await enter(ann)).toMatchObject({ channel: "chat:lobby" });
	});

	it("data is bounded, and fits the contract's schema; a full channel refuses", async () => {
		const declared = contract({
			channels: { "chat:{room}": channel({ presence: { maxMembers: 1 } }) },
		});
		const { url } = await run(createServer(declared, { may: { subscribe: { "chat:{room}": true } } }));
		const [one, two] = [await enveloped(`${url}/connect`), await enveloped(`${url}/connect`)];
		expect(await enter(one, { presence: { data: "x".repeat(1_023) } })).toMatchObject({ error: { code: "too_large" } });
		expect(await enter(one, { presence: { data: "x".repeat(1_022) } })).toMatchObject({ channel: "chat:lobby" });
		expect(await enter(two)).toMatchObject({ error: { code: "limit_reached" } });
		expect(await two.ask({ action: "subscribe", channel: "chat:lobby" })).not.toHaveProperty("already");
	});

	it("data nested a hundred thousand deep is refused, and harms nobody", async () => {
		const { url } = await open();
		const client = await enveloped(`${url}/connect`);
		const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
		client.send(`{"id":1,"action":"subscribe","channel":"chat:lobby","presence":{"data":${deep}}}`);
		for (;;) {
			const reply = await client.next();
			if ("hello" in reply) {
				continue;
			}
			expect(reply.error).toBeDefined();
			break;
		}
		expect(await client.ask({ action: "ping" })).toBeDefined();
	});

	it("the list comes in pages", async () => {
		const { url } = await open();
		const clients = await Promise.all([1, 2, 3].map(() => enveloped(`${url}/connect`)));
		for (const client of clients) {
			await enter(client, { presence: { watch: false } });
		}
		const [client] = clients as [Client];
		const first = await client.ask({ action: "presence", channel: "chat:lobby", limit: 2 });
		expect(first).toMatchObject({ count: 3, more: true });
		const after = (first.members as { readonly id: string }[]).at(-1)!.id;
		const second = await client.ask({ action: "presence", channel: "chat:lobby", after });
		expect(second.members).toHaveLength(1);
		expect(second).not.toHaveProperty("more");
	});

	it("a user's own channel has a presence, too: which devices are on", async () => {
		const { nodes } = await twoNodes(MAY);
		const [phone, desk] = [await as("ann", nodes[0]), await as("ann", nodes[1])];
		await phone.ask({ action: "subscribe", channel: "@user", presence: { data: "phone" } });
		await desk.ask({ action: "subscribe", channel: "@user", presence: { data: "desk" } });
		expect(await phone.next()).toMatchObject({ channel: "@user", event: "join", member: { data: "desk" } });
		expect(await nodes[0].server.user("ann").presence()).toMatchObject({ count: 2, users: 1 });
		expect(await nodes[0].server.user("bob").presence()).toMatchObject({ count: 0 });
	});
});

describe("a session that comes back (C5)", () => {
	it.each([0, 1] as const)("to node %i with its token is the same member, and nobody saw it leave", async (back) => {
		const { nodes } = await twoNodes(MAY);
		const watcher = await as("ann", nodes[1]);
		await enter(watcher, { presence: { enter: false } });
		const { client: bob, ...hello } = await arrive(nodes[0], "bob");
		await enter(bob);
		expect(await watcher.next()).toMatchObject({ event: "join", member: { id: hello.session } });
		bob.socket.terminate();
		const again = await as("bob", nodes[back]);
		expect(await again.ask({ action: "resume", token: hello.resume })).toMatchObject({ resumed: true });
		await enter(again);
		expect(await again.ask({ action: "presence", channel: "chat:lobby" })).toMatchObject({
			members: [{ id: hello.session, user: "bob" }],
		});
		again.socket.close(1000);
		expect(await watcher.next()).toMatchObject({ event: "leave", member: { id: hello.session } });
		await watcher.nothingElse();
	});
});

describe("plain routes", () => {
	const options: ServerOptions = {
		authenticate: ({ token }) => (token === undefined ? null : { id: token }),
		may: { subscribe: { "*": true }, presence: { "*": ({ user }) => user?.id !== "eve" } },
		routes: { "/chat/{room}": { channels: ["chat:{room}"], presence: "plain" } },
	};

	it('presence: "plain" enters, and tells of users in bare words', async () => {
		const { url } = await open(options);
		const ann = await plain(`${url}/chat/lobby?token=ann`);
		const bob = await plain(`${url}/chat/lobby?token=Bob`);
		expect(await ann.frame()).toBe('{"type":"user_joined","user":"Bob"}');
		const second = await plain(`${url}/chat/lobby?token=Bob`);
		second.socket.close(1000);
		await second.closed;
		bob.socket.close(1000);
		expect(await ann.frame()).toBe('{"type":"user_left","user":"Bob"}');
	});

	it("a caller who may not be seen is refused at the upgrade", async () => {
		const { url } = await open(options);
		await expect(plain(`${url}/chat/lobby?token=eve`)).rejects.toMatchObject({ status: 403 });
	});

	it("presence that is no such word is refused at the start", async () => {
		const routes = { "/chat": { presence: "plane" as "plain" } };
		expect(() => createServer(undefined, { routes })).toThrow(/presence is "plain"/);
	});
});
