/** PROTOCOL.md, "Order": replies about one channel keep theirs, whatever the broker takes its time for. */
import { type Broker, BrokerError, createMemoryBroker } from "@tidewire/broker";
import { channel, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { createServer } from "../src/server.ts";
import { type Client, enveloped, type Message, OPEN, open, run } from "./client.ts";

/** A broker that accepts publishes to a channel when the test says so, and refuses those to "refusing" at once. */
function holding(held: string): { readonly broker: Broker; readonly accept: () => void } {
	const memory = createMemoryBroker();
	const { promise, resolve } = Promise.withResolvers<void>();
	const publish: Broker["publish"] = async (name, publication, options) => {
		if (name === held && publication.name === "refused") {
			throw new BrokerError("unavailable", "refused by the test");
		}
		if (name === held) {
			await promise;
		}
		return memory.publish(name, publication, options);
	};
	const broker = new Proxy(memory, {
		get: (target, key) => {
			const value: unknown = key === "publish" ? publish : Reflect.get(target, key, target);
			return typeof value === "function" ? value.bind(target) : value;
		},
	});
	return { broker, accept: resolve };
}

/** Sends all at once, and lets the broker accept when everything has been received. */
async function acks(client: Client, accept: () => void, messages: readonly Message[]): Promise<readonly Message[]> {
	for (const message of messages) {
		client.send(message);
	}
	const replies: Message[] = [];
	client.send({ id: "ping", action: "ping" });
	while (replies.filter(({ ack }) => ack !== undefined && ack !== "ping").length < messages.length) {
		const reply = await client.next();
		replies.push(reply);
		if (reply.ack === "ping") {
			accept();
		}
	}
	return replies.filter(({ ack }) => ack !== "ping");
}

const publish = (id: number, more: Message = {}): Message => ({
	id,
	action: "publish",
	channel: "a",
	data: id,
	...more,
});

describe("replies about one channel keep their order, while a publish waits for the broker:", () => {
	it.each<readonly [string, readonly Message[]]>([
		["unsubscribe", [publish(1), publish(2), { id: 3, action: "unsubscribe", channel: "a" }]],
		["subscribe", [publish(1), { id: 2, action: "subscribe", channel: "a" }]],
		["subscribe to several", [publish(1), { id: 2, action: "subscribe", channels: { b: null, a: null } }]],
		["history", [publish(1), { id: 2, action: "history", channel: "a" }]],
		["a publish that is refused at once", [publish(1), { id: 2, action: "publish", channel: "a", patch: {} }]],
		["a publish that the broker refuses at once", [publish(1), publish(2, { name: "refused" }), publish(3)]],
		[
			"all of it",
			[
				publish(1),
				{ id: 2, action: "unsubscribe", channel: "a" },
				publish(3, { name: "refused" }),
				{ id: 4, action: "subscribe", channel: "a" },
				publish(5),
				{ id: 6, action: "history", channel: "a" },
			],
		],
	])("%s", async (_what, messages) => {
		const { broker, accept } = holding("a");
		const { url } = await open({ ...OPEN, broker });
		const client = await enveloped(`${url}/connect`);
		const replies = (await acks(client, accept, messages)).filter(({ ack }) => ack !== undefined);
		expect(replies.map(({ ack }) => ack)).toEqual(messages.map(({ id }) => id));
	});

	it("what was published before a history is in it, and before a subscription not", async () => {
		const { broker, accept } = holding("a");
		const { url } = await open({ ...OPEN, broker });
		const client = await enveloped(`${url}/connect`);
		const [, history, subscribed] = await acks(client, accept, [
			publish(1),
			{ id: 2, action: "history", channel: "a" },
			{ id: 3, action: "subscribe", channel: "a" },
		]);
		expect(history).toMatchObject({ messages: [{ offset: 1, data: 1 }] });
		expect(subscribed).toMatchObject({ ack: 3, position: expect.stringMatching(/:1$/) });
		await client.nothingElse();
	});

	it("a report comes after its own ack", async () => {
		const { broker, accept } = holding("a");
		const { url } = await open({ ...OPEN, broker });
		const client = await enveloped(`${url}/connect`);
		const replies = await acks(client, accept, [publish(1, { report: true }), publish(2)]);
		const all = [...replies, ...(replies.some((reply) => "report" in reply) ? [] : [await client.next()])];
		const at = (wanted: (message: Message) => boolean): number => all.findIndex(wanted);
		expect(at(({ ack }) => ack === 1)).toBeLessThan(at((message) => "report" in message));
	});
});

it("other channels, and other connections, wait for nothing", async () => {
	const { broker, accept } = holding("a");
	const { url } = await open({ ...OPEN, broker });
	const [ann, bob] = [await enveloped(`${url}/connect`), await enveloped(`${url}/connect`)];
	ann.send(publish(1));
	expect(await ann.ask({ action: "publish", channel: "b", data: 1 })).toHaveProperty("position");
	expect(await ann.ask({ action: "unsubscribe", channel: "b" })).not.toHaveProperty("error");
	expect(await bob.ask({ action: "history", channel: "a" })).toMatchObject({ messages: [] });
	accept();
	expect(await ann.next()).toMatchObject({ ack: 1, position: expect.any(String) });
});

it("a state channel's as well", async () => {
	const { broker, accept } = holding("a");
	const states = contract({ channels: { a: channel({ state: true }) } });
	const { url } = await run(createServer(states, { broker, may: { subscribe: { a: true }, publish: { a: true } } }));
	const client = await enveloped(`${url}/connect`);
	const replies = await acks(client, accept, [
		publish(1),
		publish(2, { at: 1 }),
		publish(3, { data: { b: 1 } }),
		{ id: 4, action: "unsubscribe", channel: "a" },
	]);
	expect(replies.map(({ ack }) => ack)).toEqual([1, 2, 3, 4]);
	expect(replies[1]).toMatchObject({ error: { code: "bad_request" } });
});
