import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Client, type ConnectOptions, connect, type Gap, type Reset, TidewireError } from "../src/index.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeWorld } from "./fake-world.ts";

type Wide = Client<import("@tidewire/contract").Contract>;

let world: FakeWorld;
let server: FakeServer;
let errors: TidewireError[];
const clients: Wide[] = [];

function client(options: ConnectOptions = {}): Wide {
	const made = connect("ws://host/connect", {
		webSocket: world.webSocket,
		environment: world,
		onError: (error) => errors.push(error),
		...options,
	});
	clients.push(made);
	return made;
}

async function connected(options?: ConnectOptions): Promise<Wide> {
	const made = client(options);
	await world.settle();
	expect(made.state).toBe("connected");
	return made;
}

/** The network breaks and is there again a second later. */
async function interruption(): Promise<void> {
	world.socket.end(1006);
	await world.advance(1_000);
}

beforeEach(() => {
	world = new FakeWorld();
	server = new FakeServer(world);
	errors = [];
});

afterEach(async () => {
	for (const made of clients.splice(0)) {
		await Promise.all([made.close(), world.advance(2_000)]);
	}
	expect(world.held).toBe(0);
	expect(world.watchers).toBe(0);
	expect(world.timers).toBe(0);
});

describe("connecting", () => {
	it("offers the enveloped protocol, and takes an http URL for its ws one", async () => {
		const tw = connect("https://host/connect", { webSocket: world.webSocket, environment: world });
		clients.push(tw);
		await tw.ready();
		expect(world.socket).toMatchObject({ url: "wss://host/connect", protocol: "tidewire.v1.json" });
		expect(world.socket.binaryType).toBe("arraybuffer");
		expect(tw.session).toBe("s1");
	});

	it("throws where the URL is none", () => {
		expect(() => connect("no url")).toThrow(TypeError);
	});

	it("tells of each state", async () => {
		const tw = client();
		const states: string[] = [];
		const off = tw.on("state", (state, why) => states.push(why === undefined ? state : `${state} ${why.code}`));
		await world.settle();
		world.socket.end(1012, "restart");
		await world.advance(1_000);
		world.network("offline");
		world.socket.end(1006);
		await world.settle();
		world.network("offline");
		world.network("online");
		await world.settle();
		off();
		await tw.close();
		expect(states).toEqual([
			"connected",
			"waiting unavailable",
			"connecting unavailable",
			"connected",
			"waiting unavailable",
			"offline unavailable",
			"connecting unavailable",
			"connected",
		]);
	});

	it("says the token first, a fresh one for each connection", async () => {
		let count = 0;
		const tw = await connected({
			token: () => {
				count += 1;
				return `t${count}`;
			},
		});
		void tw.channel("a").subscribe(() => {});
		await interruption();
		expect(world.sockets.map((socket) => socket.sent[0])).toMatchObject([
			{ action: "auth", token: "t1" },
			{ action: "auth", token: "t2" },
		]);
		expect(world.socket.sent.map(({ action }) => action)).toEqual(["auth", "resume", "subscribe"]);
	});

	it("reports a token function that fails, and asks it again", async () => {
		let failing = true;
		const tw = client({
			token: () => {
				if (failing) {
					throw new Error("no network");
				}
				return "t";
			},
		});
		await world.settle();
		expect(errors).toMatchObject([{ code: "token_failed", cause: new Error("no network") }]);
		failing = false;
		await world.advance(1_000);
		expect(tw.state).toBe("connected");
	});

	it.each([
		[4001, "unauthenticated"],
		[4003, "forbidden"],
		[4005, "forbidden"],
		[1008, "closed"],
	])("after close code %d everything ends with %s", async (code, expected) => {
		const tw = await connected();
		const ended = vi.fn();
		tw.channel("a").subscribe(() => {}, { onError: ended });
		const loop = tw.channel("b")[Symbol.asyncIterator]().next();
		server.deaf.add("publish");
		const sent = tw.channel("a").publish(1);
		await world.settle();
		world.socket.end(code);
		await expect(loop).rejects.toMatchObject({ code: expected, closeCode: code });
		await expect(sent).rejects.toMatchObject({ code: "unknown_outcome" });
		await expect(tw.ready()).rejects.toMatchObject({ code: expected });
		await expect(tw.action("x")).rejects.toMatchObject({ code: expected });
		expect(ended).toHaveBeenCalledWith(expect.objectContaining({ code: expected }));
		expect(() => tw.channel("c").subscribe(() => {})).toThrow(TidewireError);
		await world.advance(600_000);
		expect(world.sockets).toHaveLength(1);
	});
});

