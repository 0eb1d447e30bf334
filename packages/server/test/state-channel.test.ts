/** State channels over a real WebSocket: what publishers may ask for, and what they and the application are told. */
import { createMemoryCluster } from "@tidewire/broker";
import { channel, contract } from "@tidewire/contract";
import { applyPatch } from "@tidewire/protocol/merge-patch";
import { msgpackClient } from "@tidewire/protocol/msgpack";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { ServerOptions } from "../src/options.ts";
import { createServer } from "../src/server.ts";
import { afterwards, Client, enveloped, MSGPACK_PROTOCOL, plain, type Running, run } from "./client.ts";

const declared = contract({
	channels: {
		"order_{id}": channel({
			state: { maxBytes: 1_000 },
			data: z.object({ lat: z.number(), stops: z.record(z.string(), z.number()).optional() }),
		}),
		board: channel({ state: true }),
		chat: channel(),
	},
});
type Declared = typeof declared;

const EVERYBODY = { "order_{id}": true, board: true, chat: true } as const;
const ANYBODY: ServerOptions<Declared> = { may: { subscribe: EVERYBODY, publish: EVERYBODY } };

const start = (options: ServerOptions<Declared> = ANYBODY): Promise<Running<Declared>> =>
	run(createServer(declared, options));
const connectTo = ({ url }: Running<Declared>): Promise<Client> => enveloped(`${url}/connect`);

describe("publish in a state channel", () => {
	it("takes a whole value, then patches of it; history shows both", async () => {
		const node = await start();
		const client = await connectTo(node);
		const first = await client.ask({ action: "publish", channel: "order_1", data: { lat: 1 } });
		expect(first).toEqual({ ack: expect.anything(), position: expect.stringMatching(/:1$/) });
		await client.ask({ action: "publish", channel: "order_1", patch: { stops: { a: 1 } } });
		expect(await node.server.channel("order_1").value()).toEqual({
			position: expect.stringMatching(/:2$/),
			value: { lat: 1, stops: { a: 1 } },
		});
		const { messages } = await client.ask({ action: "history", channel: "order_1" });
		expect(messages).toEqual([
			{ offset: 1, data: { lat: 1 } },
			{ offset: 2, patch: { stops: { a: 1 } } },
		]);
	});

	it("takes MessagePack likewise", async () => {
		const node = await start();
		const client = await new Client(`${node.url}/connect`, MSGPACK_PROTOCOL).opened();
		await client.next();
		client.send(msgpackClient.encode({ type: "publish", id: 1, channel: "board", patch: { a: [1] } }) as Uint8Array);
		expect(await client.next()).toEqual({ ack: 1, position: expect.any(String) });
		client.send(msgpackClient.encode({ type: "history", id: 2, channel: "board" }) as Uint8Array);
		expect(await client.next()).toMatchObject({ ack: 2, messages: [{ offset: 1, patch: { a: [1] } }] });
	});

	it("sets a member with key, and removes it after its ttl", async () => {
		const node = await start();
		const client = await connectTo(node);
		await client.ask({ action: "subscribe", channel: "board" });
		expect(await client.next()).toMatchObject({ event: "state", data: null });
		client.send({ action: "publish", channel: "board", data: { x: 1 }, key: "ann", ttl: 0.01 });
		expect(await client.next()).toEqual({ channel: "board", offset: 1, key: "ann", patch: { ann: { x: 1 } } });
		expect(await client.next()).toEqual({ channel: "board", offset: 2, patch: { ann: null } });
	});

	it.each([
		["ttl without a key", { data: {}, ttl: 5 }, "ttl needs a key"],
		["echo: false", { patch: {}, echo: false }, "echo: false has no meaning in a state channel"],
		["exclude", { patch: {}, exclude: "s" }, "exclude has no meaning in a state channel"],
	])("refuses %s", async (_, fields, message) => {
		const client = await connectTo(await start());
		const { error } = await client.ask({ action: "publish", channel: "board", ...fields });
		expect(error).toMatchObject({ code: "bad_request", message: expect.stringContaining(message) });
	});

	it("refuses binary data, what the schema does not take, and what is too large", async () => {
		const client = await connectTo(await start());
		const refusedWith = async (fields: object): Promise<unknown> => {
			const { error } = await client.ask({ action: "publish", channel: "order_1", ...fields });
			return (error as { code: string }).code;
		};
		expect(await refusedWith({ data: "AAAA", encoding: "base64" })).toBe("invalid_data");
		expect(await refusedWith({ data: { lat: "far" } })).toBe("invalid_data");
		expect(await refusedWith({ patch: { stops: {} } })).toBe("invalid_data");
		const stops = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`stop${n}`, n]));
		expect(await refusedWith({ data: { lat: 1, stops } })).toBe("too_large");
	});

	it("is refused as a patch in a channel that is no state channel", async () => {
		const client = await connectTo(await start());
		const { error } = await client.ask({ action: "publish", channel: "chat", patch: { a: 1 } });
		expect(error).toMatchObject({
			code: "bad_request",
			message: 'channel "chat" is no state channel: it takes data, not a patch',
		});
	});
});

