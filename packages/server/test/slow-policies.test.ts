/**
 * B8 over sockets that really stall: what each policy gives a subscriber that did not read for a while, and that whatever it
 * did not get was announced in band, with its offsets. What a stall costs the others: `slow-consumer.test.ts`.
 */
import { binary, channel, contract, type SlowPolicy } from "@tidewire/contract";
import { applyPatch } from "@tidewire/protocol/merge-patch";
import { OPCODE } from "@tidewire/websocket";
import { describe, expect, it } from "vitest";
import { createServer } from "../src/server.ts";
import { type Client, clientFrame, enveloped, open, plain, Raw, type Running, run } from "./client.ts";
import { expectEachOffsetToldOf, SlowReader, type Told } from "./slow-reader.ts";

/** More than a socket is given before it answers a ping, and more than the node's log of a channel. */
const MESSAGES = 300;
const BYTES = 10_000;
const KEYS = 3;

/** The value of a message, in JSON or in bytes, that says which it is. */
const asText = (index: number): unknown => ({ index, filling: "x".repeat(BYTES) });
const asBytes = (index: number): Uint8Array => new Uint8Array(BYTES).fill(index % 256);

const indexOf = ({ data }: Told): number =>
	data instanceof Uint8Array ? data[0]! : (data as { readonly index: number }).index % 256;

interface Channel {
	publish(data: never, extras: { readonly key: string }): Promise<string>;
}

/** A subscriber that reads, of a channel whose policy is another: it must miss nothing, as it sets the pace. */
async function reading(url: string): Promise<Client> {
	const healthy = await enveloped(`${url}/connect`);
	expect(await healthy.ask({ action: "subscribe", channel: "a", policy: "catch-up" })).toHaveProperty("position");
	return healthy;
}

/** Some a turn, as fast as the healthy reader takes them. */
async function flood(target: Channel, make: (index: number) => unknown, healthy: Client): Promise<void> {
	for (let index = 1; index <= MESSAGES; index += 10) {
		const some = Array.from({ length: 10 }, (_, at) => index + at);
		await Promise.all(some.map((each) => target.publish(make(each) as never, { key: `k${each % KEYS}` })));
		for (let count = 0; count < 10; count++) {
			await healthy.frame();
		}
	}
}

async function stalled(
	policy: SlowPolicy,
	{ packs = false, bytes = false, history = 10_000 } = {},
): Promise<{ readonly slow: SlowReader; readonly healthy: Client; readonly running: Running<never> }> {
	const declared = contract({
		channels: {
			a: channel({
				slow: policy,
				slowChoices: ["catch-up"],
				history: { messages: history, bytes: 1e9 },
				...(bytes ? { data: binary() } : {}),
			}),
		},
	});
	const running = await run(createServer(declared, { may: { subscribe: { a: true } } }));
	const healthy = await reading(running.url);
	const slow = new SlowReader(running.url, { packs });
	await slow.subscribe();
	slow.stop();
	const make = bytes ? asBytes : asText;
	const target = running.server.channel("a") as Channel;
	await flood(target, make, healthy);
	return { slow, healthy, running: running as unknown as Running<never> };
}

/** Until the head has come, and one more that is published now comes live. */
async function readAll(
	{ slow, running }: Awaited<ReturnType<typeof stalled>>,
	bytes: boolean,
): Promise<readonly Told[]> {
	await slow.read((all) => all.some(({ offset, to }) => (offset ?? to) === MESSAGES));
	const target = (running.server as unknown as { channel(name: string): Channel }).channel("a");
	await target.publish((bytes ? asBytes : asText)(MESSAGES + 1) as never, { key: "k0" });
	const all = await slow.read((messages) => messages.at(-1)?.offset === MESSAGES + 1);
	expectEachOffsetToldOf(all, MESSAGES + 1);
	for (const message of all.filter(({ offset }) => offset !== undefined)) {
		expect(indexOf(message)).toBe(message.offset! % 256);
	}
	return all;
}