describe("publishing and actions", () => {
	it("resolve with the position and with the output", async () => {
		const tw = await connected();
		expect(await tw.channel("a").publish({ lat: 1 }, { key: "k", ttl: 5, echo: false })).toBe("e1:1");
		expect(await tw.action("contact_driver", { message: "hi" })).toEqual({ message: "hi" });
		expect(server.carriedOut).toMatchObject([
			{ action: "publish", channel: "a", data: { lat: 1 }, key: "k", ttl: 5, echo: false },
			{ action: "contact_driver", input: { message: "hi" } },
		]);
	});

	it("wait for the connection, in order", async () => {
		const tw = client();
		const both = Promise.all([tw.channel("a").publish(1), tw.channel("a").publish(2)]);
		await world.settle();
		expect(await both).toEqual(["e1:1", "e1:2"]);
	});

	it("reject with what the server says", async () => {
		const tw = await connected();
		server.deaf.add("publish");
		const refused = tw.channel("a").publish(1);
		await world.settle();
		const { id: ack } = world.socket.of("publish")[0]!;
		const issues = [{ message: "too far", path: ["lat"] }];
		world.socket.say({ ack, error: { code: "invalid_data", message: "no", retryable: false, issues } });
		await expect(refused).rejects.toMatchObject({ code: "invalid_data", message: "no", issues, retryable: false });
	});

	it("are done once, however often they are sent (B4)", async () => {
		const tw = await connected();
		server.deaf.add("publish");
		const position = tw.channel("a").publish(1);
		await world.advance(11_000);
		expect(world.socket.of("publish")).toHaveLength(3);
		await interruption();
		server.deaf.clear();
		await world.advance(5_000);
		expect(await position).toBe("e1:1");
		expect(server.carriedOut).toHaveLength(1);
		const ids = world.sockets.flatMap((socket) => socket.of("publish").map(({ id }) => id));
		expect(new Set(ids).size).toBe(1);
	});

	it("have an unknown outcome where the session is gone (never resent as new)", async () => {
		const tw = await connected();
		server.deaf.add("publish");
		const lost = tw.channel("a").publish(1);
		await world.settle();
		server.sessions.clear();
		void interruption();
		await expect(lost).rejects.toMatchObject({ code: "unknown_outcome", retryable: false });
		await world.advance(5_000);
		expect(world.socket.of("publish")).toEqual([]);
	});

	it("refuse data that JSON cannot hold", async () => {
		const tw = await connected();
		await expect(tw.channel("a").publish(1n)).rejects.toMatchObject({ code: "bad_request" });
	});

	it("are bounded while there is no connection", async () => {
		server.mute = true;
		const tw = client({ maxRequests: 1 });
		const waits = tw.action("a");
		await expect(tw.action("b")).rejects.toMatchObject({ code: "limit_reached", retryable: true });
		void tw.close();
		await expect(waits).rejects.toMatchObject({ code: "closed" });
	});
});

