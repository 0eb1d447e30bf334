/** Bad input gets a clear answer and harms nobody else. */
import { channel, contract } from "@tidewire/contract";
import { OPCODE } from "@tidewire/websocket";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { createServer } from "../src/server.ts";
import {
	type Client,
	clientFrame,
	enveloped,
	KEY,
	OPEN,
	open,
	plain,
	Raw,
	type Running,
	refusal,
	request,
	run,
	textFrame,
} from "./client.ts";

const MIB = 1024 * 1024;

/** A server that keeps what it logs as errors, and a healthy client on the channel "a". */
let running: Running;
let healthy: Client;
let logged: string[];

beforeEach(async () => {
	logged = [];
	const log = { info() {}, warn() {}, error: (text: string) => logged.push(text) };
	running = await open({ ...OPEN, log, limits: { maxMessageBytes: 64 * 1024 } });
	healthy = await plain(`${running.url}/connect?channel=a`);
});

/** The healthy client still hears what is published. */
async function othersAreWell(): Promise<void> {
	await running.server.channel("a").publish("still here");
	while ((await healthy.frame()) !== '"still here"') {}
	expect(logged).toEqual([]);
}

afterEach(() => {
	expect(Object.keys(Object.prototype)).toEqual([]);
});

describe("messages that are none are answered, and the connection goes on", () => {
	it.each([
		["not JSON", "hello"],
		["half of it", '{"action":"ping"'],
		["nothing", ""],
		["a byte order mark", '\ufeff{"action":"ping"}'],
		["JSON that is no object", "[1,2]"],
		["a number", "7"],
		["null", "null"],
		["an object without an action", "{}"],
		["an action that is no string", '{"action":{"toString":"x"}}'],
		["an empty action", '{"action":""}'],
		["a reserved action", '{"action":"$anything"}'],
		["an id that is none", '{"id":{},"action":"ping"}'],
		["a negative id", '{"id":-1,"action":"ping"}'],
		["an id with a fraction", '{"id":1.5,"action":"ping"}'],
		["nesting without end", `{"action":"ping","x":${"[".repeat(10_000)}${"]".repeat(10_000)}}`],
	])("%s", async (_, text) => {
		const client = await enveloped(`${running.url}/connect`);
		client.send(text);
		const reply = await client.next();
		expect(reply).toMatchObject({ error: { code: "bad_request" } });
		expect(reply).not.toHaveProperty("ack");
		expect(await client.ask({ action: "ping" })).toHaveProperty("ack");
		await othersAreWell();
	});

	it.each([
		["an action that nobody handles", { action: "launch" }, "not_found"],
		["an action called constructor", { action: "constructor" }, "not_found"],
		["an action called __proto__", { action: "__proto__" }, "not_found"],
		["an action called toString", { action: "toString" }, "not_found"],
		["a channel that is no string", { action: "subscribe", channel: 7 }, "bad_request"],
		["a channel that is a list", { action: "publish", channel: ["a"], data: 1 }, "bad_request"],
		["no channel", { action: "subscribe" }, "bad_request"],
		["an empty channel", { action: "subscribe", channel: "" }, "bad_request"],
		["a channel of 201 bytes", { action: "subscribe", channel: "x".repeat(201) }, "bad_request"],
		["a channel with a control character", { action: "subscribe", channel: "a\u0000b" }, "bad_request"],
		["a channel that is not in normal form C", { action: "subscribe", channel: "e\u0301" }, "bad_request"],
		["a reserved channel", { action: "subscribe", channel: "$user" }, "not_found"],
		["a position that is none", { action: "subscribe", channel: "a", since: "x" }, "bad_request"],
		["a position that is a number", { action: "subscribe", channel: "a", since: 5 }, "bad_request"],
		["a rewind that is none", { action: "subscribe", channel: "a", rewind: -1 }, "bad_request"],
		["a policy that is none", { action: "subscribe", channel: "a", policy: "faster" }, "bad_request"],
		["no data", { action: "publish", channel: "a" }, "bad_request"],
		["data and patch", { action: "publish", channel: "a", data: 1, patch: {} }, "bad_request"],
		["a patch, which is not done yet", { action: "publish", channel: "a", patch: {} }, "bad_request"],
		["a ttl of nothing", { action: "publish", channel: "a", data: 1, ttl: 0 }, "bad_request"],
		["an echo that is no truth", { action: "publish", channel: "a", data: 1, echo: "no" }, "bad_request"],
		["base64 that is none", { action: "publish", channel: "a", data: "*", encoding: "base64" }, "bad_request"],
		["echo and exclude", { action: "publish", channel: "a", data: 1, echo: false, exclude: "s" }, "bad_request"],
		["no token", { action: "auth" }, "bad_request"],
		["a token of 1 MB", { action: "auth", token: "x".repeat(60_000) }, "bad_request"],
		["101 channels", { action: "subscribe", channels: manyChannels(101) }, "bad_request"],
		["a limit of nothing", { action: "history", channel: "a", limit: 0 }, "bad_request"],
	])("%s", async (_, message, code) => {
		const client = await enveloped(`${running.url}/connect`);
		expect(await client.ask(message)).toMatchObject({ error: { code, message: expect.any(String) } });
		await othersAreWell();
	});

	it.each([
		'{"action":"subscribe","channel":"a","__proto__":{"polluted":1}}',
		'{"__proto__":{"action":"subscribe"},"action":"ping"}',
		'{"action":"publish","channel":"a","data":{"__proto__":{"polluted":1},"constructor":{"prototype":{"x":1}}}}',
		'{"action":"subscribe","channels":{"__proto__":null,"constructor":null}}',
		'{"action":"publish","channel":"__proto__","data":1}',
	])("S18: %s changes nothing but what it says", async (text) => {
		const client = await enveloped(`${running.url}/connect`);
		client.send(text);
		await client.ask({ action: "ping" });
		expect(({} as { polluted?: number }).polluted).toBeUndefined();
		await othersAreWell();
	});

	it("S18: a channel called __proto__ is a channel", async () => {
		const client = await enveloped(`${running.url}/connect`);
		for (const name of ["__proto__", "constructor", "hasOwnProperty"]) {
			expect(await client.ask({ action: "subscribe", channel: name })).toMatchObject({ channel: name });
			client.send({ action: "publish", channel: name, data: name });
			expect(await client.next()).toMatchObject({ channel: name, offset: 1, data: name });
		}
	});

	it("binary where text is due", async () => {
		const client = await enveloped(`${running.url}/connect`);
		client.send(Buffer.from('{"action":"ping"}'));
		expect(await client.next()).toMatchObject({ error: { code: "bad_request" } });
		const bare = await plain(`${running.url}/connect`);
		bare.send(Buffer.from([1, 2, 3]));
		expect(await bare.next()).toMatchObject({ error: { code: "bad_request" } });
		await othersAreWell();
	});

	it("S19: an array of a million empty items costs its bytes", async () => {
		const client = await enveloped(`${running.url}/connect`);
		client.send(`{"id":1,"action":"publish","channel":"b","data":[${"[],".repeat(20_000)}[]]}`);
		expect(await client.next()).toHaveProperty("position");
		await othersAreWell();
	});
});

