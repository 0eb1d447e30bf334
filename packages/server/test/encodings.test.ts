/**
 * One channel, three wire protocols: what a JSON, a MessagePack and a plain client get of what each of them publishes, live
 * and from history. PROTOCOL.md, "Data".
 */
import { binary, channel, contract } from "@tidewire/contract";
import { msgpackClient } from "@tidewire/protocol/msgpack";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createServer } from "../src/server.ts";
import { Client, enveloped, type Message, MSGPACK_PROTOCOL, plain, run } from "./client.ts";

const declared = contract({
	channels: {
		open: channel(),
		bytes: channel({ data: binary() }),
		typed: channel({ data: z.looseObject({}) }),
	},
});

type Name = keyof typeof declared.channels;

/** A client that speaks MessagePack; what is asked is written as in JSON. */
class Packed {
	readonly client: Client;

	constructor(client: Client) {
		this.client = client;
	}

	/** `message` as the protocol's types have it. */
	async ask(message: Parameters<typeof msgpackClient.encode>[0]): Promise<Message> {
		return this.askRaw(msgpackClient.encode(message) as Uint8Array);
	}

	async askRaw(frame: Uint8Array): Promise<Message> {
		this.client.send(frame);
		for (;;) {
			const reply = await this.client.next();
			if (reply.ack !== undefined) {
				return reply;
			}
		}
	}
}

async function packed(url: string): Promise<Packed> {
	const client = await new Client(`${url}/connect`, MSGPACK_PROTOCOL).opened();
	await client.next();
	return new Packed(client);
}

/** A server, a publisher of each kind and a subscriber of each kind, all in one channel. */
async function everybody(name: Name) {
	const { url, server } = await run(
		createServer(declared, {
			may: {
				subscribe: { open: true, bytes: true, typed: true },
				publish: { open: true, bytes: true, typed: true },
			},
			routes: { "/say": { publish: name } },
		}),
	);
	const json = await enveloped(`${url}/connect`);
	await json.ask({ action: "subscribe", channel: name });
	const pack = await packed(url);
	await pack.ask({ type: "subscribe", id: 1, targets: [{ channel: name, since: null }], many: false });
	const bare = await plain(`${url}/connect?channel=${name}`);
	const speakers = {
		json: await enveloped(`${url}/connect`),
		pack: await packed(url),
		bare: await plain(`${url}/say`),
	};
	return {
		speakers,
		destination: server.channel(name),
		/** The next message, as each subscriber has it: JSON's as text. */
		heard: async () => ({
			json: (await json.frame()) as string,
			pack: await pack.client.next(),
			bare: await bare.frame(),
		}),
		/** The history, as each has it. */
		history: async () => {
			json.send({ id: "h", action: "history", channel: name });
			bare.send({ id: "h", action: "history", channel: name });
			return {
				json: (await json.frame()) as string,
				pack: await pack.ask({ type: "history", id: 2, channel: name }),
				bare: (await bare.frame()) as string,
			};
		},
	};
}

const BYTES = Uint8Array.from({ length: 300 }, (_, at) => at % 256);
const BASE64 = Buffer.from(BYTES).toString("base64");

type Everybody = Awaited<ReturnType<typeof everybody>>;

/** The ways to publish bytes. */
const BYTE_PUBLISHERS: readonly (readonly [
	string,
	(all: Everybody, name: Name, bytes: Uint8Array) => Promise<unknown>,
])[] = [
	[
		"JSON",
		({ speakers }, name, bytes) =>
			speakers.json.ask({
				action: "publish",
				channel: name,
				data: Buffer.from(bytes).toString("base64"),
				encoding: "base64",
			}),
	],
	[
		"MessagePack",
		({ speakers }, name, bytes) => speakers.pack.ask({ type: "publish", id: bytes.length, channel: name, data: bytes }),
	],
	["a plain client", async ({ speakers }, _name, bytes) => speakers.bare.send(bytes)],
	["the server's own code", ({ destination }, _name, bytes) => destination.publish(bytes as never)],
];

