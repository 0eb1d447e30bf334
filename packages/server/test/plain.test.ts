import { action, channel, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createServer } from "../src/server.ts";
import { enveloped, open, plain, refusal, run } from "./client.ts";

const delivery = contract({
	channels: { "order_{orderId}": channel(), "chat:{room}": channel() },
	actions: { contact_driver: action({ input: z.object({ message: z.string() }) }) },
});

function deliveryServer(messages: unknown[] = []) {
	return createServer(delivery, {
		may: {
			subscribe: { "order_{orderId}": ({ params }) => params.orderId !== "456", "chat:{room}": true },
			publish: { "chat:{room}": true },
			call: { contact_driver: true },
		},
		routes: {
			"/track?orderId={orderId}": { channels: ["order_{orderId}"] },
			"/chat/{room}": { channels: ["chat:{room}"], publish: "chat:{room}" },
		},
		actions: {
			contact_driver: ({ input, params }) => {
				messages.push([params.orderId, input.message]);
			},
		},
	});
}

describe("the plain protocol, to the letter", () => {
	it("answers the smallest useful exchange with exactly an ack", async () => {
		const messages: unknown[] = [];
		const { url } = await run(deliveryServer(messages));
		const client = await plain(`${url}/track?orderId=123`);
		client.send(`{"id":"msg_123","action":"contact_driver","message":"I'm waiting outside"}`);
		expect(await client.frame()).toBe('{"ack":"msg_123"}');
		expect(messages).toEqual([["123", "I'm waiting outside"]]);
	});

	it.each([
		`{"lat":40.7128,"lng":-74.006,"eta":"3 minutes"}`,
		`{"p":1.0,"n":12345678901234567890,"2":0,"1":0}`,
		`{ "spaces" : [ 1 , 2 ] }`,
		`{"__proto__":{"x":1},"a":1}`,
		`{"a":1,"a":2}`,
		`"text"`,
		`1e400`,
		`null`,
		`{"emoji":"🚗","escaped":"\\u00e9\\ud83d\\ude97"}`,
	])("delivers %s as exactly that text", async (text) => {
		const { url } = await open();
		const client = await plain(`${url}/connect?channel=order_123`);
		const publisher = await enveloped(`${url}/connect`);
		publisher.send(`{"id":1,"action":"publish","channel":"order_123","data": ${text} }`);
		expect(await client.frame()).toBe(text);
	});

	it("publishes a message without action to the route's channel, as it is", async () => {
		const { url } = await run(deliveryServer());
		const [ann, bob] = [await plain(`${url}/chat/lobby`), await plain(`${url}/chat/lobby`)];
		ann.send(' {"type":"message","text":"Hello","n":1.0} ');
		expect(await bob.frame()).toBe('{"type":"message","text":"Hello","n":1.0}');
		expect(await ann.frame()).toBe('{"type":"message","text":"Hello","n":1.0}');
		ann.send(Buffer.from([1, 2, 3]));
		expect(await bob.frame()).toEqual(Buffer.from([1, 2, 3]));
	});

	it("refuses a message without action where the route publishes nowhere", async () => {
		const { url } = await run(deliveryServer());
		const client = await plain(`${url}/track?orderId=123`);
		client.send("[1,2,3]");
		expect(await client.next()).toMatchObject({ error: { code: "bad_request" } });
	});

	it("subscribes before the 101: what is published from then on arrives", async () => {
		const { url, server } = await run(deliveryServer());
		const client = await plain(`${url}/track?orderId=123`);
		await server.channel("order_123").publish({ lat: 1 });
		expect(await client.frame()).toBe('{"lat":1}');
	});

	it("gives an order's messages to nobody else", async () => {
		const { url, server } = await run(deliveryServer());
		const [one, two] = [await plain(`${url}/track?orderId=123`), await plain(`${url}/track?orderId=124`)];
		await server.channel("order_124").publish("for two");
		expect(await two.frame()).toBe('"for two"');
		await one.nothingElse();
	});

	it("refuses a channel that is not allowed with 403, before the upgrade", async () => {
		const { url, server } = await run(deliveryServer());
		expect(await refusal(`${url}/track?orderId=456`)).toMatchObject({ status: 403 });
		expect(await refusal(`${url}/connect?channel=order_123&channel=order_456`)).toMatchObject({ status: 403 });
		expect(await refusal(`${url}/connect?channel=unknown`)).toMatchObject({ status: 403 });
		expect(server.connections).toBe(0);
	});

	it.each(["/track", "/track?orderId=1&orderId=2", "/track?orderId=", "/track?orderId=a:b"])(
		"refuses %s with 400: the path names no order",
		async (path) => {
			const { url } = await run(deliveryServer());
			expect(await refusal(`${url}${path}`)).toMatchObject({ status: 400 });
		},
	);

	it("takes subscribe and unsubscribe as enveloped clients do, and answers in the same words", async () => {
		const { url, server } = await run(deliveryServer());
		const client = await plain(`${url}/connect`);
		client.send({ id: 1, action: "subscribe", channel: "order_1" });
		expect(await client.next()).toEqual({ ack: 1, channel: "order_1", position: expect.stringMatching(/^[^:]+:0$/) });
		await server.channel("order_1").publish(1);
		expect(await client.frame()).toBe("1");
		client.send({ id: 2, action: "unsubscribe", channel: "order_1" });
		expect(await client.frame()).toBe('{"ack":2}');
		await server.channel("order_1").publish(2);
		await client.nothingElse();
	});

	it("refuses only unknown subprotocols with 400", async () => {
		const { url } = await open();
		expect(await refusal(`${url}/connect`, { protocols: ["mqtt", "graphql-ws"] })).toMatchObject({ status: 400 });
	});

	it("echo:false works without a session's name", async () => {
		const { url } = await open();
		const [ann, bob] = [await plain(`${url}/connect?channel=a`), await plain(`${url}/connect?channel=a`)];
		ann.send({ id: 1, action: "publish", channel: "a", data: 1, echo: false });
		expect(await bob.frame()).toBe("1");
		expect(await ann.next()).toMatchObject({ ack: 1 });
		await ann.nothingElse();
	});
});
