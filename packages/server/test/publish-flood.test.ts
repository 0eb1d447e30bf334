/** Attack: one client publishes faster than the broker, or the node, can follow. It waits; nobody else does. */
import { type Broker, createMemoryBroker } from "@tidewire/broker";
import { channel, contract } from "@tidewire/contract";
import { expect, it } from "vitest";
import { createServer } from "../src/server.ts";
import { enveloped, OPEN, open, run } from "./client.ts";

/** A broker whose disk is stuck until the test frees it; and how many publishes wait for it. */
function stuck(): { readonly broker: Broker; readonly free: () => void; readonly waiting: () => number } {
	const memory = createMemoryBroker();
	const { promise, resolve } = Promise.withResolvers<void>();
	let waiting = 0;
	const publish: Broker["publish"] = async (...call) => {
		waiting++;
		await promise;
		return memory.publish(...call);
	};
	const broker = new Proxy(memory, {
		get: (target, key) => {
			const value: unknown = key === "publish" ? publish : Reflect.get(target, key, target);
			return typeof value === "function" ? value.bind(target) : value;
		},
	});
	return { broker, free: resolve, waiting: () => waiting };
}

it.each([
	["with ids", 1_200, 1_000, "x", true],
	["without ids", 1_200, 1_000, "x", false],
	["long ones", 50, 21, "x".repeat(200 * 1024), true],
] as const)("publishes wait with their client while a disk is stuck: %s", async (_what, count, most, data, withIds) => {
	const { broker, free, waiting } = stuck();
	const { url } = await open({ ...OPEN, broker });
	const client = await enveloped(`${url}/connect`);
	for (let id = 1; id <= count; id++) {
		client.send({ ...(withIds ? { id } : {}), action: "publish", channel: "a", data });
	}
	const other = await enveloped(`${url}/connect`);
	other.send({ id: "other", action: "publish", channel: "b", data: 1 });
	// It asks again until all that is to come has come: the other's publish is taken, and as many of the client's as may.
	while (waiting() < most + 1) {
		await other.ask({ action: "ping" });
	}
	// Answered at once all the same.
	expect(await client.ask({ action: "ping" })).toMatchObject({ ack: expect.any(String) });
	expect(waiting()).toBe(most + 1);
	free();
	expect(await other.ask({ action: "publish", channel: "b", data: 2 })).toMatchObject({
		position: expect.stringMatching(/:2$/),
	});
	if (withIds) {
		for (let id = 1; id <= count; id++) {
			expect(await client.next()).toMatchObject({ ack: id, position: expect.stringMatching(new RegExp(`:${id}$`)) });
		}
	}
	expect((await client.ask({ action: "history", channel: "a", limit: 1, reverse: true })).position).toMatch(
		new RegExp(`:${count}$`),
	);
});

it("changes of a large value leave time for others, in each turn of the event loop", async () => {
	const declared = contract({ channels: { board: channel({ state: true }), talk: channel({}) } });
	const may = { subscribe: { board: true, talk: true }, publish: { board: true, talk: true } };
	const { url } = await run(createServer(declared, { may }));
	const client = await enveloped(`${url}/connect`);
	const value = Object.fromEntries(Array.from({ length: 9_000 }, (_, index) => [`k${index}`, "v".repeat(15)]));
	await client.ask({ action: "publish", channel: "board", data: value });
	const other = await enveloped(`${url}/connect`);
	const count = 100;
	for (let id = 1; id <= count; id++) {
		client.send({ id, action: "publish", channel: "board", patch: { k1: id } });
	}
	await client.next();
	// While they are under way, another has had many answers.
	let answers = 0;
	let over = false;
	const last = (async () => {
		for (let id = 2; id <= count; id++) {
			expect(await client.next()).toMatchObject({ ack: id, position: expect.any(String) });
		}
		over = true;
	})();
	while (!over) {
		await other.ask({ action: "publish", channel: "talk", data: ++answers });
	}
	await last;
	expect(answers).toBeGreaterThan(10);
});