describe.each(["bytes", "open"] as const)("bytes in channel %s,", (name) => {
	it.each(BYTE_PUBLISHERS)("published by %s, are the same bytes to all, live and in history", async (_who, publish) => {
		const all = await everybody(name);
		await publish(all, name, BYTES);
		const { json, pack, bare } = await all.heard();
		expect(json).toBe(`{"channel":"${name}","offset":1,"data":"${BASE64}","encoding":"base64"}`);
		expect(pack).toEqual({ channel: name, offset: 1, data: BYTES });
		expect(bare).toEqual(Buffer.from(BYTES));
		const history = await all.history();
		const rows = `"messages":[{"offset":1,"data":"${BASE64}","encoding":"base64"}]`;
		expect([history.json.includes(rows), history.bare.includes(rows)]).toEqual([true, true]);
		expect(history.pack).toMatchObject({ messages: [{ offset: 1, data: BYTES }] });
	});

	it.each(BYTE_PUBLISHERS)("may be none, or as many as a message may have: by %s", async (who, publish) => {
		const all = await everybody(name);
		const large = new Uint8Array(who === "the server's own code" ? 3_000_000 : 190_000).fill(0xc1);
		for (const bytes of [new Uint8Array(0), large]) {
			await publish(all, name, bytes);
			const { json, pack, bare } = await all.heard();
			expect(JSON.parse(json)).toMatchObject({ data: Buffer.from(bytes).toString("base64"), encoding: "base64" });
			expect(Buffer.compare(pack.data as Uint8Array, bytes)).toBe(0);
			expect(Buffer.compare(bare as Buffer, bytes)).toBe(0);
		}
	});
});

describe("a channel of bytes", () => {
	const REFUSED = { error: { code: "invalid_data", message: expect.stringContaining("this channel carries bytes") } };

	it("refuses JSON, however it comes", async () => {
		const { speakers, destination } = await everybody("bytes");
		expect(await speakers.json.ask({ action: "publish", channel: "bytes", data: "AAAA" })).toMatchObject(REFUSED);
		expect(await speakers.pack.ask({ type: "publish", id: 1, channel: "bytes", data: [1, 2, 3] })).toMatchObject(
			REFUSED,
		);
		speakers.bare.send('"AAAA"');
		expect(await speakers.bare.next()).toMatchObject(REFUSED);
		await expect(destination.publish("AAAA" as never)).rejects.toMatchObject({ code: "invalid_data" });
	});

	it("carries whatever the application packs into it, MessagePack that JSON cannot hold included", async () => {
		const all = await everybody("bytes");
		// A timestamp (extension -1), and 2^64-1 under the key 1.
		const own = Buffer.from("92d6ff0000000081 01cfffffffffffffffff".replace(" ", ""), "hex");
		await all.speakers.pack.ask({ type: "publish", id: 1, channel: "bytes", data: own });
		expect((await all.heard()).pack.data).toEqual(new Uint8Array(own));
	});
});

describe("a channel whose schema is for JSON", () => {
	it.each(BYTE_PUBLISHERS.slice(0, 2))(
		"refuses bytes of %s, also where the schema would take them for an object",
		async (_who, publish) => {
			const all = await everybody("typed");
			expect(await publish(all, "typed", BYTES)).toMatchObject({
				error: { code: "invalid_data", message: "this channel carries JSON values, the data is bytes" },
			});
			await expect(all.destination.publish(BYTES as never)).rejects.toMatchObject({ code: "invalid_data" });
		},
	);
});

