import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { channel, contract } from "@tidewire/contract";
import { OPCODE } from "@tidewire/websocket";
import { describe, expect, it } from "vitest";
import { createServer } from "../src/server.ts";
import { clientFrame, OPEN, open, plain, Raw, run, textFrame } from "./client.ts";
import { expectEachOffsetToldOf, SlowReader } from "./slow-reader.ts";

const MIB = 1024 * 1024;
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes of buffers that somebody still holds. V8 frees them behind a collection, so collects until no more is freed. */
async function held(): Promise<number> {
	let before = Number.POSITIVE_INFINITY;
	for (;;) {
		collectGarbage();
		await new Promise((resolve) => setImmediate(resolve));
		const { arrayBuffers } = process.memoryUsage();
		if (arrayBuffers >= before) {
			return arrayBuffers;
		}
		before = arrayBuffers;
	}
}
const MESSAGES = 2_000;
const TEXT = "x".repeat(10_000);

/** 20 MB in messages of 10 kB, some a turn, as fast as the healthy reader takes them. */
async function flood(publish: (data: unknown) => Promise<string>, received: () => Promise<unknown>): Promise<void> {
	for (let index = 0; index < MESSAGES; index += 20) {
		const turn = Array.from({ length: 20 }, (_, at) => publish({ index: index + at, TEXT }));
		await Promise.all(turn);
		for (let count = 0; count < 20; count++) {
			await received();
		}
	}
}

describe("F14, S40: a client that does not read", () => {
	it.each<readonly [string, false | { messages: number; bytes?: number }]>([
		["all of it, where history has it all", { messages: 10_000, bytes: 64 * MIB }],
		["a gap, then what history still has", { messages: 100 }],
		["a gap, then what the node still has, where there is no history", false],
	])("costs bounded memory and delays nobody; reading again it gets %s", async (_, history) => {
		const { url, server } = await run(
			createServer(contract({ channels: { a: channel({ history }) } }), {
				may: { subscribe: { a: true } },
			}),
		);
		const healthy = await plain(`${url}/connect?channel=a`);
		const slow = new SlowReader(url);
		await slow.subscribe();
		slow.stop();
		const before = await held();
		await flood(
			(data) => server.channel("a").publish(data),
			() => healthy.frame(),
		);
		const kept = history === false ? 0 : Math.min(MESSAGES * 10_100, history.bytes ?? MIB);
		expect((await held()) - before).toBeLessThan(kept + 24 * MIB);
		expect(server.connections).toBe(2);
		await server.channel("a").publish({ index: "last", TEXT: "" });
		const messages = await slow.read((all) => all.at(-1)?.offset === MESSAGES + 1);
		expectEachOffsetToldOf(messages, MESSAGES + 1);
		const gaps = messages.filter(({ event }) => event === "gap");
		expect(gaps.length > 0).toBe(history === false || history.bytes === undefined);
		await healthy.frame();
	});

	it("plain, is closed with 4008 once it has missed something", async () => {
		const { url, server } = await run(
			createServer(contract({ channels: { a: channel({ history: { messages: 10 } }) } }), {
				may: { subscribe: { a: true } },
			}),
		);
		const healthy = await plain(`${url}/connect?channel=a`);
		const slow = new Raw(url);
		await slow.upgrade("/connect?channel=a");
		slow.socket.pause();
		await flood(
			(data) => server.channel("a").publish(data),
			() => healthy.frame(),
		);
		slow.socket.resume();
		let answered = 0;
		await slow.until(() => {
			const frames = slow.frames;
			const pings = frames.filter(({ opcode }) => opcode === OPCODE.ping);
			for (const ping of pings.slice(answered)) {
				slow.send(clientFrame(OPCODE.pong, ping.payload));
			}
			answered = pings.length;
			return frames.some(({ opcode }) => opcode === OPCODE.close);
		});
		expect(await slow.close()).toMatchObject({ code: 4008 });
	});

	it("S13: nor does a flood of pings that are never read fill the memory", async () => {
		const { url, server } = await open();
		const healthy = await plain(`${url}/connect?channel=a`);
		const raw = new Raw(url);
		await raw.upgrade();
		raw.socket.pause();
		const before = await held();
		const pings = Buffer.concat(Array.from({ length: 500 }, () => clientFrame(OPCODE.ping, "x".repeat(125))));
		// Until the server reads no more, or 60 MB have gone.
		for (let sent = 0; sent < 60 * MIB && raw.socket.writableLength < 8 * MIB; sent += pings.length) {
			raw.send(pings);
			await new Promise((resolve) => setImmediate(resolve));
		}
		const ours = raw.socket.writableLength;
		expect((await held()) - before - ours).toBeLessThan(24 * MIB);
		await server.channel("a").publish(1);
		expect(await healthy.frame()).toBe("1");
	});

	it("nor do repeats of a call with a large reply, as many as a chunk holds; it gets them all as it reads", async () => {
		const { url, server } = await open({
			may: { call: { big: true } },
			actions: { big: () => "x".repeat(200_000) } as never,
		});
		const healthy = await plain(`${url}/connect`);
		const slow = new SlowReader(url);
		await slow.upgrade();
		slow.stop();
		const before = await held();
		slow.raw.send(Buffer.concat(Array.from({ length: 500 }, () => textFrame({ id: 1, action: "big" }))));
		await healthy.nothingElse();
		await healthy.nothingElse();
		expect((await held()) - before).toBeLessThan(24 * MIB);
		expect(server.connections).toBe(2);
		const messages = await slow.read((all) => all.filter(({ ack }) => ack === 1).length === 500);
		expect(messages.filter(({ ack }) => ack === 1)).toHaveLength(500);
	});

	it("but one that reads is left alone, however much it asks for at once", async () => {
		const { url } = await open({
			may: { call: { echo: true } },
			actions: { echo: ({ input }: { input: unknown }) => [input, "x".repeat(1_000)] } as never,
			limits: { maxCalls: 10_000 },
		});
		const client = await plain(`${url}/connect`);
		for (let id = 0; id < 10_000; id++) {
			client.send({ id, action: "echo", input: id });
		}
		for (let count = 0; count < 10_000; count++) {
			expect(await client.next()).toHaveProperty("data");
		}
	});

	it("S41: a thousand pages of history are asked for, but none is read: it gets few, and more as it reads", async () => {
		const { url, server } = await open({ ...OPEN });
		for (let index = 0; index < 90; index++) {
			await server.channel("a").publish(TEXT);
		}
		const slow = new SlowReader(url);
		await slow.upgrade();
		slow.stop();
		const before = await held();
		const asks = Array.from({ length: 100 }, (_, id) => textFrame({ id, action: "history", channel: "a" }));
		slow.raw.send(Buffer.concat(asks));
		await server.channel("a").publish(1);
		const healthy = await plain(`${url}/connect?channel=a`);
		await healthy.nothingElse();
		await healthy.nothingElse();
		expect((await held()) - before).toBeLessThan(24 * MIB);
		expect(server.connections).toBe(2);
		const answered = await slow.read((all) => all.some(({ ack }) => ack === 3));
		expect(answered.filter(({ ack }) => ack !== undefined).map(({ ack }) => ack)).toEqual([0, 1, 2, 3]);
	});
});
