import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { jsonServer } from "@tidewire/protocol/server";
import { OPCODE, resolveLimits } from "@tidewire/websocket";
import { describe, expect, it } from "vitest";
import { Connection, type Home } from "../../src/connection/connection.ts";
import { Heartbeat } from "../../src/connection/heartbeat.ts";
import { Turn } from "../../src/connection/turn.ts";
import { webSocketEncoding } from "../../src/hub/encoding.ts";
import { Hub } from "../../src/hub/hub.ts";
import { WebSocketTransport } from "../../src/transports/websocket.ts";
import { clientFrame, textFrame } from "../client.ts";
import { FakeBroker } from "../hub/fakes.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** A socket whose buffer the test fills and drains. */
class FakeSocket extends EventEmitter {
	full = false;
	writableNeedDrain = false;
	/** What Node's buffer holds. */
	writableLength = 0;
	paused = false;
	ended = false;
	destroyed = false;
	readonly writes: Buffer[] = [];

	write(bytes: Uint8Array): boolean {
		this.writes.push(Buffer.from(bytes));
		this.writableNeedDrain = this.full;
		this.writableLength += this.full ? bytes.length : 0;
		return !this.full;
	}
	/** Node's buffer has been written out. */
	drain(): void {
		this.full = false;
		this.writableLength = 0;
		this.writableNeedDrain = false;
		this.emit("drain");
	}
	pause(): void {
		this.paused = true;
	}
	resume(): void {
		this.paused = false;
	}
	end(): void {
		this.ended = true;
	}
	destroy(): void {
		this.destroyed = true;
	}
	resetAndDestroy(): void {
		this.destroyed = true;
	}
	setTimeout(): void {}

	/** The control frames written so far, without the data between them. */
	get pings(): Buffer[] {
		return this.writes.filter((bytes) => bytes[0] === (0x80 | OPCODE.ping)).map((bytes) => bytes.subarray(2));
	}
	get closeCode(): number | undefined {
		return this.writes.find((bytes) => bytes[0] === (0x80 | OPCODE.close))?.readUInt16BE(2);
	}
}

class World {
	nowMs = 0;
	readonly socket = new FakeSocket();
	readonly heartbeat = new Heartbeat({ intervalMs: 30_000, timeoutMs: 5_000 }, () => this.nowMs);
	readonly performed: string[] = [];
	readonly transport = new WebSocketTransport(this.socket as unknown as Duplex, this.heartbeat, resolveLimits());
	readonly connection: Connection;

	constructor() {
		const home: Home = {
			hub: new Hub(new FakeBroker(), {
				maxLogBytes: 1_000,
				maxLogsBytes: 1_000_000,
				reported: () => {},
				nowMs: () => 0,
				unserved: () => {},
			}),
			log: { info() {}, warn() {}, error() {} },
			turn: new Turn(),
			connections: new Set(),
			sessionEnded: () => {},
			unblocked: () => {},
			departed: () => {},
			perform: (_connection, message) => {
				this.performed.push(message.type);
				return undefined;
			},
		};
		const entrance = { params: {}, channels: [], publish: undefined };
		this.connection = new Connection(home, this.transport, webSocketEncoding(0, jsonServer), "s", entrance);
		this.transport.connection = this.connection;
		this.transport.open(new Uint8Array(0));
	}

	pong(payload: Uint8Array): void {
		this.socket.emit("data", clientFrame(OPCODE.pong, payload));
	}

	pass(ms: number): void {
		for (let passed = 0; passed < ms; passed += 500) {
			this.nowMs += 500;
			this.heartbeat.tick();
		}
	}
}

