import type { ClientMessage, CloseReason, Payload } from "@tidewire/protocol";
import { describe, expect, it } from "vitest";
import { Connection, type Entrance, type Home, type Transport } from "../../src/connection/connection.ts";
import { Turn } from "../../src/connection/turn.ts";
import { Hub } from "../../src/hub/hub.ts";
import { Refusal } from "../../src/refusal.ts";
import { FakeBroker, gate, LineEncoding, turn } from "../hub/fakes.ts";

class FakeTransport implements Transport {
	blocked = false;
	congested = false;
	readonly remoteAddress = "127.0.0.1";
	readonly writes: string[] = [];
	readonly closes: [CloseReason, string][] = [];
	paused = false;

	write(bytes: Uint8Array): void {
		this.writes.push(Buffer.from(bytes).toString());
	}
	close(reason: CloseReason, text: string): void {
		this.closes.push([reason, text]);
	}
	pause(): void {
		this.paused = true;
	}
	resume(): void {
		this.paused = false;
	}
	get lines(): string[] {
		return this.writes.join("").split("\n").filter(Boolean);
	}
}

const ENTRANCE: Entrance = { params: {}, channels: [], publish: undefined };

class World {
	readonly performed: string[] = [];
	readonly logged: string[] = [];
	/** Sessions whose connection has ended. */
	readonly ended: string[] = [];
	/** What an action waits for, by its name. */
	readonly gates = new Map<string, Promise<void>>();
	readonly transport = new FakeTransport();
	readonly home: Home;
	readonly connection: Connection;

	constructor(encoding = new LineEncoding()) {
		const hub = new Hub(new FakeBroker(), {
			maxLogBytes: 1_000,
			maxLogsBytes: 1_000_000,
			reported: () => {},
			nowMs: () => 0,
			unserved: () => {},
		});
		this.home = {
			hub,
			log: { info() {}, warn() {}, error: (text) => this.logged.push(text) },
			turn: new Turn(),
			connections: new Set(),
			sessionEnded: ({ session }) => this.ended.push(session),
			unblocked: () => {},
			departed: () => {},
			perform: (_connection, message) => this.#perform(message),
		};
		this.connection = new Connection(this.home, this.transport, encoding, "session", ENTRANCE);
		this.home.connections.add(this.connection);
	}

	#perform(message: ClientMessage<Payload>): Promise<void> | undefined {
		const name = message.type === "call" ? message.action : message.type;
		this.performed.push(name);
		if (name === "refused") {
			throw new Refusal("forbidden", "not you");
		}
		if (name === "broken") {
			throw new Error("secret of the database");
		}
		if (name === "brokenLater") {
			return Promise.reject(new Error("secret of the database"));
		}
		return this.gates.get(name);
	}

	receive(...actions: readonly string[]): void {
		for (const action of actions) {
			this.connection.receive(Buffer.from(JSON.stringify({ action, id: action })), true);
		}
	}
}