describe("a subscriber", () => {
	it("gets the value after the reply and at its position, then patches", async () => {
		const node = await start();
		await node.server.channel("board").publish({ a: 1 });
		const client = await connectTo(node);
		client.send({ id: 1, action: "subscribe", channel: "board" });
		const { position } = await client.next();
		expect(await client.next()).toEqual({ channel: "board", event: "state", position, data: { a: 1 } });
		await node.server.channel("board").patch({ b: 1 });
		expect(await client.next()).toEqual({ channel: "board", offset: 2, patch: { b: 1 } });
		await client.nothingElse();
	});

	it("that comes back recovers what it missed, without the value", async () => {
		const node = await start();
		const position = await node.server.channel("board").publish({ a: 1 });
		await node.server.channel("board").patch({ a: 2 });
		const client = await connectTo(node);
		client.send({ id: 1, action: "subscribe", channel: "board", since: position });
		expect(await client.next()).toEqual({ ack: 1, channel: "board", position, recovered: true });
		expect(await client.next()).toEqual({ channel: "board", offset: 2, patch: { a: 2 } });
		client.send({ id: 2, action: "subscribe", channel: "order_1", since: "other:7" });
		expect(await client.next()).toMatchObject({ ack: 2, recovered: false, position: expect.stringMatching(/:0$/) });
		expect(await client.next()).toMatchObject({ channel: "order_1", event: "state", data: null });
	});

	it("of many channels at once gets the reply, then each value", async () => {
		const node = await start();
		await node.server.channel("order_1").publish({ lat: 1 });
		await node.server.channel("order_2").publish({ lat: 2 });
		const client = await connectTo(node);
		client.send({ id: 1, action: "subscribe", channels: { order_1: null, order_2: null, chat: null } });
		expect(await client.next()).toMatchObject({ ack: 1, channels: [{}, {}, {}] });
		expect(await client.next()).toMatchObject({ channel: "order_1", event: "state", data: { lat: 1 } });
		expect(await client.next()).toMatchObject({ channel: "order_2", event: "state", data: { lat: 2 } });
		await client.nothingElse();
	});

	it("that is plain gets whole values", async () => {
		const node = await start({ ...ANYBODY, routes: { "/track?id={id}": { channels: ["order_{id}"] } } });
		await node.server.channel("order_5").publish({ lat: 1 });
		const client = await plain(`${node.url}/track?id=5`);
		expect(await client.next()).toEqual({ lat: 1 });
		await node.server.channel("order_5").patch({ stops: { a: 1 } });
		expect(await client.next()).toEqual({ lat: 1, stops: { a: 1 } });
	});

	it("on another node sees every change", async () => {
		const cluster = createMemoryCluster();
		afterwards(() => cluster.close());
		const one = await start({ ...ANYBODY, broker: cluster.node() });
		const two = await start({ ...ANYBODY, broker: cluster.node() });
		await one.server.channel("board").publish({ n: 0 });
		const client = await connectTo(two);
		await client.ask({ action: "subscribe", channel: "board" });
		let value = (await client.next()).data;
		await Promise.all(
			Array.from({ length: 40 }, (_, n) => (n % 2 ? one : two).server.channel("board").patch({ [`k${n}`]: n })),
		);
		for (let n = 0; n < 40; n++) {
			const message = await client.next();
			expect(message.offset).toBe(n + 2);
			value = applyPatch(value, message.patch);
		}
		expect(value).toEqual((await one.server.channel("board").value()).value);
	});
});

