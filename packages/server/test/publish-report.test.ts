/** B11: a publish says what became of it, on all nodes. What a report adds up, and its bounds: `fan-out-report.test.ts`. */
import { describe, expect, it } from "vitest";
import type { PublishReport } from "../src/publisher.ts";
import type { Client, Message } from "./client.ts";
import { enveloped, plain, Raw, textFrame } from "./client.ts";
import { as, type Cluster, subscribed, twoNodes } from "./cluster.ts";

const OPEN = { may: { subscribe: { "*": true }, publish: { "*": true } } };
const NONE = { subscribers: 0, written: 0, lagging: 0, conflated: 0, skipped: 0 };

/** A publish with `report`; its ack and its report. */
async function report(client: Client, fields: Message = {}): Promise<readonly [Message, Message]> {
	const ack = await client.ask({ id: 4, action: "publish", channel: "a", data: 1, report: true, ...fields });
	for (;;) {
		const message = await client.next();
		if ("report" in message) {
			return [ack, message];
		}
	}
}

describe("report: true", () => {
	it("follows the ack, and counts the subscribers of all nodes that it was written to", async () => {
		const { nodes } = await twoNodes(OPEN);
		const subscribers = [
			await subscribed("bob", nodes[0], "a"),
			await subscribed("bob", nodes[1], "a"),
			await subscribed("cid", nodes[1], "a"),
		];
		const ann = await as("ann", nodes[0]);
		for (let count = 0; count < 3; count++) {
			const [ack, reported] = await report(ann, { id: count });
			expect(ack).toEqual({ ack: count, position: expect.any(String) });
			expect(reported).toEqual({
				report: { of: count, ...NONE, subscribers: 3, written: 3, complete: true },
			});
		}
		for (const subscriber of subscribers) {
			expect(await subscriber.next()).toEqual({ channel: "a", offset: 1, from: "ann", data: 1 });
		}
	});

	it("of a channel without subscribers is complete, with none", async () => {
		const { nodes } = await twoNodes(OPEN);
		const ann = await as("ann", nodes[0]);
		expect((await report(ann))[1]).toEqual({ report: { of: 4, ...NONE, complete: true } });
	});

	it("counts the publisher's own subscription, and its message comes with it", async () => {
		const { nodes } = await twoNodes(OPEN);
		const ann = await subscribed("ann", nodes[0], "a");
		expect((await report(ann))[1]).toMatchObject({ report: { subscribers: 1, written: 1, complete: true } });
	});

	it("reaches plain clients and subscribers of own channels, too", async () => {
		const { nodes } = await twoNodes({ may: { publish: { "*": true, "@user": true } } });
		const client = await plain(`${nodes[0].url}/connect`, { headers: { authorization: "Bearer ann" } });
		await subscribed("ann", nodes[1], "@user");
		expect((await report(client, { channel: "@user" }))[1]).toMatchObject({
			report: { subscribers: 1, written: 1, complete: true },
		});
	});

	it("is not sent unasked, nor for a publish that was refused", async () => {
		const { nodes } = await twoNodes(OPEN);
		const ann = await as("ann", nodes[0]);
		await ann.ask({ action: "publish", channel: "a", data: 1 });
		await ann.ask({ action: "publish", channel: "a", data: 1, report: false });
		const refused = await ann.ask({ action: "publish", channel: "a", data: 1, report: true, if: "x:7" });
		expect(refused).toMatchObject({ error: { code: "conflict" } });
		await ann.nothingElse();
	});

	it("of a repeat is incomplete: nothing went out because of it", async () => {
		const { nodes } = await twoNodes(OPEN);
		await subscribed("bob", nodes[1], "a");
		const ann = await as("ann", nodes[0]);
		const [first, complete] = await report(ann);
		const [second, incomplete] = await report(ann);
		expect(second).toEqual(first);
		expect([complete, incomplete]).toEqual([
			{ report: { of: 4, ...NONE, subscribers: 1, written: 1, complete: true } },
			{ report: { of: 4, ...NONE, complete: false } },
		]);
	});

	it("keeps the order of one client's publishes, the node's first report included", async () => {
		const { nodes } = await twoNodes(OPEN);
		const bob = await subscribed("bob", nodes[0], "a");
		const ann = await as("ann", nodes[0]);
		for (let value = 0; value < 10; value++) {
			ann.send({ id: value, action: "publish", channel: "a", data: value, report: value % 2 === 0 });
		}
		for (let value = 0; value < 10; value++) {
			expect(await bob.next()).toMatchObject({ data: value });
		}
	});

	it("its channel is no client's: not to subscribe to, not to publish to, not to be listed in", async () => {
		const { nodes, broker } = await twoNodes({ ...OPEN, dev: true });
		const ann = await enveloped(`${nodes[0].url}/connect`);
		await report(ann);
		const [name = ""] = await broker().channels({ prefix: "$report:", limit: 10 });
		expect(name).toMatch(/^\$report:/);
		for (const action of ["subscribe", "publish", "history"]) {
			expect(await ann.ask({ action, channel: name, data: [[1, 1, 1, 1, 1, 1]] })).toMatchObject({
				error: { code: "not_found" },
			});
		}
		expect(() => nodes[0].server.channel(name)).toThrow("begins with @ or $");
	});
});

