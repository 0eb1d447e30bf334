/** B10: a message to a user, on all of their connections or on one device, and to nobody else. */
import { channel, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { API_KEY, Client, enveloped, MSGPACK_PROTOCOL, OPEN, open, plain, refusal } from "./client.ts";
import { as, subscribed, twoNodes } from "./cluster.ts";

describe("a user's own channel", () => {
	it("reaches all of the user's connections on all nodes, under the name that they asked for", async () => {
		const { nodes } = await twoNodes();
		const phone = await subscribed("ann", nodes[0], "@user");
		const laptop = await subscribed("ann", nodes[1], "@user");
		const bob = await subscribed("bob", nodes[1], "@user");
		const position = await nodes[0].server.user("ann").publish({ hello: "ann" }, { name: "greeting", key: "k" });
		expect(position).toMatch(/:1$/);
		for (const client of [phone, laptop]) {
			expect(await client.next()).toEqual({
				channel: "@user",
				offset: 1,
				name: "greeting",
				key: "k",
				data: { hello: "ann" },
			});
		}
		await bob.nothingElse();
	});

	it("keeps what came while the user was away, and resumes from a position like any channel", async () => {
		const { nodes } = await twoNodes();
		const ann = nodes[0].server.user("ann");
		const since = await ann.publish(1);
		await ann.publish(2);
		const client = await as("ann", nodes[1]);
		expect(await client.ask({ action: "subscribe", channel: "@user", since })).toMatchObject({
			channel: "@user",
			position: since,
			recovered: true,
		});
		expect(await client.next()).toEqual({ channel: "@user", offset: 2, data: 2 });
		expect(await client.ask({ action: "history", channel: "@user" })).toMatchObject({
			messages: [{ offset: 1 }, { offset: 2 }],
		});
		const bob = await as("bob", nodes[1]);
		expect(await bob.ask({ action: "subscribe", channel: "@user", since })).toMatchObject({ recovered: false });
		expect(await bob.ask({ action: "history", channel: "@user" })).toMatchObject({ messages: [] });
	});

	it("is ended by unsubscribing from that name, and is already held under it", async () => {
		const { nodes } = await twoNodes();
		const ann = await subscribed("ann", nodes[0], "@user");
		expect(await ann.ask({ action: "subscribe", channel: "@user" })).toMatchObject({ already: true });
		await ann.ask({ action: "unsubscribe", channel: "@user" });
		await nodes[0].server.user("ann").publish(1);
		await ann.nothingElse();
	});

	it("goes to subscribers of MessagePack, and bare to plain ones, by query or by a route", async () => {
		const { nodes } = await twoNodes({ routes: { "/inbox": { channels: ["@user"] } } });
		const { url, server } = nodes[0];
		const headers = { authorization: "Bearer ann" };
		const packed = await new Client(`${url}/connect`, MSGPACK_PROTOCOL, { headers }).opened();
		await packed.next();
		const { msgpackClient } = await import("@tidewire/protocol/msgpack");
		packed.send(
			msgpackClient.encode({
				type: "subscribe",
				id: 1,
				targets: [{ channel: "@user", since: null }],
				many: false,
			}),
		);
		expect(await packed.next()).toMatchObject({ ack: 1, channel: "@user" });
		const asked = await plain(`${url}/connect?channel=@user`, { headers });
		const routed = await plain(`${url}/inbox`, { headers });
		await server.user("ann").publish({ to: "ann" });
		expect(await packed.next()).toEqual({ channel: "@user", offset: 1, data: { to: "ann" } });
		expect([await asked.frame(), await routed.frame()]).toEqual(['{"to":"ann"}', '{"to":"ann"}']);
	});

	it("announces a gap and a reset under that name, too", async () => {
		const { nodes, forget } = await twoNodes();
		const ann = await as("ann", nodes[0]);
		const { session } = (await ann.ask({ action: "resume", token: "t" })) as { session: string };
		await ann.ask({ action: "subscribe", channel: "@user" });
		await nodes[0].server.user("ann").publish(1, { exclude: session });
		expect(await ann.next()).toEqual({ channel: "@user", event: "gap", from: 1, to: 1, reason: "own" });
		forget("@user:ann");
		expect(await ann.next()).toMatchObject({ channel: "@user", event: "reset", position: expect.any(String) });
	});
});

describe("one device of a user", () => {
	it("has a channel of its own, which another user's device of the same name has not", async () => {
		const { nodes } = await twoNodes();
		const phone = await subscribed("ann", nodes[0], "@device:phone-1");
		const tablet = await subscribed("ann", nodes[1], "@device:tablet");
		const other = await subscribed("bob", nodes[1], "@device:phone-1");
		const device = nodes[1].server.user("ann").device("phone-1");
		expect(device.name).toBe("@device:phone-1");
		await device.publish("ring");
		expect(await phone.next()).toEqual({ channel: "@device:phone-1", offset: 1, data: "ring" });
		await tablet.nothingElse();
		await other.nothingElse();
	});
});

describe("nobody else's", () => {
	it("is no anonymous caller's, nor the holder's of the key, who is no user", async () => {
		const { url } = await open({ ...OPEN, apiKey: API_KEY });
		const clients = [
			await enveloped(`${url}/connect`),
			await enveloped(`${url}/connect`, { headers: { authorization: `Bearer ${API_KEY}` } }),
		];
		for (const client of clients) {
			for (const action of ["subscribe", "history", "publish"]) {
				expect(await client.ask({ action, channel: "@user", data: 1 })).toMatchObject({
					error: { code: "unauthenticated" },
				});
			}
		}
		expect(await refusal(`${url}/connect?channel=@user`)).toMatchObject({ status: 403 });
	});

	it.each([
		["a:b", "a", "b"],
		["@user", "user", "%40user"],
		["x".repeat(512), "x".repeat(511), `${"x".repeat(511)}y`],
		["\u00e9", "e\u0301", "e"],
		["a%3Ab", "a:b", "a%3ab"],
		["ann", "ANN", "ann\u200b"],
	])("a user named %.20s gets what is sent to them, and their neighbours do not", async (id, ...others) => {
		const users: Record<string, string> = { it: id };
		for (const [index, other] of others.entries()) {
			users[`other${index}`] = other;
		}
		const { nodes } = await twoNodes({ authenticate: ({ token = "" }) => ({ id: users[token] ?? "" }) });
		const client = await subscribed("it", nodes[0], "@user");
		const neighbours = [
			...(await Promise.all(others.map((_, index) => subscribed(`other${index}`, nodes[0], "@user")))),
			await subscribed("other0", nodes[0], "@device:b"),
			await subscribed("other1", nodes[0], `@device:${others[1].slice(0, 100)}`),
		];
		await nodes[1].server.user(id).publish(1);
		expect(await client.next()).toMatchObject({ channel: "@user", data: 1 });
		for (const neighbour of neighbours) {
			await neighbour.nothingElse();
		}
	});

	it.each(["@user:ann", "@user:", "@device:", "@device", "@@user", "$user:ann", "@USER"])(
		"bob asks for %s: there is no such channel",
		async (name) => {
			const { nodes } = await twoNodes({ may: { subscribe: { "*": true }, publish: { "*": true } } });
			const bob = await as("bob", nodes[0]);
			for (const action of ["subscribe", "history", "publish"]) {
				expect(await bob.ask({ action, channel: name, data: 1 })).toMatchObject({ error: { code: "not_found" } });
			}
		},
	);

	it("names of a device that are no channel's are refused on both ends", async () => {
		const { nodes } = await twoNodes();
		const ann = await as("ann", nodes[0]);
		for (const id of ["", "e\u0301", "x".repeat(200), "a\nb", "\ud800"]) {
			expect(() => nodes[0].server.user("ann").device(id)).toThrow("device");
			const reply = ann.ask({ action: "subscribe", channel: `@device:${id}` });
			expect(await reply).toHaveProperty("error");
		}
		expect(() => nodes[0].server.user("")).toThrow("not empty");
	});

	it("an auth message of another user is refused, so that own channels stay their owner's", async () => {
		const { nodes } = await twoNodes();
		const ann = await subscribed("ann", nodes[0], "@user");
		expect(await ann.ask({ action: "auth", token: "bob" })).toMatchObject({ error: { code: "forbidden" } });
		await nodes[0].server.user("ann").publish(1);
		expect(await ann.next()).toMatchObject({ data: 1 });
		await nodes[0].server.user("bob").publish(1);
		await ann.nothingElse();
	});
});

describe("publishing to own channels", () => {
	it("is refused to clients: what is in an inbox comes from the server", async () => {
		const { nodes } = await twoNodes({ may: { subscribe: { "*": true }, publish: { "*": true } } });
		const ann = await as("ann", nodes[0]);
		expect(await ann.ask({ action: "publish", channel: "@user", data: 1 })).toMatchObject({
			error: { code: "forbidden" },
		});
	});

	it("is allowed by a rule, for notes between a user's own devices", async () => {
		const { nodes } = await twoNodes({ may: { publish: { "@user": true } } });
		const [phone, laptop] = [await as("ann", nodes[0]), await subscribed("ann", nodes[1], "@user")];
		expect(await phone.ask({ action: "publish", channel: "@user", data: "note" })).toHaveProperty("position");
		expect(await laptop.next()).toEqual({ channel: "@user", offset: 1, from: "ann", data: "note" });
	});

	it("a rule for subscribing to them is refused at the start: it would never be asked", async () => {
		await expect(twoNodes({ may: { subscribe: { "@user": false } } })).rejects.toThrow("a user always may");
	});
});

it("a contract types an inbox and says how much is kept", async () => {
	const declared = contract({
		channels: {
			"@user": channel({ data: z.object({ text: z.string() }), history: { messages: 1 } }),
			lobby: channel(),
		},
	});
	const { nodes } = await twoNodes({}, declared);
	const { server } = nodes[0];
	await server.user("ann").publish({ text: "1" });
	await server.user("ann").publish({ text: "2" });
	await expect(server.user("ann").publish({ text: 1 } as never)).rejects.toMatchObject({ code: "invalid_data" });
	await server.user("ann").device("phone").publish("anything");
	const ann = await as("ann", nodes[1]);
	expect(await ann.ask({ action: "history", channel: "@user" })).toMatchObject({ messages: [{ offset: 2 }] });
	expect(() => server.channel("@user" as never)).toThrow("begins with @");
});
