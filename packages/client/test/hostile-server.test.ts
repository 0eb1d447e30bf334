/** S45: what a server may do to this client, and what comes of it. */
import { beforeEach, expect, it } from "vitest";
import { type Client, connect, type TidewireError } from "../src/index.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeWorld } from "./fake-world.ts";

let world: FakeWorld;
let server: FakeServer;
let errors: TidewireError[];
let tw: Client<import("@tidewire/contract").Contract>;

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

const HELLO = { version: 1, session: "s", resume: "r", heartbeat: 30, window: 300, durability: "memory", node: "n" };

it.each([
	["not JSON", "{"],
	["no object", "[]"],
	["null", "null"],
	["an object that is no message", "{}"],
	["a binary frame", new ArrayBuffer(8)],
	["a hello without a session", JSON.stringify({ hello: {} })],
	["a hello that is a number", JSON.stringify({ hello: 5 })],
	["an ack of nothing", JSON.stringify({ ack: null })],
	["an ack that is an object", JSON.stringify({ ack: {} })],
	["an offset that is a string", JSON.stringify({ channel: "a", offset: "1", data: 1 })],
	["an error that is a string", JSON.stringify({ error: "no" })],
	["a reconnect without a number", JSON.stringify({ reconnect: { after: "soon" } })],
])("that sends %s is left, and tried again after the backoff", async (_what, frame) => {
	world.socket.say(frame);
	expect(errors.map(({ code }) => code)).toEqual(["protocol"]);
	expect(world.socket.closedWith).toBeDefined();
	expect(tw.state).toBe("waiting");
	await world.advance(1_000);
	expect(tw.state).toBe("connected");
});

it("that never says hello is left after 10 s, again and again, ever less often", async () => {
	server.mute = true;
	world.socket.end(1006);
	await world.advance(3_600_000);
	expect(tw.state).not.toBe("connected");
	expect(world.sockets.length).toBeLessThan(160);
	expect(world.held).toBeLessThanOrEqual(1);
});

it("that says hello without end is left like one that never does", async () => {
	server.mute = true;
	world.socket.end(1006);
	await world.advance(1_000);
	const { socket } = world;
	socket.say({ hello: { ...HELLO } });
	for (let second = 0; second < 12; second += 1) {
		socket.say({ hello: { ...HELLO } });
		await world.advance(1_000);
	}
	expect(socket.closedWith).toBeDefined();
});

it.each([1e9, Number.MAX_VALUE])("that asks for a wait of %d s is tried again within two minutes", async (after) => {
	world.socket.say({ reconnect: { after, reason: "drain" } });
	world.socket.end(1012);
	await world.advance(120_000);
	expect(world.sockets.length).toBe(2);
	expect(tw.state).toBe("connected");
});

it("that sends everybody away at once starts no storm", async () => {
	world.onSocket = (socket) => {
		socket.accept();
		socket.say({ hello: { ...HELLO } });
		socket.onSent = ({ id: ack }) => socket.say({ ack, resumed: true });
		socket.say({ reconnect: { after: 0, reason: "away" } });
	};
	world.socket.say({ reconnect: { after: 0, reason: "away" } });
	await world.advance(60_000);
	expect(world.sockets.length).toBeLessThan(12);
});

it("that accepts and closes at once starts no storm", async () => {
	world.onSocket = (socket) => {
		socket.accept();
		socket.say({ hello: { ...HELLO } });
		socket.end(1012);
	};
	world.socket.end(1012);
	await world.advance(60_000);
	expect(world.sockets.length).toBeLessThan(12);
});

it.each([0, -5, 1e-9, 1e300, null])(
	"with a heartbeat of %s s is pinged neither without pause nor never",
	async (heartbeat) => {
		server.heartbeat = heartbeat as number;
		world.socket.end(1006);
		await world.advance(1_000);
		if (heartbeat === null) {
			// The codec refuses it before it reaches us.
			expect(tw.state).not.toBe("connected");
			return;
		}
		await world.advance(240_000);
		const pings = world.socket.of("ping").length;
		expect(pings).toBeGreaterThan(0);
		expect(pings).toBeLessThanOrEqual(240);
	},
);

it("that does not answer pings is left", async () => {
	server.deaf.add("ping");
	await world.advance(34_999);
	expect(world.sockets.length).toBe(1);
	await world.advance(1_001);
	expect(world.sockets.length).toBe(2);
});

it("that does not answer subscribe is left, though it answers pings", async () => {
	server.deaf.add("subscribe");
	tw.channel("a").subscribe(() => {});
	await world.advance(31_000);
	expect(errors.map(({ code }) => code)).toEqual(["protocol"]);
	expect(world.sockets.length).toBe(2);
});

it.each([
	["no position", {}],
	["a wrong position", { position: "nowhere" }],
	["no row for the channel", undefined],
])("that answers subscribe with %s is left", async (_what, row) => {
	server.deaf.add("subscribe");
	tw.channel("a").subscribe(() => {});
	if (row === undefined) {
		world.socket.end(1006);
		tw.channel("b").subscribe(() => {});
		await world.advance(1_000);
	}
	await world.settle();
	const { id: ack } = world.socket.of("subscribe")[0]!;
	world.socket.say(row === undefined ? { ack, channels: "many" } : { ack, channel: "a", ...row });
	expect(errors.map(({ code }) => code)).toEqual(["protocol"]);
	expect(tw.state).toBe("waiting");
});

it("that floods with messages of foreign channels, acks, items and reports changes nothing", async () => {
	const seen: unknown[] = [];
	tw.channel("a").subscribe((data) => seen.push(data));
	await world.settle();
	for (let count = 0; count < 5_000; count += 1) {
		world.socket.say({ channel: `b${count}`, offset: 1, data: "x" });
		world.socket.say({ channel: "__proto__", offset: 1, data: "x" });
		world.socket.say({ ack: count + 100 });
		world.socket.say({ reply: count, seq: 0, data: "x" });
		world.socket.say({ channel: "a", event: "unheard_of" });
	}
	server.publish("a", "real");
	expect(seen).toEqual(["real"]);
	expect(errors).toEqual([]);
	expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

it("that leaves holes in a channel without end is asked again ever less often", async () => {
	tw.channel("a").subscribe(() => {});
	await world.settle();
	for (let second = 0; second < 600; second += 1) {
		world.socket.say({ channel: "a", offset: 1_000 + second * 2, data: "x" });
		await world.advance(1_000);
	}
	expect(world.socket.of("subscribe").length).toBeLessThan(60);
	expect(world.sockets.length).toBe(1);
});

it("whose error carries wrong types harms nobody", async () => {
	const action = tw.action("x");
	world.socket.say('{"ack":"x","error":{"code":"__proto__","message":"","retryAfter":"never","issues":5}}');
	world.socket.say('{"error":{"code":"toString","message":"","retryable":"yes"}}');
	await expect(action).resolves.toEqual({});
	expect(tw.state).toBe("connected");
});
