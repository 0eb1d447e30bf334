/** A state channel's value in the SDK: from the server's snapshot and patches, over reconnects, to who reads it. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Client, connect, type TidewireError } from "../src/index.ts";
import { type State, state } from "../src/state.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeWorld } from "./fake-world.ts";

type Wide = Client<import("@tidewire/contract").Contract>;

let world: FakeWorld;
let server: FakeServer;
let errors: TidewireError[];
let tw: Wide;

beforeEach(async () => {
	world = new FakeWorld();
	server = new FakeServer(world);
	errors = [];
	tw = connect("ws://host/connect", {
		webSocket: world.webSocket,
		environment: world,
		onError: (error) => errors.push(error),
	});
	await world.settle();
});

afterEach(async () => {
	await Promise.all([tw.close(), world.advance(2_000)]);
});

/** Said by the server, and heard. */
async function say(message: object): Promise<void> {
	world.socket.say({ channel: "board", ...message });
	await world.settle();
}

async function begun(data: unknown, position = "e1:0"): Promise<State<unknown, unknown>> {
	const board = state(tw.channel("board"));
	await world.settle();
	await say({ event: "state", position, data });
	return board;
}

describe("the value", () => {
	it("is what the server sent, then patched, or set anew", async () => {
		const board = state(tw.channel("board"));
		expect(board.value).toBeUndefined();
		await world.settle();
		await say({ event: "state", position: "e1:3", data: { a: 1, b: { c: 1 } } });
		expect(board.value).toEqual({ a: 1, b: { c: 1 } });
		await say({ offset: 4, patch: { b: { d: 2 }, a: null } });
		expect(board.value).toEqual({ b: { c: 1, d: 2 } });
		expect(board.position).toBe("e1:4");
		await say({ offset: 5, data: [1] });
		expect(board.value).toEqual([1]);
		expect(errors).toEqual([]);
	});

	it("is none where the channel has none yet, and null where it is null", async () => {
		const board = await begun(null);
		expect(board.value).toBeUndefined();
		await say({ offset: 1, data: null });
		expect(board.value).toBeNull();
	});

	it("of a slow subscriber goes on with one merged patch", async () => {
		const board = await begun({ n: 0 });
		await say({ event: "conflated", from: 1, to: 50 });
		await say({ offset: 50, patch: { n: 50 } });
		await say({ offset: 51, patch: { m: 1 } });
		expect(board.value).toEqual({ n: 50, m: 1 });
		expect(errors).toEqual([]);
	});

	it("goes on after a reconnect that recovered, and begins anew after one that did not", async () => {
		const board = await begun({ n: 0 });
		server.publish("board", { n: 1 });
		await world.settle();
		world.socket.end(1006);
		await world.advance(1_000);
		await say({ offset: 2, patch: { m: 2 } });
		expect(board.value).toEqual({ n: 1, m: 2 });
		server.forgetLog("board");
		world.socket.end(1006);
		await world.advance(1_000);
		await say({ event: "state", position: "e1x:7", data: { n: 9 } });
		await say({ offset: 8, patch: { k: 1 } });
		expect(board.value).toEqual({ n: 9, k: 1 });
		expect(errors).toEqual([]);
	});

	it("takes __proto__ for a member", async () => {
		const board = await begun({});
		world.socket.say('{"channel":"board","offset":1,"patch":{"__proto__":{"polluted":1}}}');
		await world.settle();
		expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
		expect(JSON.stringify(board.value)).toContain("polluted");
	});
});

describe("who reads it", () => {
	it("a listener gets the present value and each after it", async () => {
		const board = await begun({ n: 0 }, "e1:0");
		await say({ offset: 1, patch: { n: 1 } });
		const seen: unknown[] = [];
		const stop = board.subscribe((value, position) => seen.push([value, position]));
		await say({ offset: 2, patch: { n: 2 } });
		stop();
		await say({ offset: 3, patch: { n: 3 } });
		expect(seen).toEqual([
			[{ n: 1 }, "e1:1"],
			[{ n: 2 }, "e1:2"],
		]);
	});

	it("a loop gets the latest, however slow it is, and ends with the state", async () => {
		const board = await begun({ n: 0 });
		for (let offset = 1; offset <= 2_000; offset++) {
			world.socket.say({ channel: "board", offset, patch: { n: offset } });
		}
		await world.settle();
		const values = board[Symbol.asyncIterator]();
		expect(await values.next()).toEqual({ done: false, value: { n: 2_000 } });
		const next = values.next();
		await say({ offset: 2_001, patch: { n: -1 } });
		expect(await next).toEqual({ done: false, value: { n: -1 } });
		const last = values.next();
		board.close();
		expect(await last).toEqual({ done: true, value: undefined });
		expect(board.state).toBe("ended");
	});

	it("a loop over a channel that is refused throws why", async () => {
		const seen: string[] = [];
		const board = state(tw.channel("board"), { onError: (error) => seen.push(error.code) });
		await world.settle();
		const next = board[Symbol.asyncIterator]().next();
		await say({ event: "unsubscribed", error: { code: "forbidden", message: "no" } });
		await expect(next).rejects.toMatchObject({ code: "forbidden" });
		expect(seen).toEqual(["forbidden"]);
	});

	it("shares it with those who have the same handle; on another subscription it is refused", async () => {
		const channel = tw.channel("board");
		const board = state(channel);
		expect(state(channel)).toBe(board);
		expect(() => state(tw.channel("board"))).toThrow("make its state first");
		board.close();
		await world.settle();
		expect(state(channel)).not.toBe(board);
	});
});

describe("changes", () => {
	it("are publishes: the whole value, a patch, or one member", async () => {
		const board = await begun({});
		const done = Promise.all([
			board.set({ a: 1 }, { if: "e1:0" }),
			board.patch({ a: null }),
			board.setKey("ann", { x: 1 }, { ttl: 5 }),
		]);
		await world.settle();
		await done;
		const publishes = server.carriedOut.map(({ id: _, action: __, channel: ___, ...fields }) => fields);
		expect(publishes).toEqual([
			{ data: { a: 1 }, if: "e1:0" },
			{ patch: { a: null } },
			{ data: { x: 1 }, key: "ann", ttl: 5 },
		]);
	});
});