describe("compare-and-set", () => {
	it("answers a conflict with the present position and value", async () => {
		const client = await connectTo(await start());
		const { position } = await client.ask({ action: "publish", channel: "board", data: { n: 1 } });
		const second = await client.ask({ action: "publish", channel: "board", patch: { n: 2 }, if: position as string });
		expect(second.error).toBeUndefined();
		const late = await client.ask({ action: "publish", channel: "board", patch: { n: 3 }, if: position as string });
		expect(late.error).toEqual({
			code: "conflict",
			message: expect.stringContaining(String(position)),
			position: second.position,
			data: { n: 2 },
		});
	});

	it("does not tell the value to a publisher that may not read it", async () => {
		const client = await connectTo(await start({ may: { publish: { board: true } } }));
		await client.ask({ action: "publish", channel: "board", data: { secret: 1 } });
		const { error } = await client.ask({ action: "publish", channel: "board", data: {}, if: "other:1" });
		expect(error).toEqual({ code: "conflict", message: expect.any(String), position: expect.any(String) });
	});

	it("S18 a client that provokes conflicts and reads none of them gets the value in few of them", async () => {
		const client = await connectTo(await start());
		const data = "x".repeat(200_000);
		await client.ask({ action: "publish", channel: "board", data });
		for (let n = 0; n < 50; n++) {
			client.send({ id: `late${n}`, action: "publish", channel: "board", data: 1, if: "other:1" });
		}
		let values = 0;
		for (let n = 0; n < 50; n++) {
			const { error } = (await client.next()) as { error: { code: string; data?: unknown } };
			expect(error.code).toBe("conflict");
			values += error.data === undefined ? 0 : 1;
		}
		expect(values).toBeGreaterThan(0);
		expect(values).toBeLessThan(50);
	});

	it("repeated under its id gets the first reply", async () => {
		const client = await connectTo(await start());
		const { position } = await client.ask({ action: "publish", channel: "board", data: { n: 1 } });
		const again = { id: 7, action: "publish", channel: "board", patch: { n: 2 }, if: position as string };
		const first = await client.ask(again);
		expect(await client.ask(again)).toEqual(first);
	});
});

describe("two nodes on one broker", () => {
	it("write to one channel at once over their clients, and lose no update", async () => {
		const cluster = createMemoryCluster();
		afterwards(() => cluster.close());
		const nodes = [
			await start({ ...ANYBODY, broker: cluster.node() }),
			await start({ ...ANYBODY, broker: cluster.node() }),
		];
		const clients = await Promise.all(nodes.map(connectTo));
		for (const [writer, client] of clients.entries()) {
			for (let n = 0; n < 50; n++) {
				client.send({ id: n, action: "publish", channel: "board", patch: { [`${writer}.${n}`]: n } });
			}
		}
		for (const client of clients) {
			for (let n = 0; n < 50; n++) {
				expect(await client.next()).toEqual({ ack: n, position: expect.any(String) });
			}
		}
		for (const { server } of nodes) {
			const { value, position } = await server.channel("board").value();
			expect(Object.keys(value as object)).toHaveLength(100);
			expect(position).toMatch(/:100$/);
		}
	});
});

describe("the application", () => {
	it("reads, patches and sets, under compare-and-set", async () => {
		const { server } = await start();
		const order = server.channel("order_9");
		expect((await order.value()).value).toBeUndefined();
		const first = await order.publish({ lat: 1 });
		const second = await order.patch({ stops: { a: 1 } }, { ifPosition: first });
		expect(await order.value()).toEqual({ position: second, value: { lat: 1, stops: { a: 1 } } });
		await order.setKey("stops", { b: 2 });
		expect((await order.value()).value).toEqual({ lat: 1, stops: { b: 2 } });
		await expect(order.patch({ lat: 2 }, { ifPosition: first })).rejects.toMatchObject({
			code: "conflict",
			position: expect.stringMatching(/:3$/),
		});
	});

	it("is refused what has no meaning there", async () => {
		const { server } = await start();
		const board = server.channel("board");
		await expect(board.publish({}, { exclude: "s" })).rejects.toMatchObject({ code: "bad_option" });
		await expect(board.publish({}, { ttlMs: 5 })).rejects.toMatchObject({ code: "bad_option" });
		await expect(board.publishAt(Date.now() + 1_000, {})).rejects.toMatchObject({ code: "bad_option" });
		await expect(board.publish(new Uint8Array(1))).rejects.toMatchObject({ code: "invalid_data" });
		await expect(server.broadcast("board", {})).rejects.toMatchObject({ code: "invalid_data" });
		await expect(server.channel("order_1").publish({ lat: "x" } as never)).rejects.toMatchObject({
			code: "invalid_data",
			issues: [{ path: ["lat"] }],
		});
	});

	it("does a change once for one idempotency key", async () => {
		const { server } = await start();
		const board = server.channel("board");
		const first = await board.patch({ n: 1 }, { idempotencyKey: "k" });
		await board.patch({ n: 2 });
		expect(await board.patch({ n: 1 }, { idempotencyKey: "k" })).toBe(first);
		expect((await board.value()).value).toEqual({ n: 2 });
	});
});