describe("messages of one connection", () => {
	it("are performed in their order; one that holds up the rest holds all of it, but for ping", async () => {
		const world = new World();
		const waiting = gate();
		world.gates.set("slow", waiting.opened);
		world.receive("a", "slow", "b", "c", "ping");
		expect(world.performed).toEqual(["a", "slow", "ping"]);
		waiting.open();
		await turn();
		expect(world.performed).toEqual(["a", "slow", "ping", "b", "c"]);
	});

	it("go on in their order where one that was held holds up the rest again", async () => {
		const world = new World();
		const waits = [gate(), gate(), gate()];
		waits.forEach((wait, index) => {
			world.gates.set(`slow${index}`, wait.opened);
		});
		world.receive("slow0", "a", "slow1", "b", "slow2", "c");
		waits[0]!.open();
		await turn();
		world.receive("d");
		expect(world.performed).toEqual(["slow0", "a", "slow1"]);
		waits[1]!.open();
		await turn();
		waits[2]!.open();
		await turn();
		expect(world.performed).toEqual(["slow0", "a", "slow1", "b", "slow2", "c", "d"]);
	});

	it("S42: a flood behind one that is held stops the reading, and goes on with it", async () => {
		const world = new World();
		const waiting = gate();
		world.gates.set("slow", waiting.opened);
		world.receive("slow");
		// What is in a chunk that was read already still comes.
		const flood = Array.from({ length: 1_000 }, (_, index) => `m${index}`);
		world.receive(...flood.slice(0, 255));
		expect(world.transport.paused).toBe(false);
		world.receive(...flood.slice(255));
		expect(world.transport.paused).toBe(true);
		waiting.open();
		while (world.transport.paused) {
			await turn();
		}
		expect(world.performed).toEqual(["slow", ...flood]);
	});

	it("S42: stays paused while too many are held, and resumes as soon as they are fewer, however they go", async () => {
		const world = new World();
		const first = gate();
		world.gates.set("slow", first.opened);
		const names = Array.from({ length: 300 }, (_, index) => `held${index}`);
		const gates = names.map((name) => {
			const each = gate();
			world.gates.set(name, each.opened);
			return each;
		});
		world.receive("slow", ...names);
		first.open();
		await turn();
		const pausedAt: boolean[] = [];
		for (const each of gates) {
			pausedAt.push(world.transport.paused);
			each.open();
			await turn();
		}
		expect(world.performed).toHaveLength(301);
		// 300 came; while the n-th is at work, 299 - n are held.
		expect(pausedAt.lastIndexOf(true)).toBe(299 - 256);
		expect(world.transport.paused).toBe(false);
	});

	it("are answered with a refusal's own words, and with none of a broken part's", async () => {
		const world = new World();
		world.receive("refused", "broken", "brokenLater");
		await turn();
		expect(world.transport.lines.map((line) => JSON.parse(line))).toEqual([
			{ ack: "refused", error: { code: "forbidden", message: "not you" } },
			{ ack: "broken", error: { code: "internal", message: "the server could not perform this" } },
			{ ack: "brokenLater", error: { code: "internal", message: "the server could not perform this" } },
		]);
		expect(world.transport.writes.join("")).not.toContain("secret");
		expect(world.logged).toHaveLength(2);
	});

	it("of a codec that breaks cost an internal error, not the process", async () => {
		const encoding = new LineEncoding();
		const broken = {
			...encoding,
			index: 0,
			frame: encoding.frame,
			codec: {
				...encoding.codec,
				decode: () => {
					throw new RangeError("secret");
				},
			},
		};
		const world = new World(broken as unknown as LineEncoding);
		world.connection.receive(Buffer.from("{}"), true);
		await turn();
		expect(world.transport.lines.map((line) => JSON.parse(line))).toEqual([
			{ error: { code: "internal", message: "the server could not perform this" } },
		]);
	});
});

describe("whoever has much to reply", () => {
	it("waits for the next write, though the transport takes more", async () => {
		const world = new World();
		const order: string[] = [];
		world.connection.reply({ ack: 1, data: "x".repeat(300_000) });
		expect([world.connection.congested, world.transport.congested]).toEqual([true, false]);
		const waiting = world.connection.writable().then(() => order.push("writable"));
		await Promise.resolve();
		order.push("written");
		world.connection.write();
		await waiting;
		expect(order).toEqual(["written", "writable"]);
	});

	it("waits for the drain where the write has filled the transport", async () => {
		const world = new World();
		const order: string[] = [];
		world.connection.reply({ ack: 1, data: "x".repeat(300_000) });
		const waiting = world.connection.writable().then(() => order.push("writable"));
		world.transport.congested = true;
		world.connection.write();
		await turn();
		order.push("drained");
		world.transport.congested = false;
		world.connection.drained();
		await waiting;
		expect(order).toEqual(["drained", "writable"]);
	});
});