function manyChannels(count: number): Record<string, null> {
	return Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index}`, null]));
}

describe("S11: a message of 100 MB", () => {
	it("is refused by its announcement, before its bytes come", async () => {
		const raw = new Raw(running.url);
		await raw.upgrade();
		raw.send(clientFrame(OPCODE.text, "[", 100 * MIB));
		expect(await raw.close()).toMatchObject({ code: 1009 });
		await othersAreWell();
	});

	it("is refused where it is streamed in fragments, and held in memory by nobody", async () => {
		const raw = new Raw(running.url);
		await raw.upgrade();
		const before = process.memoryUsage().arrayBuffers;
		const piece = Buffer.alloc(16 * 1024, "x");
		raw.send(clientFrame(OPCODE.text, piece, undefined, false));
		const continuation = clientFrame(OPCODE.continuation, piece, undefined, false);
		let sent = 0;
		while (sent < 100 * MIB && raw.socket.writable && !raw.ended) {
			sent += piece.length;
			if (!raw.socket.write(continuation)) {
				await new Promise<void>((resolve) => {
					raw.socket.once("drain", resolve);
					raw.socket.once("close", () => resolve());
				});
			}
		}
		expect(await raw.close()).toMatchObject({ code: 1009 });
		expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB);
		await othersAreWell();
	});

	it("at the limit is taken, one byte above it is not", async () => {
		const client = await enveloped(`${running.url}/connect`);
		const fixed = '{"action":"publish","channel":"b","data":""}'.length;
		const message = (bytes: number) => ({ action: "publish", channel: "b", data: "x".repeat(bytes - fixed) });
		client.send(message(64 * 1024));
		expect(await client.ask({ action: "ping" })).toHaveProperty("ack");
		client.send(message(64 * 1024 + 1));
		expect(await client.closed).toMatchObject({ code: 1009 });
		await othersAreWell();
	});
});

describe("frames that break RFC 6455 end their own connection only", () => {
	it.each([
		["S9: an unmasked frame", Buffer.from([0x81, 0x02, 0x68, 0x69]), 1002],
		["a reserved opcode", clientFrame(3 as never, "x"), 1002],
		["a reserved bit", flip(textFrame("x"), 0, 0x40), 1002],
		["a ping of 126 bytes", clientFrame(OPCODE.ping, "x".repeat(126)), 1002],
		["a continuation of nothing", clientFrame(OPCODE.continuation, "x"), 1002],
		["S16: text that is no UTF-8", clientFrame(OPCODE.text, Buffer.from([0xff, 0xfe])), 1007],
		["S17: a close code that nobody may send", clientFrame(OPCODE.close, Buffer.from([0x03, 0xed])), 1002],
	])("%s", async (_, bytes, code) => {
		const raw = new Raw(running.url);
		await raw.upgrade();
		raw.send(bytes);
		expect(await raw.close()).toMatchObject({ code });
		await othersAreWell();
	});

	it("garbage after the handshake", async () => {
		const raw = new Raw(running.url);
		await raw.upgrade();
		raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100));
		expect((await raw.close()).code).toBe(1002);
		await othersAreWell();
	});
});

function flip(bytes: Buffer, at: number, bits: number): Buffer {
	bytes[at]! |= bits;
	return bytes;
}

describe("handshakes that are none", () => {
	it.each([
		["S3: an old version", request("/connect", { "Sec-WebSocket-Version": "8" }), 426],
		["S3: no version", request("/connect", { "Sec-WebSocket-Version": undefined }), 426],
		["S3: a key that is too short", request("/connect", { "Sec-WebSocket-Key": "dGhl" }), 400],
		["S3: a key that is no base64", request("/connect", { "Sec-WebSocket-Key": `${KEY.slice(0, -3)}*==` }), 400],
		["S3: no key", request("/connect", { "Sec-WebSocket-Key": undefined }), 400],
		["S3: another method", request("/connect", {}, "POST /connect HTTP/1.1"), 405],
		["S3: HTTP/1.0", request("/connect", {}, "GET /connect HTTP/1.0"), 400],
		["S1: two keys", request("/connect", { "Sec-WebSocket-Key": `${KEY}\r\nSec-WebSocket-Key: ${KEY}` }), 400],
		["S1: two origins", request("/connect", { Origin: "http://127.0.0.1\r\nOrigin: http://evil.example" }), 400],
		["S6: another protocol", request("/connect", { Upgrade: "h2c" }), 426],
		[
			"S2: subprotocols that are no tokens",
			request("/connect", { "Sec-WebSocket-Protocol": `b${" ".repeat(9_000)}x` }),
			400,
		],
		["S26: a path that is not quite ours", request("/connect/"), 404],
		["S6: a path that is nobody's", request("/other"), 404],
		["S26: a broken escape in a query", request("/connect?channel=%00"), 403],
	])("%s", async (_, text, status) => {
		const raw = new Raw(running.url).send(text);
		expect(await raw.end()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
		await othersAreWell();
	});

	it("a 426 says what would do", async () => {
		const raw = new Raw(running.url).send(request("/connect", { "Sec-WebSocket-Version": "8" }));
		expect(await raw.end()).toMatch(/sec-websocket-version: 13\r\n/i);
	});

	it("S2: extensions with the names of Object's own are none", async () => {
		const raw = new Raw(running.url);
		const head = await raw.upgrade("/connect", {
			"Sec-WebSocket-Extensions": `constructor; __proto__=1, toString, x="${"\\".repeat(5_000)}`,
		});
		expect(head).toMatch(/^HTTP\/1\.1 (101|400) /);
		await othersAreWell();
	});

	it("S1: more headers than Node takes are no crash", async () => {
		const fields = Object.fromEntries(Array.from({ length: 1_500 }, (_, index) => [`x${index}`, "1"]));
		const raw = new Raw(running.url).send(request("/connect", fields));
		await raw.untilText("\r\n\r\n");
		expect(raw.text).toMatch(/^HTTP\/1\.1 (101|4\d\d) /);
		await othersAreWell();
	});

	it("absolute-form targets are read as the origin-form that they mean", async () => {
		const raw = new Raw(running.url);
		expect(await raw.upgrade("http://any.example/connect?channel=a")).toMatch(/^HTTP\/1\.1 101 /);
		await othersAreWell();
		await raw.untilText("still here");
	});

	it("S5: frames in the packet of the request are not lost", async () => {
		const raw = new Raw(running.url);
		raw.send(Buffer.concat([Buffer.from(request()), textFrame({ id: 1, action: "ping" })]));
		await raw.untilText('{"ack":1}');
		const json = new Raw(running.url);
		const head = request("/connect", { "Sec-WebSocket-Protocol": "tidewire.v1.json" });
		json.send(Buffer.concat([Buffer.from(head), textFrame({ id: 1, action: "ping" }).subarray(0, 9)]));
		json.send(textFrame({ id: 1, action: "ping" }).subarray(9));
		await json.untilText('{"ack":1}');
		expect(json.text.indexOf('"hello"')).toBeLessThan(json.text.indexOf('{"ack":1}'));
	});
});

