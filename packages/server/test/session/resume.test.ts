/** C5, B4: a session goes on at any connection of any node, for who has its newest token. */
import { describe, expect, it } from "vitest";
import { OPEN } from "../client.ts";
import { twoNodes } from "../cluster.ts";
import { comesBack, cut, greeted } from "./greeted.ts";

const WINDOW_MS = 300_000;

/** Two nodes, and a client that has published once at the first. */
async function world() {
	const cluster = await twoNodes(OPEN);
	const [first, second] = cluster.nodes;
	const ann = await greeted(first);
	const ack = await ann.client.ask({ id: 1, action: "publish", channel: "a", data: "one" });
	return { ...cluster, first, second, ann, position: ack.position };
}

describe("a client that comes back", () => {
	it("has its session, at any node, and what it repeats is performed once", async () => {
		const { first, second, ann, position } = await world();
		await cut(ann, first);
		const { reply, client } = await comesBack(second, ann.token);
		expect(reply).toMatchObject({ session: ann.session, resumed: true, resume: expect.any(String) });
		const again = await client.ask({ id: 1, action: "publish", channel: "a", data: "one" });
		expect(again.position).toBe(position);
		const next = await client.ask({ id: 2, action: "publish", channel: "a", data: "two" });
		expect(next.position).toBe(`${String(position).split(":")[0]}:2`);
	});

	it("comes back again and again, each time with the newest token", async () => {
		const { first, second, ann } = await world();
		await cut(ann, first);
		let held = { ...ann };
		for (const node of [second, first, first, second]) {
			const back = await comesBack(node, held.token);
			expect(back.reply).toMatchObject({ session: ann.session, resumed: true });
			expect(back.token).not.toBe(held.token);
			await cut(back, node);
			held = back;
		}
	});

	it("keeps its session where the reply is lost: a token is good until its successor has been used", async () => {
		const { first, second, ann } = await world();
		await cut(ann, first);
		const lost = await comesBack(second, ann.token);
		await cut(lost, second);
		const again = await comesBack(first, ann.token);
		expect(again.reply).toMatchObject({ session: ann.session, resumed: true });
		await cut(again, first);
		const onward = await comesBack(first, again.token);
		expect(onward.reply).toMatchObject({ resumed: true });
		await cut(onward, first);
		for (const older of [ann.token, lost.token]) {
			expect((await comesBack(second, older)).reply).toMatchObject({ resumed: false });
		}
		expect((await comesBack(second, onward.token)).reply).toMatchObject({ resumed: true });
	});

	it("has its session though nothing was counted in it yet; that has cost the broker nothing", async () => {
		const { nodes, broker } = await twoNodes(OPEN);
		const { records } = broker();
		const ann = await greeted(nodes[0]);
		const stored = (): Promise<readonly unknown[]> => records.list("session:", { limit: 10 });
		expect(await stored()).toEqual([]);
		await cut(ann, nodes[0]);
		const back = await comesBack(nodes[1], ann.token);
		expect(back.reply).toMatchObject({ session: ann.session, resumed: true });
		expect(await stored()).toEqual([]);
		await back.client.ask({ id: 1, action: "publish", channel: "a", data: 1 });
		expect(await stored()).toHaveLength(1);
		await cut(back, nodes[1]);
		expect((await comesBack(nodes[0], back.token)).reply).toMatchObject({ session: ann.session, resumed: true });
	});

	it("has lost it when the window is over", async () => {
		const { first, second, ann, pass } = await world();
		await cut(ann, first);
		pass(WINDOW_MS - 1);
		const back = await comesBack(second, ann.token);
		expect(back.reply).toMatchObject({ resumed: true });
		await cut(back, second);
		pass(WINDOW_MS);
		const late = await comesBack(second, back.token);
		expect(late.reply).toMatchObject({ resumed: false, session: late.session });
		expect(late.session).not.toBe(ann.session);
		// What it keeps is a session like any other.
		await late.client.ask({ id: 1, action: "publish", channel: "a", data: 1 });
		await cut(late, second);
		expect((await comesBack(first, late.token)).reply).toMatchObject({ resumed: true, session: late.session });
	});

	it("has lost the session that nothing was counted in, too, when the window is over", async () => {
		const { nodes, pass } = await twoNodes(OPEN);
		const ann = await greeted(nodes[0]);
		await cut(ann, nodes[0]);
		pass(WINDOW_MS);
		expect((await comesBack(nodes[0], ann.token)).reply).toMatchObject({ resumed: false });
	});

	it("must say so before it does anything", async () => {
		const { first, ann } = await world();
		const refused = await ann.client.ask({ action: "resume", token: ann.token });
		expect(refused).toMatchObject({ error: { code: "bad_request" } });
		const bob = await greeted(first, "bob");
		await bob.client.ask({ action: "subscribe", channel: "a" });
		expect(await bob.client.ask({ action: "resume", token: bob.token })).toMatchObject({
			error: { code: "bad_request" },
		});
	});

	it("does not get its own messages that are not for its session, also after it came back", async () => {
		const { first, second, ann } = await world();
		await cut(ann, first);
		const { client } = await comesBack(second, ann.token);
		await client.ask({ action: "subscribe", channel: "b" });
		await first.server.channel("b").publish("not for ann", { exclude: ann.session });
		await first.server.channel("b").publish("for all");
		expect(await client.next()).toMatchObject({ event: "gap", reason: "own" });
		expect(await client.next()).toMatchObject({ data: "for all" });
	});
});