describe("a streaming reply", () => {
	async function asked(): Promise<{ reply: number; items: AsyncIterableIterator<unknown> }> {
		server.deaf.add("ask");
		const tw = await connected();
		const items = tw.stream("ask", { q: 1 });
		await world.settle();
		return { reply: world.socket.of("ask")[0]!.id, items };
	}

	it("yields each item and ends with the ack", async () => {
		const { reply, items } = await asked();
		world.socket.say({ reply, seq: 0, data: "a" });
		world.socket.say({ reply, seq: 1, data: "b" });
		world.socket.say({ ack: reply });
		const seen: unknown[] = [];
		for await (const item of items) {
			seen.push(item);
		}
		expect(seen).toEqual(["a", "b"]);
		expect(world.socket.of("cancel")).toEqual([]);
	});

	it("is cancelled when the loop is left", async () => {
		const { reply, items } = await asked();
		world.socket.say({ reply, seq: 0, data: "a" });
		for await (const item of items) {
			expect(item).toBe("a");
			break;
		}
		expect(world.socket.of("cancel")).toMatchObject([{ of: reply }]);
	});

	it("ends with an error where an item is missing", async () => {
		const { reply, items } = await asked();
		world.socket.say({ reply, seq: 1, data: "b" });
		await expect(items.next()).rejects.toMatchObject({ code: "protocol" });
	});

	it("ends with an unknown outcome when the connection is lost", async () => {
		const { items } = await asked();
		world.socket.end(1006);
		await expect(items.next()).rejects.toMatchObject({ code: "unknown_outcome" });
	});
});