describe("when a client takes no more", () => {
	it("is not before Node's buffer is full or 256 kB are unconfirmed", () => {
		const { transport, socket } = new World();
		for (let count = 0; count < 15; count++) {
			transport.write(Buffer.alloc(16 * KIB));
		}
		expect([transport.blocked, socket.pings.length]).toEqual([false, 0]);
	});

	it("after 256 kB a ping follows the data, and nothing more until its pong", () => {
		const { transport, socket, pong } = bound(new World());
		transport.write(Buffer.alloc(256 * KIB));
		expect([transport.blocked, socket.pings.length, socket.paused]).toEqual([true, 1, false]);
		pong(socket.pings[0]!);
		expect(transport.blocked).toBe(false);
	});

	it.each([
		["an empty one", Buffer.alloc(0)],
		["a guessed one", Buffer.from([0, 0, 0, 1])],
		["a longer one", Buffer.from([0, 0, 0, 0, 0])],
	])("no other pong will do: %s", (_, payload) => {
		const { transport, pong } = bound(new World());
		transport.write(Buffer.alloc(256 * KIB));
		pong(payload);
		expect(transport.blocked).toBe(true);
	});

	it("a flush of many times as much is one write, one ping, and one pong frees it", () => {
		const { transport, socket, pong } = bound(new World());
		transport.write(Buffer.alloc(5 * MIB));
		expect([socket.writes.length, socket.pings.length]).toEqual([2, 1]);
		pong(socket.pings[0]!);
		expect([transport.blocked, transport.unconfirmedBytes < KIB]).toEqual([false, true]);
	});

	it("replies that are written meanwhile count for the next ping", () => {
		const { transport, socket, pong } = bound(new World());
		transport.write(Buffer.alloc(256 * KIB));
		transport.write(Buffer.alloc(200 * KIB));
		pong(socket.pings[0]!);
		expect([transport.blocked, transport.unconfirmedBytes >= 200 * KIB]).toEqual([false, true]);
		transport.write(Buffer.alloc(60 * KIB));
		expect([transport.blocked, socket.pings.length]).toEqual([true, 2]);
	});

	it("does not end a peer that reads, however late its pong behind its own requests comes", () => {
		const { transport, socket, connection, pong } = bound(new World());
		for (let count = 0; count < 32; count++) {
			// Node's buffer is full at times, but the peer empties it.
			socket.full = count % 4 === 0;
			transport.write(Buffer.alloc(MIB));
			socket.drain();
		}
		expect([connection.closed, socket.closeCode, transport.blocked]).toEqual([false, undefined, true]);
		pong(socket.pings[0]!);
		expect(transport.unconfirmedBytes).toBeGreaterThan(30 * MIB);
	});

	it("ends with 4008 where replies alone add 8 MB that are not read", () => {
		const { transport, socket, connection } = new World();
		socket.full = true;
		transport.write(Buffer.alloc(256 * KIB));
		for (let count = 0; count < 8; count++) {
			transport.write(Buffer.alloc(MIB));
		}
		expect([socket.closeCode, connection.closed]).toEqual([4008, true]);
	});
});

describe("a socket that is full", () => {
	it("is not read from until it drains, and then goes on", () => {
		const { transport, socket } = new World();
		socket.full = true;
		transport.write(Buffer.alloc(KIB));
		expect([transport.blocked, socket.paused]).toEqual([true, true]);
		socket.drain();
		expect([transport.blocked, socket.paused]).toEqual([false, false]);
	});

	it("says drain after every large write: only one that had refused more is meant", () => {
		const { transport, socket } = new World();
		transport.write(Buffer.alloc(KIB));
		transport.pause();
		socket.drain();
		expect(socket.paused).toBe(true);
	});

	it("stays paused by either reason, whichever ends first", () => {
		for (const drainsFirst of [true, false]) {
			const { transport, socket } = new World();
			socket.full = true;
			transport.write(Buffer.alloc(KIB));
			transport.pause();
			if (drainsFirst) {
				socket.drain();
			} else {
				transport.resume();
			}
			expect(socket.paused).toBe(true);
			if (drainsFirst) {
				transport.resume();
			} else {
				socket.drain();
			}
			expect(socket.paused).toBe(false);
		}
	});

	it("is free only when it has drained and the ping was answered, in either order", () => {
		for (const drainsFirst of [true, false]) {
			const { transport, socket, pong } = bound(new World());
			socket.full = true;
			transport.write(Buffer.alloc(256 * KIB));
			const [probe] = socket.pings;
			if (drainsFirst) {
				socket.drain();
			} else {
				pong(probe!);
			}
			expect(transport.blocked).toBe(true);
			if (drainsFirst) {
				pong(probe!);
			} else {
				socket.drain();
			}
			expect(transport.blocked).toBe(false);
		}
	});

	it("lets replies go on when it has drained: the pong that is missing may stand behind the next request", async () => {
		const { transport, socket, connection, performed } = new World();
		socket.full = true;
		transport.write(Buffer.alloc(256 * KIB));
		const waiting = connection.writable();
		const requests = Array.from({ length: 300 }, () => textFrame({ action: "subscribe", channel: "a" }));
		socket.emit("data", Buffer.concat(requests));
		expect(socket.paused).toBe(true);
		socket.drain();
		await waiting;
		while (socket.paused) {
			await new Promise((resolve) => setImmediate(resolve));
		}
		expect([performed.length, transport.blocked]).toEqual([300, true]);
	});

	it("tells those who wait to write, once", async () => {
		const { transport, socket, connection } = new World();
		socket.full = true;
		transport.write(Buffer.alloc(KIB));
		const waiting = connection.writable();
		socket.drain();
		await waiting;
	});
});