describe("who may not is told so", () => {
	it("publish without permission, an unknown order, wrong data", async () => {
		const order = z.object({ lat: z.number() });
		const { url, server } = await run(
			createServer(contract({ channels: { "order_{orderId}": channel({ data: order }) } }), {
				may: {
					subscribe: { "order_{orderId}": ({ params }) => params.orderId === "123" },
					publish: { "order_{orderId}": ({ params }) => params.orderId === "123" },
				},
			}),
		);
		const watcher = await plain(`${url}/connect?channel=order_123`);
		const client = await enveloped(`${url}/connect`);
		const publish = (name: string, data: unknown) => client.ask({ action: "publish", channel: name, data });
		expect(await publish("order_456", { lat: 1 })).toMatchObject({ error: { code: "forbidden" } });
		expect(await publish("elsewhere", { lat: 1 })).toMatchObject({ error: { code: "not_found" } });
		expect(await publish("order_123", { lat: "1" })).toMatchObject({
			error: { code: "invalid_data", issues: [{ path: ["lat"], message: expect.any(String) }] },
		});
		expect(await client.ask({ action: "subscribe", channel: "order_456" })).toMatchObject({
			error: { code: "forbidden" },
		});
		expect(await client.ask({ action: "history", channel: "order_456" })).toMatchObject({
			error: { code: "forbidden" },
		});
		expect(await refusal(`${url}/connect?channel=order_456`)).toMatchObject({ status: 403 });
		await server.channel("order_123").publish({ lat: 1 });
		expect(await watcher.frame()).toBe('{"lat":1}');
	});
});