describe("a connection that has ended", () => {
	it("performs nothing of what was held", async () => {
		const world = new World();
		const waiting = gate();
		world.gates.set("slow", waiting.opened);
		world.receive("slow", "a", "b");
		world.connection.ended();
		waiting.open();
		await turn();
		expect(world.performed).toEqual(["slow"]);
		expect(world.home.connections.size).toBe(0);
	});

	it("says once that it has ended; what was begun before still counts in its session", () => {
		const world = new World();
		expect(world.connection.idScope).toBe("s:session");
		world.connection.ended();
		world.connection.ended();
		expect([world.connection.idScope, world.ended]).toEqual(["s:session", ["session"]]);
	});

	it("writes what was sent before its close, and nothing after it", async () => {
		const world = new World();
		world.connection.reply({ ack: 1 });
		world.connection.close("restart", "bye");
		world.connection.reply({ ack: 2 });
		await turn();
		expect(world.transport.lines).toEqual(['{"ack":1}']);
		expect(world.transport.closes).toEqual([["restart", "bye"]]);
		world.connection.close("policy", "again");
		expect(world.transport.closes).toHaveLength(1);
	});

	it("lets go of whoever waits for it to be writable, and aborts its calls", async () => {
		const world = new World();
		world.transport.congested = true;
		const call = new AbortController();
		world.connection.calls = new Set([{ id: 1, cancel: call }]);
		const waiting = world.connection.writable();
		world.connection.ended();
		await waiting;
		expect(call.signal.aborted).toBe(true);
		await world.connection.writable();
	});
});

describe("a flood over one connection", () => {
	const flood = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index}`);

	it("is performed in order, a bounded part of it a turn, and is not read from meanwhile", async () => {
		const world = new World();
		world.receive(...flood(1_000));
		const first = world.performed.length;
		expect(first).toBeLessThanOrEqual(256);
		expect(world.transport.paused).toBe(true);
		await turn();
		expect(world.performed.length).toBeGreaterThan(first);
		expect(world.performed.length).toBeLessThan(1_000);
		while (world.transport.paused) {
			await turn();
		}
		expect(world.performed).toEqual(flood(1_000));
	});

	it("costs a neighbour nothing but its share of the turn", async () => {
		const world = new World();
		const neighbour = new Connection(world.home, new FakeTransport(), new LineEncoding(), "other", ENTRANCE);
		world.receive(...flood(1_000));
		const before = world.performed.length;
		neighbour.receive(Buffer.from('{"action":"neighbour"}'), true);
		expect(world.performed.slice(before)).toEqual(["neighbour"]);
		await turn();
	});

	it("of what is no message is dearer, and ends the connection with 1008", async () => {
		const world = new World();
		for (let index = 0; index < 5_000; index++) {
			world.connection.receive(Buffer.from("x"), true);
		}
		await turn();
		expect(world.transport.lines.length).toBeLessThan(100);
		while (!world.connection.closed) {
			await turn();
		}
		expect(world.transport.closes).toEqual([["policy", "too many messages that break the protocol"]]);
		expect(world.performed).toEqual([]);
	});

	it("waits where its replies are not taken: what is asked for is bounded by what is read", async () => {
		const world = new World();
		world.receive(...flood(1_000));
		const before = world.performed.length;
		world.transport.congested = true;
		await turn();
		await turn();
		expect(world.performed.length).toBe(before);
		world.transport.congested = false;
		world.connection.drained();
		while (world.transport.paused) {
			await turn();
		}
		expect(world.performed).toEqual(flood(1_000));
	});

	it("leaves a client alone that errs now and then", async () => {
		const world = new World();
		for (let index = 0; index < 3_000; index++) {
			world.connection.receive(Buffer.from(index % 2 === 0 ? "x" : '{"action":"a"}'), true);
			if (index % 20 === 0) {
				await turn();
			}
		}
		expect(world.connection.closed).toBe(false);
	});
});