describe("a session has one connection", () => {
	it.each(["first", "second"] as const)(
		"who comes back too early, at the %s node, ends the older with 4004",
		async (where) => {
			const all = await world();
			const back = await comesBack(all[where], all.ann.token);
			expect(back.reply).toMatchObject({ session: all.ann.session, resumed: true });
			expect((await all.ann.client.closed).code).toBe(4004);
			expect(await back.client.ask({ id: 1, action: "publish", channel: "a", data: "one" })).toMatchObject({
				position: all.position,
			});
		},
	);

	it("of many that come back at once with one token, at both nodes, one stays", async () => {
		const { first, second, ann } = await world();
		await cut(ann, first);
		const all = await Promise.all(Array.from({ length: 6 }, (_, index) => greeted(index % 2 ? first : second)));
		const replies = await Promise.all(
			all.map(({ client }) => client.ask({ action: "resume", token: ann.token }).catch(() => undefined)),
		);
		const resumed = replies.filter((reply) => reply?.resumed === true);
		expect(resumed.length).toBeGreaterThan(0);
		while (first.server.connections + second.server.connections > 1) {
			await new Promise((resolve) => setImmediate(resolve));
		}
		const closed = await Promise.all(
			all.map(({ client }) => Promise.race([client.closed.then(({ code }) => code), client.ask({ action: "ping" })])),
		);
		expect(closed.filter((code) => code === 4004)).toHaveLength(5);
	});

	it("a message that was under way at the older connection ends the older, not the one that came back", async () => {
		const { nodes } = await twoNodes(OPEN);
		const late = await greeted(nodes[0]);
		const back = await comesBack(nodes[1], late.token);
		expect(back.reply).toMatchObject({ resumed: true });
		// Nothing was counted yet, so nobody knows of the older one, until this.
		late.client.send({ id: 1, action: "publish", channel: "a", data: 1 });
		await nodes[1].server.channel("b").publish(0);
		const { position } = await back.client.ask({ id: 1, action: "publish", channel: "a", data: 1 });
		expect(String(position)).toMatch(/:1$/);
		expect((await late.client.closed).code).toBe(4004);
		expect(await back.client.ask({ action: "ping" })).toBeDefined();
	});
});

describe("S25, S31: what opens no session", () => {
	it("is answered alike, whatever is wrong with it", async () => {
		const { first, second, ann } = await world();
		await cut(ann, first);
		const [session, secret] = ann.token.split(".") as [string, string];
		const other = await greeted(first);
		const tokens = [
			session,
			`${session}.`,
			`${session}.${"A".repeat(secret.length)}`,
			`${session}.${secret.slice(0, -1)}${secret.endsWith("A") ? "B" : "A"}`,
			`${other.session}.${secret}`,
			"x",
			`${"x".repeat(10_000)}`,
			`__proto__.${secret}`,
		];
		for (const token of tokens) {
			const client = await greeted(second);
			const reply = await client.client.ask({ action: "resume", token });
			expect(reply).toEqual({ ack: "ask1", session: client.session, resume: client.token, resumed: false });
			client.client.socket.terminate();
		}
		expect((await comesBack(second, ann.token)).reply).toMatchObject({ resumed: true });
	});

	it("is forbidden where the token is another user's", async () => {
		const { first, second, ann } = await world();
		await cut(ann, first);
		const eve = await comesBack(second, ann.token, "eve");
		expect(eve.reply).toMatchObject({ error: { code: "forbidden" } });
		expect((await comesBack(second, ann.token)).reply).toMatchObject({ resumed: true, session: ann.session });
	});

	it("is nothing to another user while the session is not stored, either", async () => {
		const { nodes } = await twoNodes(OPEN);
		const ann = await greeted(nodes[0]);
		expect((await comesBack(nodes[1], ann.token, "eve")).reply).toMatchObject({ resumed: false });
	});

	it("ends a connection that tries token after token with 1008", async () => {
		const { first } = await world();
		const { client } = await greeted(first, "eve");
		for (let guess = 0; guess < 5; guess++) {
			expect(await client.ask({ action: "resume", token: `guess-${guess}` })).toMatchObject({ resumed: false });
		}
		client.send({ id: 9, action: "resume", token: "guess" });
		expect((await client.closed).code).toBe(1008);
	});

	it("never shows a token in the broker's records", async () => {
		const { ann, broker, first } = await world();
		await cut(ann, first);
		const back = await comesBack(first, ann.token);
		const [record] = await broker().records.list("session:", { limit: 2 });
		const stored = Buffer.from(record!.value);
		expect(stored.length).toBeLessThan(200);
		for (const token of [ann.token, back.token]) {
			expect(stored.includes(token.split(".")[1]!)).toBe(false);
			expect(stored.includes(Buffer.from(token.split(".")[1]!, "base64url"))).toBe(false);
		}
	});
});