describe("a client that connects and never speaks", () => {
	it("is pinged, and given up with 4000 where it does not answer", async () => {
		const { url, server } = await open({ ...OPEN, heartbeat: { intervalMs: 50, timeoutMs: 50 } });
		const raw = new Raw(url);
		await raw.upgrade("/connect?channel=a");
		expect(await raw.close()).toMatchObject({ code: 4000 });
		await raw.end();
		expect(raw.frames.map(({ opcode }) => opcode)).toEqual([OPCODE.ping, OPCODE.close]);
		expect(server.connections).toBe(0);
	});

	it("stays as long as it answers pings", async () => {
		const { url, server } = await open({ ...OPEN, heartbeat: { intervalMs: 20, timeoutMs: 500 } });
		const client = await plain(`${url}/connect?channel=a`);
		for (let pings = 0; pings < 3; pings++) {
			await new Promise((resolve) => client.socket.once("ping", resolve));
		}
		expect(server.connections).toBe(1);
		await client.nothingElse();
	});

	it("nor sends a request: it is no connection yet, and the listener's time limit is what ends it", async () => {
		const raw = new Raw(running.url);
		raw.send("GET /connect HTTP/1.1\r\nHost: x\r\n");
		await othersAreWell();
		expect(running.server.connections).toBe(1);
	});
});

describe("S42: floods behind a message that is held", () => {
	it("are not read on, are all answered in order, and harm nobody", async () => {
		const { promise, resolve } = Promise.withResolvers<boolean>();
		const { url, server } = await run(
			createServer(contract({ channels: { slow: channel(), a: channel() } }), {
				may: { subscribe: { slow: () => promise, a: true }, publish: { a: true } },
			}),
		);
		const watcher = await plain(`${url}/connect?channel=a`);
		const raw = new Raw(url);
		await raw.upgrade();
		raw.send(textFrame({ id: "first", action: "subscribe", channel: "slow" }));
		const flood = Array.from({ length: 20_000 }, (_, index) =>
			textFrame({ id: index, action: "unsubscribe", channel: "nothing" }),
		);
		raw.send(Buffer.concat(flood));
		await server.channel("a").publish(1);
		expect(await watcher.frame()).toBe("1");
		expect(raw.frames).toEqual([]);
		resolve(true);
		await raw.untilText('{"ack":19999}');
		// Pings that ask whether all of this is read are among them.
		const replies = raw.frames.filter(({ opcode }) => opcode === OPCODE.text);
		const acks = replies.map(({ payload }) => (JSON.parse(payload.toString()) as { ack: unknown }).ack);
		expect(acks).toEqual(["first", ...Array.from({ length: 20_000 }, (_, index) => index)]);
	});
});