describe("a subscription", () => {
	it("delivers data and message, and is shared by all that listen in this client", async () => {
		const tw = await connected();
		const [one, two]: unknown[][] = [[], []];
		const offOne = tw.channel("a").subscribe((data, message) => one!.push([data, message.position]));
		const offTwo = tw.channel("a").subscribe((data) => two!.push(data));
		await world.settle();
		expect(world.socket.of("subscribe")).toHaveLength(1);
		expect(tw.channel("a").state).toBe("subscribed");
		server.publish("a", 1);
		offOne();
		server.publish("a", 2);
		expect(world.socket.of("unsubscribe")).toEqual([]);
		offTwo();
		expect(world.socket.of("unsubscribe")).toHaveLength(1);
		server.publish("a", 3);
		expect([one, two]).toEqual([[[1, "e1:1"]], [1, 2]]);
	});

	it("made before a publish gets what is published", async () => {
		const tw = await connected();
		const seen: unknown[] = [];
		tw.channel("a").subscribe((data) => seen.push(data));
		await tw.channel("a").publish(1);
		expect(seen).toEqual([1]);
	});

	it("made before the connection is made with it, 100 to a message", async () => {
		const tw = client();
		for (let count = 0; count < 101; count += 1) {
			tw.channel(`c${count}`).subscribe(() => {});
		}
		await world.settle();
		expect(world.socket.of("subscribe").map(({ channels }) => Object.keys(channels ?? {}).length)).toEqual([100, 0]);
		expect(tw.channel("c0").state).toBe("subscribed");
		expect(tw.channel("c100").state).toBe("subscribed");
	});

	it("goes on from its position after an interruption: everything once and in order (B5)", async () => {
		const tw = await connected();
		const seen: unknown[] = [];
		tw.channel("a").subscribe((data) => seen.push(data));
		await world.settle();
		server.publish("a", 1);
		world.socket.end(1006);
		await world.settle();
		server.publish("a", 2);
		server.publish("a", 3);
		await world.advance(1_000);
		server.publish("a", 4);
		expect(seen).toEqual([1, 2, 3, 4]);
		expect(world.socket.of("subscribe")).toMatchObject([{ channel: "a", since: "e1:1" }]);
	});

	it("is told that continuity is lost when the server's log has begun anew", async () => {
		const tw = await connected();
		const seen: unknown[] = [];
		tw.channel("a").subscribe((data) => seen.push(data), { onReset: (reset) => seen.push(reset) });
		await world.settle();
		server.publish("a", 1);
		world.socket.end(1006);
		await world.settle();
		server.forgetLog("a");
		await world.advance(1_000);
		server.publish("a", 2);
		expect(seen).toEqual([1, { position: "e1x:0", reason: "epoch" } satisfies Reset, 2]);
		expect(errors).toEqual([]);
	});

	it("makes a loss that nobody listens for the client's error: never silent", async () => {
		const tw = await connected();
		tw.channel("a").subscribe(() => {});
		await world.settle();
		world.socket.say({ channel: "a", event: "gap", from: 1, to: 7, reason: "slow" });
		world.socket.say({ channel: "a", event: "gap", from: 8, to: 8, reason: "own" });
		world.socket.say({ channel: "a", event: "reset", position: "e2:0" });
		expect(errors.map(({ code }) => code)).toEqual(["continuity_lost", "continuity_lost"]);
	});

	it("tells of gaps and conflation in their place", async () => {
		const tw = await connected();
		const seen: unknown[] = [];
		const gaps: [string, Gap][] = [];
		tw.on("gap", (channel, gap) => gaps.push([channel, gap]));
		tw.channel("a").subscribe((data) => seen.push(data), {
			onGap: ({ from, to, reason }) => seen.push(`${from}-${to} ${reason}`),
		});
		await world.settle();
		const { socket } = world;
		socket.say({ channel: "a", event: "gap", from: 1, to: 7, reason: "slow" });
		socket.say({ channel: "a", offset: 8, data: "x" });
		socket.say({ channel: "a", event: "conflated", from: 9, to: 20 });
		socket.say({ channel: "a", offset: 15, data: "y" });
		socket.say({ channel: "a", offset: 20, data: "z" });
		socket.say({ channel: "a", offset: 21, data: "!" });
		expect(seen).toEqual(["1-7 slow", "x", "9-20 conflated", "y", "z", "!"]);
		expect(gaps).toHaveLength(2);
	});

	it("is made anew from its position after a hole that nobody announced", async () => {
		const tw = await connected();
		const seen: unknown[] = [];
		const faults: string[] = [];
		tw.channel("a").subscribe((data) => seen.push(data), { onError: ({ code }) => faults.push(code) });
		await world.settle();
		server.publish("a", 1);
		world.socket.say({ channel: "a", offset: 3, data: 3 });
		expect(tw.channel("a").state).toBe("waiting");
		world.socket.say({ channel: "a", offset: 2, data: "stray" });
		server.publish("a", 2);
		await world.advance(2_000);
		expect(faults).toEqual(["protocol"]);
		expect(seen).toEqual([1, 2]);
		expect(world.socket.sent.map(({ action }) => action)).toEqual(["subscribe", "unsubscribe", "subscribe"]);
	});

	it("that is refused ends, and says why", async () => {
		const tw = await connected();
		server.deaf.add("subscribe");
		const told: string[] = [];
		tw.channel("a").subscribe(() => {}, {
			onError: ({ code }) => told.push(code),
			onState: (state) => told.push(state),
		});
		await world.settle();
		world.socket.say({ ack: world.socket.sent.at(-1)!.id, error: { code: "forbidden", message: "not yours" } });
		expect(told).toEqual(["subscribing", "ended", "forbidden"]);
		await world.advance(60_000);
		expect(world.socket.of("subscribe")).toHaveLength(1);
	});

	it("that is refused for the moment is tried again when the server asks for it", async () => {
		const tw = await connected();
		server.deaf.add("subscribe");
		tw.channel("a").subscribe(() => {}, { onError: () => {} });
		await world.settle();
		const error = { code: "rate_limited", message: "slowly", retryable: true, retryAfter: 20 };
		world.socket.say({ ack: world.socket.sent.at(-1)!.id, error });
		server.deaf.clear();
		await world.advance(19_999);
		expect(world.socket.of("subscribe")).toHaveLength(1);
		await world.advance(1);
		expect(tw.channel("a").state).toBe("subscribed");
	});

	it("ends when the server ends it", async () => {
		const tw = await connected();
		const loop = tw.channel("a")[Symbol.asyncIterator]();
		await world.settle();
		world.socket.say({ channel: "a", event: "unsubscribed", error: { code: "forbidden", message: "" } });
		await expect(loop.next()).rejects.toMatchObject({ code: "forbidden" });
		expect(errors).toEqual([]);
	});

	it("is not asked for where its listener leaves on being told", async () => {
		const tw = await connected();
		const off = tw.channel("a").subscribe(() => {}, { onState: () => off() });
		await world.settle();
		expect(server.isSubscribed("a")).toBe(false);
		expect(world.socket.of("subscribe")).toEqual([]);
	});

	it("leaves since and rewind to the first subscriber", async () => {
		const tw = await connected();
		tw.channel("a").subscribe(() => {}, { rewind: 10 });
		await world.settle();
		expect(world.socket.of("subscribe")).toMatchObject([{ channel: "a", rewind: 10 }]);
		expect(() => tw.channel("a").subscribe(() => {}, { since: "e1:3" })).toThrow(TidewireError);
		expect(() => tw.channel("b").subscribe(() => {}, { since: "yesterday" })).toThrow(TidewireError);
	});

	it("survives a listener that throws", async () => {
		const tw = await connected();
		const seen: unknown[] = [];
		tw.channel("a").subscribe(() => {
			throw new Error("the application's own");
		});
		tw.channel("a").subscribe((data) => seen.push(data));
		await world.settle();
		const caught = vi.spyOn(globalThis, "queueMicrotask").mockImplementation(() => {});
		server.publish("a", 1);
		server.publish("a", 2);
		expect(caught).toHaveBeenCalledTimes(2);
		caught.mockRestore();
		expect(seen).toEqual([1, 2]);
	});
});