describe("closing", () => {
	it("of a blocked connection writes the close frame, and reads on for the peer's", () => {
		const { socket, connection, transport } = new World();
		socket.full = true;
		transport.write(Buffer.alloc(KIB));
		transport.pause();
		connection.close("restart", "bye");
		expect([socket.closeCode, socket.paused]).toEqual([1012, false]);
		socket.emit("data", clientFrame(OPCODE.close, Buffer.from([0x03, 0xf4])));
		expect(socket.ended).toBe(true);
	});

	it("performs nothing that comes after it", () => {
		const { socket, connection, performed } = new World();
		connection.close("policy", "enough");
		socket.emit("data", textFrame({ action: "ping" }));
		expect(performed).toEqual([]);
	});

	it("is given up after 5 s where the peer does not answer", () => {
		const { socket, connection, pass } = bound(new World());
		connection.close("restart", "bye");
		pass(4_000);
		expect(socket.destroyed).toBe(false);
		pass(3_000);
		expect(socket.destroyed).toBe(true);
	});

	it("frees what the node keeps of a connection whose socket breaks, whenever that is", () => {
		const { socket, connection, heartbeat } = new World();
		socket.emit("close");
		expect(connection.closed).toBe(true);
		return heartbeat.idle();
	});
});

describe("C1: silence", () => {
	it("is asked about after the interval, and ended with 4000 after the time-out", () => {
		const { socket, pass, connection } = bound(new World());
		pass(32_000);
		expect(socket.pings).toEqual([Buffer.alloc(0)]);
		pass(8_000);
		expect([socket.closeCode, socket.destroyed, connection.closed]).toEqual([4000, true, true]);
	});

	it("bytes that a pong has confirmed buy no more time", () => {
		const { socket, pass, pong, transport } = bound(new World());
		transport.write(Buffer.alloc(200 * KIB));
		pass(32_000);
		pong(socket.pings[0]!);
		expect(transport.unconfirmedBytes).toBeLessThan(KIB);
		pass(31_000);
		expect(socket.pings).toHaveLength(2);
		pass(8_000);
		expect(socket.destroyed).toBe(true);
	});

	it("bytes that none has do: 8 kB a second", () => {
		const { socket, pass, transport } = bound(new World());
		transport.write(Buffer.alloc(200 * KIB));
		pass(32_000 + 5_000 + 20_000);
		expect(socket.destroyed).toBe(false);
		pass(10_000);
		expect(socket.destroyed).toBe(true);
	});
});

/** The world with its methods bound, so that they can be taken out of it. */
function bound(world: World): World & { pong: World["pong"]; pass: World["pass"] } {
	return Object.assign(world, { pong: world.pong.bind(world), pass: world.pass.bind(world) });
}