/** A node that is told of the channel's entries and says nothing. */
async function mute(cluster: Pick<Cluster<never>, "broker">, channel: string): Promise<void> {
	const broker = cluster.broker();
	broker.listen({ entries() {}, reset() {} });
	await broker.subscribe(channel);
}

it("a flood of reports that a mute node holds up: one connection has its share, others theirs", async () => {
	const cluster = await twoNodes(OPEN);
	const { nodes } = cluster;
	await mute(cluster, "a");
	await subscribed("bob", nodes[1], "a");
	const ann = await as("ann", nodes[0]);
	for (let id = 0; id < 150; id++) {
		ann.send({ id, action: "publish", channel: "a", data: id, report: true });
	}
	const replies = await Promise.all(Array.from({ length: 150 }, () => ann.next()));
	expect(replies.filter(({ error }) => error === undefined)).toHaveLength(100);
	expect(replies.filter(({ error }) => error !== undefined)[0]).toMatchObject({
		error: { code: "limit_reached", retryable: true },
	});
	const cid = await as("cid", nodes[0]);
	// When its second is over, a report says what is known.
	expect((await report(cid))[1]).toEqual({
		report: { of: 4, ...NONE, subscribers: 1, written: 1, complete: false },
	});
	const reports = await Promise.all(Array.from({ length: 100 }, () => ann.next()));
	expect(reports.every((message) => "report" in message)).toBe(true);
	expect((await ann.ask({ action: "publish", channel: "b", data: 1, report: true })).error).toBeUndefined();
});

it("tells who is behind, by what they will get: nobody here answers pings, so all are", async () => {
	const { nodes } = await twoNodes(OPEN);
	const { server } = nodes[0];
	for (const [node, policy] of [
		[nodes[0], "catch-up"],
		[nodes[1], "conflate"],
		[nodes[1], "skip"],
	] as const) {
		const raw = new Raw(node.url);
		await raw.upgrade("/connect", { "Sec-WebSocket-Protocol": "tidewire.v1.json" });
		raw.send(textFrame({ id: 1, action: "subscribe", channel: "a", policy }));
		await raw.untilText('"ack":1');
	}
	const healthy = await subscribed("bob", nodes[1], "a");
	let last: PublishReport | undefined;
	// What is written to a connection without an answer to a ping is bounded.
	for (let count = 0; count < 20; count++) {
		last = await server.channel("a").publishAndReport("x".repeat(40_000), { key: "k" });
		expect(last).toMatchObject({ subscribers: 4, complete: true });
		await healthy.next();
	}
	expect(last).toMatchObject({ written: 1, lagging: 1, conflated: 1, skipped: 1 });
});

it("counts as skipped whom it is not for: the publisher with echo: false, the session that is excluded", async () => {
	const { nodes } = await twoNodes(OPEN);
	const ann = await subscribed("ann", nodes[0], "a");
	const bob = await subscribed("bob", nodes[1], "a");
	expect((await report(ann, { echo: false }))[1]).toEqual({
		report: { of: 4, ...NONE, subscribers: 2, written: 1, skipped: 1, complete: true },
	});
	expect(await bob.next()).toMatchObject({ offset: 1 });
	const away = await nodes[0].server.channel("a").publishAndReport(1, { exclude: "somebody who is not here" });
	expect(away).toMatchObject({ written: 2, skipped: 0 });
});

describe("from the application's code", () => {
	it("publishAndReport resolves with the position and what became of it", async () => {
		const { nodes } = await twoNodes(OPEN);
		const { server } = nodes[0];
		const bob = await subscribed("bob", nodes[1], "a");
		await subscribed("ann", nodes[1], "@user");
		expect(await server.channel("a").publishAndReport(1, { name: "n" })).toEqual({
			position: expect.stringMatching(/:1$/),
			...NONE,
			subscribers: 1,
			written: 1,
			complete: true,
		});
		expect(await bob.next()).toMatchObject({ name: "n", data: 1 });
		expect(await server.user("ann").publishAndReport(1)).toMatchObject({ subscribers: 1, complete: true });
		expect(await server.user("bob").publishAndReport(1)).toMatchObject({ subscribers: 0, complete: true });
	});

	it("publishAndReport rejects as publish does, and what it waits for ends with the server", async () => {
		const cluster = await twoNodes(OPEN);
		const { server } = cluster.nodes[0];
		await mute(cluster, "a");
		await expect(server.channel("a").publishAndReport(1, { ifPosition: "x:7" })).rejects.toMatchObject({
			code: "conflict",
		});
		const waiting = server.channel("a").publishAndReport(1);
		await server.close();
		expect(await waiting).toMatchObject({ complete: false });
	});
});