describe("an async iterator", () => {
	it("yields data, or whole messages with their positions", async () => {
		const tw = await connected();
		const data = tw.channel("a")[Symbol.asyncIterator]();
		const messages = tw.channel("a").messages();
		await world.settle();
		server.publish("a", { lat: 1 });
		expect((await data.next()).value).toEqual({ lat: 1 });
		expect((await messages.next()).value).toEqual({ channel: "a", offset: 1, position: "e1:1", data: { lat: 1 } });
	});

	it("leaves the channel when the loop is left", async () => {
		const tw = await connected();
		const loop = (async () => {
			for await (const _ of tw.channel("a")) {
				break;
			}
		})();
		await world.settle();
		expect(server.isSubscribed("a")).toBe(true);
		server.publish("a", 1);
		await loop;
		await world.settle();
		expect(server.isSubscribed("a")).toBe(false);
	});

	it("ends a reader that is too slow with an error that says where to go on: never a silent hole", async () => {
		const tw = await connected();
		const messages = tw.channel("a").messages({ bufferMessages: 2 });
		await world.settle();
		for (const data of [1, 2, 3, 4]) {
			server.publish("a", data);
		}
		expect((await messages.next()).value?.data).toBe(1);
		expect((await messages.next()).value?.data).toBe(2);
		await expect(messages.next()).rejects.toMatchObject({ code: "reader_too_slow", position: "e1:2" });
		expect(await messages.next()).toMatchObject({ done: true });
	});

	it("ends when its signal is aborted, and when the client is closed", async () => {
		const tw = await connected();
		const abort = new AbortController();
		const aborted = tw.channel("a").messages({ signal: abort.signal }).next();
		const closed = tw.channel("a").messages().next();
		abort.abort();
		await expect(aborted).rejects.toMatchObject({ code: "cancelled" });
		await tw.close();
		expect(await closed).toMatchObject({ done: true });
	});
});

it("history gives messages with their positions", async () => {
	const tw = await connected();
	server.publish("a", "x");
	expect(await tw.channel("a").history({ limit: 5 })).toEqual({
		messages: [{ channel: "a", offset: 1, position: "e1:1", data: "x" }],
		position: "e1:1",
	});
});

it("delivers every offset once and in order, or says so, over any interruptions", async () => {
	const event = fc.constantFrom("publish", "publish", "publish", "duplicate", "interrupt", "cut", "forget", "wait");
	await fc.assert(
		fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (script) => {
			world = new FakeWorld();
			server = new FakeServer(world);
			const tw = client();
			const seen: { epoch: string; offset: number }[] = [];
			let lastReset = "";
			tw.channel("a").subscribe((_, { position, offset }) => seen.push({ epoch: position.split(":")[0]!, offset }), {
				onReset: ({ position }) => {
					lastReset = position;
					seen.push({ epoch: position.split(":")[0]!, offset: Number(position.split(":")[1]) });
				},
			});
			await world.settle();
			for (const happens of script) {
				const { epoch, head } = server.log("a");
				if (happens === "publish") {
					server.publish("a", head + 1);
				} else if (happens === "duplicate" && head > 0 && lastReset !== `${epoch}:0`) {
					world.socket.say({ channel: "a", offset: head, data: "again" });
				} else if (happens === "interrupt") {
					world.socket.end(1006);
				} else if (happens === "cut") {
					server.log("a").entries.splice(0, 3);
				} else if (happens === "forget" && world.socket.readyState === 3) {
					server.forgetLog("a");
				} else if (happens === "wait") {
					await world.advance(40_000);
				}
				await world.settle();
			}
			await world.advance(40_000);
			for (const [index, { epoch, offset }] of seen.entries()) {
				const before = seen[index - 1];
				if (before?.epoch === epoch && `${epoch}:${offset}` !== lastReset) {
					expect(offset).toBeGreaterThan(before.offset);
				}
			}
			const { epoch, head } = server.log("a");
			expect(tw.channel("a").position).toBe(`${epoch}:${head}`);
			await tw.close();
		}),
		{ numRuns: 100 },
	);
});