describe("a JSON publisher's text", () => {
	const TEXT = '{"p":1.0,"n":12345678901234567890,"e":1e400,"z":-0,"2":0,"1":[1e2],"twice":1,"twice":2}';

	it("reaches JSON and plain subscribers as it is, live and in history", async () => {
		const all = await everybody("open");
		all.speakers.json.send(`{"id":1,"action":"publish","channel":"open","data": ${TEXT} }`);
		const { json, bare } = await all.heard();
		expect(json).toBe(`{"channel":"open","offset":1,"data":${TEXT}}`);
		expect(bare).toBe(TEXT);
		const history = await all.history();
		expect(history.json).toContain(`"messages":[{"offset":1,"data":${TEXT}}]`);
		expect(history.bare).toContain(`"messages":[{"offset":1,"data":${TEXT}}]`);
	});

	it("reaches MessagePack subscribers as the value that it is in doubles: nil beyond them, no -0, the last of two names", async () => {
		const all = await everybody("open");
		all.speakers.json.send(`{"id":1,"action":"publish","channel":"open","data":${TEXT}}`);
		const value = { p: 1, n: Number("12345678901234567890"), e: null, z: 0, 2: 0, 1: [100], twice: 2 };
		expect((await all.heard()).pack).toEqual({ channel: "open", offset: 1, data: value });
		expect((await all.history()).pack).toMatchObject({ messages: [{ offset: 1, data: value }] });
	});

	it("with half a surrogate pair reaches JSON as it is, MessagePack with U+FFFD in its place", async () => {
		const all = await everybody("open");
		all.speakers.json.send('{"action":"publish","channel":"open","data":"a\\ud800"}');
		const { json, pack } = await all.heard();
		expect(json).toContain('"a\\ud800"');
		expect(pack.data).toBe("a\ufffd");
	});
});

describe("a MessagePack publisher's value", () => {
	it("reaches JSON and plain subscribers as JSON.stringify would write it", async () => {
		const all = await everybody("open");
		const data = {
			whole: 2 ** 53 - 1,
			least: -(2 ** 53 - 1),
			half: 0.5,
			text: "ä\u0000",
			list: [null, true],
			["__proto__"]: 1,
		};
		await all.speakers.pack.ask({ type: "publish", id: 1, channel: "open", data });
		const { json, pack, bare } = await all.heard();
		expect(bare).toBe(JSON.stringify(data));
		expect(json).toBe(`{"channel":"open","offset":1,"data":${JSON.stringify(data)}}`);
		expect(pack.data).toEqual(data);
	});

	/** `{"action":"publish","id":1,"channel":…,"data":…}`, the data given as MessagePack. */
	function publishOf(name: Name, data: string): Uint8Array {
		const text = (value: string): Buffer => Buffer.concat([Buffer.of(0xa0 | value.length), Buffer.from(value)]);
		return Buffer.concat([
			Buffer.of(0x84),
			...["action", "publish"].map(text),
			text("id"),
			Buffer.of(1),
			...["channel", name, "data"].map(text),
			Buffer.from(data, "hex"),
		]);
	}

	it.each([
		["2^53", "cf0020000000000000", "an integer beyond 2^53-1"],
		["-2^53", "d3ffe0000000000000", "an integer beyond 2^53-1"],
		["NaN", "cb7ff8000000000000", "a number that is not finite"],
		["an infinity", "caff800000", "a number that is not finite"],
		["a key that is a number", "810102", "a key that is not a string"],
		["a timestamp", "d6ff00000000", "an extension type"],
		["bytes inside a value", "91c40101", "binary data inside a value"],
	])(
		"of %s, which JSON cannot hold, is invalid_data in every channel, in words that say why",
		async (_what, data, why) => {
			for (const name of ["open", "typed", "bytes"] as const) {
				const { speakers, heard, destination } = await everybody(name);
				expect(await speakers.pack.askRaw(publishOf(name, data))).toEqual({
					ack: 1,
					error: { code: "invalid_data", message: `the message holds ${why}, which JSON cannot` },
				});
				// Nothing has come of it.
				await destination.publish((name === "bytes" ? BYTES : { a: 1 }) as never);
				expect((await heard()).pack).toMatchObject({ offset: 1 });
			}
		},
	);
});