const SPEAKERS = [
	["JSON", { packs: false, bytes: false }],
	["JSON, of bytes", { packs: false, bytes: true }],
	["MessagePack", { packs: true, bytes: false }],
	["MessagePack, of bytes", { packs: true, bytes: true }],
] as const;

describe.each(SPEAKERS)("B8: a subscriber that stalls, in %s,", (_speaker, options) => {
	it("catch-up: gets all of it where history has it all", async () => {
		const all = await readAll(await stalled("catch-up", options), options.bytes);
		expect(all).toHaveLength(MESSAGES + 1);
	});

	it("catch-up: gets a gap for what history no longer has", async () => {
		const all = await readAll(await stalled("catch-up", { ...options, history: 20 }), options.bytes);
		const gaps = all.filter(({ event }) => event !== undefined);
		expect(gaps).toMatchObject([{ event: "gap", reason: "slow" }]);
		expect(all.length).toBeLessThan(MESSAGES);
	});

	it("conflate: gets the last of each key", async () => {
		const all = await readAll(await stalled("conflate", options), options.bytes);
		const at = all.findIndex(({ event }) => event === "conflated");
		expect(all[at]).toMatchObject({ to: MESSAGES });
		expect(all.slice(at + 1).map(({ offset, key }) => [offset, key])).toEqual([
			[MESSAGES - 2, "k1"],
			[MESSAGES - 1, "k2"],
			[MESSAGES, "k0"],
			[MESSAGES + 1, "k0"],
		]);
	});

	it("skip: gets a gap, and then what is new", async () => {
		const all = await readAll(await stalled("skip", options), options.bytes);
		expect(all.slice(-2)).toMatchObject([{ event: "gap", to: MESSAGES, reason: "slow" }, { offset: MESSAGES + 1 }]);
	});

	it("disconnect: is closed with 4008", async () => {
		const { slow } = await stalled("disconnect", { ...options, history: 20 });
		await slow.read(() => slow.raw.frames.some(({ opcode }) => opcode === OPCODE.close));
		expect(await slow.raw.close()).toMatchObject({ code: 4008 });
	});
});

describe("B8: a plain subscriber that stalls, of a channel that conflates,", () => {
	it.each([
		["JSON", false, OPCODE.text],
		["bytes", true, OPCODE.binary],
	] as const)("gets the latest values only, as its %s", async (_what, bytes, opcode) => {
		const options = { slow: "conflate", slowChoices: ["catch-up"], ...(bytes ? { data: binary() } : {}) } as const;
		const { url, server } = await run(
			createServer(contract({ channels: { a: channel(options) } }), { may: { subscribe: { a: true } } }),
		);
		const healthy = await reading(url);
		const slow = new Raw(url);
		await slow.upgrade("/connect?channel=a");
		slow.socket.pause();
		await flood(server.channel("a") as Channel, bytes ? asBytes : asText, healthy);
		slow.socket.resume();
		let answered = 0;
		const values = (): readonly number[] =>
			slow.frames
				.filter((frame) => frame.opcode === opcode)
				.map(({ payload }) => indexOf({ data: bytes ? new Uint8Array(payload) : JSON.parse(payload.toString()) }));
		await slow.until(() => {
			const pings = slow.frames.filter((frame) => frame.opcode === OPCODE.ping);
			for (const ping of pings.slice(answered)) {
				slow.send(clientFrame(OPCODE.pong, ping.payload));
			}
			answered = pings.length;
			return values().at(-1) === MESSAGES % 256;
		});
		const missed = values().findIndex((value, at) => value !== (at + 1) % 256);
		expect(missed).toBeGreaterThan(0);
		expect(values().slice(missed)).toEqual([MESSAGES - 2, MESSAGES - 1, MESSAGES].map((each) => each % 256));
	});
});