describe("a question of the protocol", () => {
	it("that has no answer is done when it is written, and is not repeated", async () => {
		const tw = await connected();
		await tw.channel("a").ask("tell", { type: "received", channel: "a", position: "e1:1" });
		expect(world.socket.of("received")).toMatchObject([{ channel: "a", position: "e1:1" }]);
		await world.advance(20_000);
		await interruption();
		expect(world.sockets.flatMap((socket) => socket.of("received"))).toHaveLength(1);
	});

	it("that has one is asked until it is answered", async () => {
		const tw = await connected();
		server.deaf.add("presence");
		const answer = tw.channel("a").ask("again", { type: "presence", channel: "a" });
		await world.advance(5_000);
		expect(world.socket.of("presence")).toHaveLength(2);
		world.socket.say({ ack: world.socket.of("presence")[0]!.id, members: [], count: 0 });
		expect(await answer).toMatchObject({ count: 0 });
	});
});

describe("a durable consumer", () => {
	it("says who it is with each subscribe, alone, and its own position as soon as there is one", async () => {
		const tw = await connected();
		tw.channel("a").subscribe(() => {}, { durable: "phone", since: null });
		tw.channel("b").subscribe(() => {});
		await world.settle();
		server.publish("a", 1);
		await interruption();
		expect(world.sockets.map((socket) => socket.of("subscribe"))).toMatchObject([
			[{ channel: "a", durable: "phone" }, { channel: "b" }],
			[{ channel: "a", durable: "phone", since: "e1:1" }, { channel: "b" }],
		]);
		expect(world.sockets[0]!.of("subscribe")[0]).not.toHaveProperty("since");
	});

	it("whose other device is further goes on from there: that is no loss", async () => {
		const tw = await connected();
		const resets: Reset[] = [];
		tw.channel("a").subscribe(() => {}, { durable: "phone", onReset: (reset) => resets.push(reset) });
		await world.settle();
		world.socket.end(1006);
		server.deaf.add("subscribe");
		await world.advance(1_000);
		const ack = world.socket.of("subscribe")[0]!.id;
		world.socket.say({ ack, channel: "a", position: "e1:7", recovered: true });
		expect(tw.channel("a").position).toBe("e1:7");
		expect(resets).toEqual([]);
	});
});

describe("positions of one's own", () => {
	it("are where a subscription begins, unless it says from where", async () => {
		const positions = new Map([["a", "e1:0"]]);
		const tw = await connected({ positions });
		server.publish("a", 1);
		const seen: unknown[] = [];
		const off = tw.channel("a").subscribe((data) => seen.push(data), { rewind: 5 });
		await world.settle();
		expect(world.socket.of("subscribe")[0]).toMatchObject({ since: "e1:0" });
		expect(world.socket.of("subscribe")[0]).not.toHaveProperty("rewind");
		expect([seen, positions.get("a")]).toEqual([[1], "e1:1"]);
		off();
		expect(positions.size).toBe(0);
		positions.set("a", "e1:0");
		tw.channel("a").subscribe((data) => seen.push(data), { since: null });
		await world.settle();
		expect(seen).toEqual([1]);
	});

	it("of a listener that leaves while it is told are forgotten", async () => {
		const positions = new Map<string, string>();
		const tw = await connected({ positions });
		const off = tw.channel("a").subscribe(() => off());
		await world.settle();
		server.publish("a", 1);
		expect(positions.size).toBe(0);
	});
});
