/** B10: a message for later. The broker keeps it until its time; what is for later is bounded for each client. */
import { channel, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { ScheduleQuota } from "../src/schedule-quota.ts";
import { enveloped, type Message, open } from "./client.ts";
import { as, subscribed, twoNodes } from "./cluster.ts";

const OPEN = { may: { subscribe: { "*": true }, publish: { "*": true } } };
const DAY_MS = 86_400_000;

describe("at", () => {
	it("is answered when it is accepted, without a position, and published at its time, on all nodes", async () => {
		const { nodes, nowMs, pass } = await twoNodes(OPEN);
		const bob = await subscribed("bob", nodes[1], "a");
		const ann = await as("ann", nodes[0]);
		const at = nowMs() / 1_000 + 60;
		expect(await ann.ask({ id: 4, action: "publish", channel: "a", data: "later", at, name: "n", key: "k" })).toEqual({
			ack: 4,
			scheduled: true,
		});
		await ann.ask({ action: "publish", channel: "a", data: "now" });
		expect(await bob.next()).toMatchObject({ offset: 1, data: "now" });
		pass(59_999);
		await bob.nothingElse();
		pass(1);
		expect(await bob.next()).toEqual({ channel: "a", offset: 2, name: "n", key: "k", from: "ann", data: "later" });
	});

	it("that has passed means now", async () => {
		const { nodes, nowMs } = await twoNodes(OPEN);
		const ann = await as("ann", nodes[0]);
		for (const at of [1, nowMs() / 1_000]) {
			expect(await ann.ask({ action: "publish", channel: "a", data: 1, at })).toHaveProperty("position");
		}
	});

	it("with ttl: that counts from the time of publishing", async () => {
		const { nodes, nowMs, pass } = await twoNodes(OPEN);
		const ann = await as("ann", nodes[0]);
		await ann.ask({ action: "publish", channel: "a", data: 1, at: nowMs() / 1_000 + 60, ttl: 10 });
		pass(60_000);
		pass(5_000);
		expect(await ann.ask({ action: "history", channel: "a" })).toMatchObject({ messages: [{ data: 1 }] });
		pass(6_000);
		expect(await ann.ask({ action: "history", channel: "a" })).toMatchObject({ messages: [] });
	});

	it("with echo: false: the session that scheduled it does not get it", async () => {
		const { nodes, nowMs, pass } = await twoNodes(OPEN);
		const [ann, bob] = [await subscribed("ann", nodes[0], "a"), await subscribed("bob", nodes[0], "a")];
		await ann.ask({ action: "publish", channel: "a", data: 1, at: nowMs() / 1_000 + 1, echo: false });
		pass(1_000);
		expect(await bob.next()).toMatchObject({ data: 1 });
		expect(await ann.next()).toMatchObject({ event: "gap", reason: "own" });
	});

	it("is performed once: a repeat of its id is answered the same, before its time and after", async () => {
		const { nodes, nowMs, pass } = await twoNodes(OPEN);
		const ann = await as("ann", nodes[0]);
		const message = { id: 1, action: "publish", channel: "a", data: 1, at: nowMs() / 1_000 + 1 };
		for (const ms of [0, 1_000, 1_000]) {
			expect(await ann.ask(message)).toEqual({ ack: 1, scheduled: true });
			pass(ms);
		}
		expect(await ann.ask({ action: "history", channel: "a" })).toMatchObject({ messages: [{ offset: 1 }] });
	});

	it.each<[string, Message]>([
		["more than 366 days ahead", { at: 1_893_456_000 + 367 * 86_400 }],
		["a number that is no time", { at: 8e12 }],
		["together with if", { at: 1_893_456_100, if: "e:1" }],
		["together with report", { at: 1_893_456_100, report: true }],
	])("is refused: %s", async (_, fields) => {
		const { nodes } = await twoNodes(OPEN);
		const ann = await as("ann", nodes[0]);
		expect(await ann.ask({ action: "publish", channel: "a", data: 1, ...fields })).toMatchObject({
			error: { code: "bad_request", message: expect.stringContaining("at") },
		});
	});

	it("is checked when it is asked for: no permission, or data that does not fit, waits for no time", async () => {
		const { nodes, nowMs } = await twoNodes({ may: { publish: {} } }, contract({ channels: { lobby: channel() } }));
		const ann = await as("ann", nodes[0]);
		const at = nowMs() / 1_000 + 1;
		expect(await ann.ask({ action: "publish", channel: "lobby", data: 1, at })).toMatchObject({
			error: { code: "forbidden" },
		});
	});
});

describe("a flood of publishes for later", () => {
	it("has a bound for each user, over all connections, and the bound comes free with time", async () => {
		const { nodes, nowMs, pass } = await twoNodes(OPEN);
		const clients = [await as("ann", nodes[0]), await as("ann", nodes[0])];
		const at = nowMs() / 1_000 + 60;
		const later = { action: "publish", channel: "a", data: 1, at };
		for (let count = 0; count < 1_000; count++) {
			clients[count % 2]!.send(later);
		}
		for (const client of clients) {
			await client.nothingElse();
			expect(await client.ask(later)).toMatchObject({ error: { code: "limit_reached" } });
			expect(await client.ask({ ...later, at: 1 })).toHaveProperty("position");
		}
		const bob = await as("bob", nodes[0]);
		expect(await bob.ask(later)).toMatchObject({ scheduled: true });
		pass(60_000);
		expect(await clients[0]!.ask({ ...later, at: at + 60 })).toMatchObject({ scheduled: true });
	});

	it("repeats what was accepted to who has as many waiting as may", async () => {
		const { nodes, nowMs } = await twoNodes(OPEN);
		const ann = await as("ann", nodes[0]);
		const later = { action: "publish", channel: "a", data: 1, at: nowMs() / 1_000 + 60 };
		for (let id = 1; id <= 1_000; id++) {
			ann.send({ id, ...later });
		}
		for (let id = 1; id <= 1_000; id++) {
			expect(await ann.next()).toEqual({ ack: id, scheduled: true });
		}
		expect(await ann.ask({ id: 1_000, ...later })).toEqual({ ack: 1_000, scheduled: true });
		expect(await ann.ask({ id: 1_001, ...later })).toMatchObject({ error: { code: "limit_reached" } });
	});

	it("has a bound in bytes for each user, so that one does not take all that the broker has", async () => {
		const { nodes, nowMs } = await twoNodes(OPEN);
		const ann = await as("ann", nodes[0]);
		const at = nowMs() / 1_000 + 60;
		const long = { action: "publish", channel: "a", data: "x".repeat(256 * 1024 - 200), at };
		for (let count = 0; count < 64; count++) {
			expect(await ann.ask(long)).toMatchObject({ scheduled: true });
		}
		expect(await ann.ask(long)).toMatchObject({ error: { code: "limit_reached" } });
		expect(await (await as("bob", nodes[0])).ask(long)).toMatchObject({ scheduled: true });
	});

	it("has a bound for all who are nobody: to come back as another session gives no more", async () => {
		const { url } = await open();
		const at = Date.now() / 1_000 + 3_600;
		const later = { action: "publish", channel: "a", data: 1, at };
		for (let session = 0; session < 4; session++) {
			const client = await enveloped(`${url}/connect`);
			for (let count = 0; count < 1_000; count++) {
				client.send(later);
			}
			await client.nothingElse();
			client.socket.terminate();
		}
		const next = await enveloped(`${url}/connect`);
		expect(await next.ask(later)).toMatchObject({ error: { code: "limit_reached" } });
	});

	it("that the broker has no room for is unavailable, and costs the client none of its own", async () => {
		const { nodes, nowMs } = await twoNodes(OPEN, contract({}), { maxScheduled: 1 });
		const ann = await as("ann", nodes[0]);
		const later = { action: "publish", channel: "a", data: 1, at: nowMs() / 1_000 + 60 };
		expect(await ann.ask(later)).toMatchObject({ scheduled: true });
		for (let count = 0; count < 1_100; count++) {
			ann.send({ id: count, ...later });
		}
		for (let count = 0; count < 1_100; count++) {
			expect(await ann.next()).toMatchObject({ ack: count, error: { code: "unavailable" } });
		}
	});

	it("leaves nothing behind when it is over", () => {
		let nowMs = 0;
		const quota = new ScheduleQuota(() => nowMs, { count: 2, bytes: 100, nobodyTimes: 2 });
		const a = { name: "a", isNobody: true };
		expect([quota.take(a, 10, 1), quota.take(a, 20, 1), quota.take(a, 30, 1), quota.take(a, 0, 1)]).toEqual([
			true,
			true,
			false,
			true,
		]);
		quota.giveBack(a, 20, 1);
		quota.giveBack(a, 20, 1);
		expect([quota.take(a, 30, 1), quota.take(a, 40, 1)]).toEqual([true, false]);
		nowMs = 10;
		quota.sweep();
		expect(quota.clients).toBe(2);
		nowMs = 30;
		quota.sweep();
		expect(quota.clients).toBe(0);
	});
});

describe("from the application's code", () => {
	it("publishAt takes a date or milliseconds, to a channel or a user", async () => {
		const { nodes, nowMs, pass } = await twoNodes(OPEN);
		const { server } = nodes[0];
		const ann = await subscribed("ann", nodes[1], "@user");
		await ann.ask({ action: "subscribe", channel: "a" });
		await server.channel("a").publishAt(new Date(nowMs() + 1_000), 1, { idempotencyKey: "k" });
		await server.channel("a").publishAt(new Date(nowMs() + 1_000), 1, { idempotencyKey: "k" });
		await server.user("ann").publishAt(nowMs() + 2_000, 2, { ttlMs: 1_000 });
		pass(1_000);
		expect(await ann.next()).toEqual({ channel: "a", offset: 1, data: 1 });
		await ann.nothingElse();
		pass(1_000);
		expect(await ann.next()).toEqual({ channel: "@user", offset: 1, data: 2 });
	});

	it.each([Number.NaN, -1, Number.POSITIVE_INFINITY, new Date("never"), Date.UTC(2031, 1, 2)])(
		"publishAt %s is refused",
		async (at) => {
			const { nodes } = await twoNodes(OPEN);
			await expect(nodes[0].server.channel("a").publishAt(at, 1)).rejects.toMatchObject({ code: "bad_option" });
		},
	);

	it("refuses an option that it does not have, instead of ignoring it", async () => {
		const { nodes, nowMs } = await twoNodes(OPEN);
		const a = nodes[0].server.channel("a");
		await expect(a.publish(1, { at: nowMs() + DAY_MS } as object)).rejects.toMatchObject({ code: "bad_option" });
		await expect(a.publishAt(nowMs(), 1, { ifPosition: "e:1" } as object)).rejects.toMatchObject({
			code: "bad_option",
		});
	});
});