describe.each([
	["JSON", false],
	["MessagePack", true],
] as const)("B7: a subscriber of a state channel that stalls, in %s,", (_speaker, packs) => {
	it.each([
		["one merged patch", 60, "patch"],
		["the whole value, where the patches have left the node's log,", MESSAGES, "data"],
	] as const)("gets conflated, and then %s that makes of its value the channel's", async (_what, count, content) => {
		const states = contract({ channels: { a: channel({ state: true }) } });
		const { url, server } = await run(createServer(states, { may: { subscribe: { a: true } } }));
		const board = server.channel("a");
		await board.publish({ kept: 1, gone: 1 } as never);
		const slow = new SlowReader(url, { packs });
		await slow.subscribe();
		await slow.read((all) => all.some(({ event }) => event === "state"));
		slow.stop();
		const pacer = await enveloped(`${url}/connect`);
		const filling = "x".repeat(BYTES);
		for (let index = 1; index <= count; index++) {
			await board.patch({ gone: null, [`k${index % KEYS}`]: { index, filling } } as never);
			// So that it is written, as far as it is, before the next.
			await pacer.nothingElse();
		}
		const head = count + 1;
		const all = await slow.read((messages) => messages.some(({ offset }) => offset === head));
		const at = all.findIndex(({ event }) => event === "conflated");
		expect(all.slice(at)).toMatchObject([{ to: head }, { offset: head, [content]: expect.anything() }]);
		expectEachOffsetToldOf([{ event: "gap", from: 1, to: 1 }, ...all.filter(({ event }) => event !== "state")], head);
		const value = all.reduce<unknown>((before, { data, patch }) => {
			const after = patch === undefined ? before : applyPatch(before, patch);
			return data ?? after;
		}, undefined);
		expect(value).toEqual((await board.value()).value);
		expect(value).toMatchObject({ kept: 1, k0: { index: count } });
	});
});

describe("B8: the policy that a subscriber chooses", () => {
	const declared = contract({
		channels: {
			own: channel({ slow: "conflate" }),
			choice: channel({ slow: "conflate", slowChoices: ["catch-up", "skip"] }),
			"@user": channel(),
		},
	});

	it.each([
		["own", "conflate", undefined],
		["own", "catch-up", 'policy "catch-up" in channel "own": allowed is conflate'],
		["choice", "skip", undefined],
		["choice", "disconnect", 'policy "disconnect" in channel "choice": allowed is conflate, catch-up, skip'],
	])("in channel %s: %s", async (name, policy, problem) => {
		const { url } = await run(createServer(declared, { may: { subscribe: { own: true, choice: true } } }));
		const client = await enveloped(`${url}/connect`);
		const reply = await client.ask({ action: "subscribe", channel: name, policy });
		expect(reply.error).toEqual(problem === undefined ? undefined : { code: "forbidden", message: problem });
		const many = await client.ask({ action: "subscribe", channels: { [name]: null }, policy });
		expect(JSON.stringify(many).includes("forbidden")).toBe(problem !== undefined);
	});

	it("is any, where nothing is declared", async () => {
		const { url } = await open();
		const client = await enveloped(`${url}/connect`);
		for (const policy of ["catch-up", "conflate", "skip", "disconnect"]) {
			expect(await client.ask({ action: "subscribe", channel: policy, policy })).toHaveProperty("position");
		}
	});

	it("is what it gets when it stalls, beside others that chose otherwise", async () => {
		const { url, server } = await open();
		const healthy = await plain(`${url}/connect?channel=a`);
		const policies = ["conflate", "skip", "catch-up"] as const;
		const slow = policies.map(() => new SlowReader(url));
		for (const [at, reader] of slow.entries()) {
			await reader.subscribe({ policy: policies[at] });
			reader.stop();
		}
		await flood(server.channel("a") as Channel, asText, healthy);
		const heard = await Promise.all(
			slow.map((reader) => reader.read((all) => all.some(({ offset, to }) => (offset ?? to) === MESSAGES))),
		);
		// A conflated range is announced before what follows of it.
		await slow[0]!.read((all) => all.at(-1)?.offset === MESSAGES);
		for (const messages of heard) {
			expectEachOffsetToldOf(messages, MESSAGES);
		}
		const events = heard.map((messages) => [...new Set(messages.flatMap(({ event }) => event ?? []))]);
		expect(events).toEqual([["conflated"], ["gap"], ["gap"]]);
	});
});
