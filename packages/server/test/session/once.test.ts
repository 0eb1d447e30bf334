/** B4: what has an id is performed once in its session, whichever node its repeat comes to. */

import { action, channel, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { SILENT } from "../../src/observe/log.ts";
import type { ServerOptions } from "../../src/options.ts";
import { OPEN, type Running } from "../client.ts";
import { twoNodes } from "../cluster.ts";
import { comesBack, cut, greeted } from "./greeted.ts";

/** What an action waits for, and how often it was begun. */
function counted() {
	const gate = Promise.withResolvers<void>();
	const begun = Promise.withResolvers<void>();
	const calls = { order: 0, read: 0, wait: 0, refuse: 0, retry: 0, long: 0 };
	const actions = {
		order: () => ({ number: ++calls.order }),
		read: () => ++calls.read,
		wait: async () => {
			calls.wait++;
			begun.resolve();
			await gate.promise;
			return "done";
		},
		refuse: () => {
			calls.refuse++;
			throw new Error("no");
		},
		long: () => {
			calls.long++;
			return "x".repeat(100_000);
		},
	};
	return { gate, begun, calls, actions };
}

const declared = contract({
	channels: { "{name}": channel() },
	actions: {
		order: action(),
		read: action({ once: false }),
		wait: action(),
		refuse: action(),
		long: action(),
	},
});

const MAY = {
	subscribe: { "{name}": true },
	publish: { "{name}": true },
	call: { order: true, read: true, wait: true, refuse: true, long: true },
} as const;

async function world() {
	const handlers = counted();
	const options = { may: MAY, actions: handlers.actions, log: SILENT } as unknown as ServerOptions;
	const cluster = await twoNodes(options, declared);
	const [first, second] = cluster.nodes as unknown as readonly [Running, Running];
	return { ...cluster, ...handlers, first, second, ann: await greeted(first) };
}

describe("a call that is repeated at another node", () => {
	it("gets the first reply", async () => {
		const { first, second, ann, calls } = await world();
		const reply = await ann.client.ask({ id: 7, action: "order" });
		expect(reply).toEqual({ ack: 7, data: { number: 1 } });
		await cut(ann, first);
		const { client } = await comesBack(second, ann.token);
		expect(await client.ask({ id: 7, action: "order" })).toEqual(reply);
		expect(await client.ask({ id: "7", action: "order" })).toEqual({ ack: "7", data: { number: 2 } });
		expect(calls.order).toBe(2);
	});

	it("waits for the first, which is still at work", async () => {
		const { first, second, ann, calls, begun, gate } = await world();
		ann.client.send({ id: 1, action: "wait" });
		await begun.promise;
		await cut(ann, first);
		const { client } = await comesBack(second, ann.token);
		client.send({ id: 1, action: "wait" });
		await client.nothingElse();
		gate.resolve();
		expect(await client.next()).toEqual({ ack: 1, data: "done" });
		expect(calls.wait).toBe(1);
	});

	it("is told that the outcome is unknown where the node that began it is gone, and is not begun again", async () => {
		const { first, second, ann, calls, begun, gate } = await world();
		ann.client.send({ id: 1, action: "wait" });
		await begun.promise;
		ann.client.socket.terminate();
		await first.server.close();
		const back = await comesBack(second, ann.token);
		expect(back.reply).toMatchObject({ resumed: true });
		for (let tries = 0; tries < 2; tries++) {
			const { error } = (await back.client.ask({ id: 1, action: "wait" })) as { error: Record<string, unknown> };
			expect(error).toMatchObject({ code: "internal", message: expect.stringContaining("outcome is unknown") });
			expect(error.retryable).toBeUndefined();
		}
		gate.resolve();
		expect(calls.wait).toBe(1);
	});

	it("gets the first final error; a reply too long to be kept is said to be that", async () => {
		const { first, second, ann, calls } = await world();
		const refused = await ann.client.ask({ id: 1, action: "refuse" });
		expect(await ann.client.ask({ id: 2, action: "long" })).toHaveProperty("data");
		await cut(ann, first);
		const { client } = await comesBack(second, ann.token);
		expect(await client.ask({ id: 1, action: "refuse" })).toEqual(refused);
		expect(await client.ask({ id: 2, action: "long" })).toMatchObject({
			error: { code: "internal", message: expect.stringContaining("too long to be kept") },
		});
		expect([calls.refuse, calls.long]).toEqual([1, 1]);
	});

	it("is performed again where the contract says once: false; at the same node it never is", async () => {
		const { first, second, ann, calls } = await world();
		expect(await ann.client.ask({ id: 1, action: "read" })).toEqual({ ack: 1, data: 1 });
		await cut(ann, first);
		const here = await comesBack(first, ann.token);
		expect(await here.client.ask({ id: 1, action: "read" })).toEqual({ ack: 1, data: 1 });
		await cut(here, first);
		const there = await comesBack(second, here.token);
		expect(await there.client.ask({ id: 1, action: "read" })).toEqual({ ack: 1, data: 2 });
		expect(calls.read).toBe(2);
	});

	it("is another's in another session: the same id is a new call", async () => {
		const { second, ann } = await world();
		await ann.client.ask({ id: 1, action: "order" });
		const other = await greeted(second);
		expect(await other.client.ask({ id: 1, action: "order" })).toEqual({ ack: 1, data: { number: 2 } });
	});
});

describe("a publish that is repeated", () => {
	it("was refused for good: gets the first error, though it would succeed now", async () => {
		let open = false;
		const { nodes } = await twoNodes({ may: { publish: { "*": () => open } } });
		const ann = await greeted(nodes[0]);
		const refused = await ann.client.ask({ id: 1, action: "publish", channel: "a", data: 1 });
		expect(refused).toMatchObject({ error: { code: "forbidden" } });
		open = true;
		expect(await ann.client.ask({ id: 1, action: "publish", channel: "a", data: 1 })).toEqual(refused);
		await cut(ann, nodes[0]);
		const { client } = await comesBack(nodes[0], ann.token);
		expect(await client.ask({ id: 1, action: "publish", channel: "a", data: 1 })).toEqual(refused);
		expect(await client.ask({ id: 1, action: "publish", channel: "b", data: 1 })).toHaveProperty("position");
		expect(await client.ask({ id: 2, action: "publish", channel: "a", data: 1 })).toHaveProperty("position");
	});

	it("was in conflict: gets the first position again, not another", async () => {
		const { nodes } = await twoNodes(OPEN);
		const ann = await greeted(nodes[0]);
		const { position } = await ann.client.ask({ action: "publish", channel: "a", data: 1 });
		await ann.client.ask({ action: "publish", channel: "a", data: 2 });
		const late = { id: 9, action: "publish", channel: "a", data: 3, if: position };
		const conflict = await ann.client.ask(late);
		expect(conflict).toMatchObject({ error: { code: "conflict" } });
		await ann.client.ask({ action: "publish", channel: "a", data: 4 });
		expect(await ann.client.ask(late)).toEqual(conflict);
	});
});

describe("a publish that names the one before it", () => {
	it("is not accepted before that is, at whichever node, and then is", async () => {
		const { nodes } = await twoNodes(OPEN);
		const ann = await greeted(nodes[0]);
		await ann.client.ask({ id: 1, action: "publish", channel: "a", data: 1 });
		const third = { id: 3, action: "publish", channel: "a", data: 3, after: 2 };
		expect(await ann.client.ask(third)).toMatchObject({ error: { code: "conflict", retryable: true } });
		await cut(ann, nodes[0]);
		const { client } = await comesBack(nodes[1], ann.token);
		expect(await client.ask(third)).toMatchObject({ error: { code: "conflict", retryable: true } });
		const second = await client.ask({ id: 2, action: "publish", channel: "a", data: 2, after: 1 });
		expect(second.position).toMatch(/:2$/);
		expect((await client.ask(third)).position).toMatch(/:3$/);
		expect((await client.ask(third)).position).toMatch(/:3$/);
	});

	it("is refused with all behind it where a pipelined one is: their order is kept", async () => {
		const { nodes } = await twoNodes({
			may: { subscribe: { "*": true }, publish: { "*": ({ channel: name }) => name !== "never" } },
		});
		const { client } = await greeted(nodes[0]);
		client.send({ id: 1, action: "publish", channel: "a", data: "x".repeat(10), if: "wrong:9" });
		client.send({ id: 2, action: "publish", channel: "a", data: 2, after: 1 });
		client.send({ id: 3, action: "publish", channel: "a", data: 3, after: 2 });
		const replies = [await client.next(), await client.next(), await client.next()];
		expect(replies).toMatchObject([
			{ ack: 1, error: { code: "conflict" } },
			{ ack: 2, error: { code: "conflict", retryable: true } },
			{ ack: 3, error: { code: "conflict", retryable: true } },
		]);
		expect(await client.ask({ action: "history", channel: "a" })).toMatchObject({ messages: [] });
	});

	it("holds in state channels, too", async () => {
		const states = contract({ channels: { doc: channel({ state: true }) } });
		const { nodes } = await twoNodes(
			{ may: { subscribe: { doc: true }, publish: { doc: true } } } as unknown as ServerOptions,
			states,
		);
		const { client } = await greeted(nodes[0] as unknown as Running);
		const second = { id: 2, action: "publish", channel: "doc", patch: { b: 2 }, after: 1 };
		expect(await client.ask(second)).toMatchObject({ error: { code: "conflict", retryable: true } });
		await client.ask({ id: 1, action: "publish", channel: "doc", data: { a: 1 } });
		expect(await client.ask(second)).toMatchObject({ position: expect.stringMatching(/:2$/) });
	});
});
