import { describe, expect, it, vi } from "vitest";
import { type Beating, Heartbeat } from "../../src/connection/heartbeat.ts";
import type { WheelItem } from "../../src/connection/wheel.ts";

const INTERVAL = 30_000;
const TIMEOUT = 5_000;

class Peer implements Beating {
	wheelNext: WheelItem | undefined;
	wheelPrevious: WheelItem | undefined;
	dueMs = 0;
	heardMs = 0;
	pingedMs = 0;
	askedMs = 0;
	closeByMs = 0;
	unconfirmedBytes = 0;
	pings = 0;
	died = false;
	readonly heartbeat: Heartbeat;
	/** Whether it answers pings at once. */
	answers: boolean;

	constructor(heartbeat: Heartbeat, answers = false) {
		this.heartbeat = heartbeat;
		this.answers = answers;
		heartbeat.watch(this);
	}

	/** Something was received from it. */
	speak(): void {
		this.heardMs = this.heartbeat.nowMs;
	}

	ping(): void {
		this.pings++;
		if (this.answers) {
			this.speak();
		}
	}

	dead(): void {
		this.died = true;
		this.heartbeat.unwatch(this);
	}
}

class World {
	nowMs = 1_000;
	readonly heartbeat = new Heartbeat({ intervalMs: INTERVAL, timeoutMs: TIMEOUT }, () => this.nowMs);

	pass(ms: number, each: () => void = () => {}): void {
		for (let passed = 0; passed < ms; passed += 100) {
			this.nowMs += 100;
			this.heartbeat.tick();
			each();
		}
	}
}

describe("C1: the heartbeat", () => {
	it("pings a peer that was silent for the interval, and not one that speaks", () => {
		const world = new World();
		const [silent, talkative] = [new Peer(world.heartbeat), new Peer(world.heartbeat)];
		world.pass(INTERVAL - 1_000, () => talkative.speak());
		expect(silent.pings).toBe(0);
		world.pass(2_000, () => talkative.speak());
		expect([silent.pings, talkative.pings]).toEqual([1, 0]);
	});

	it("gives up a peer that talks and never confirms what is written to it, an interval and its grace after the question", () => {
		const world = new World();
		const peer = new Peer(world.heartbeat, true);
		peer.unconfirmedBytes = 80_000;
		peer.askedMs = world.nowMs;
		world.pass(INTERVAL + TIMEOUT + 10_000 - 1_000, () => peer.speak());
		expect(peer.died).toBe(false);
		world.pass(INTERVAL + 2_000, () => peer.speak());
		expect(peer.died).toBe(true);
	});

	it("leaves a peer alone that confirms late", () => {
		const world = new World();
		const peer = new Peer(world.heartbeat, true);
		peer.askedMs = world.nowMs;
		world.pass(INTERVAL, () => peer.speak());
		peer.askedMs = 0;
		world.pass(10 * INTERVAL, () => peer.speak());
		expect(peer.died).toBe(false);
	});

	it("gives a silent peer up a time-out after the ping", () => {
		const world = new World();
		const peer = new Peer(world.heartbeat);
		world.pass(INTERVAL + 1_000 + TIMEOUT - 1_000);
		expect(peer.died).toBe(false);
		world.pass(2_000);
		expect([peer.pings, peer.died]).toEqual([1, true]);
	});

	it("keeps a peer that answers, for ever", () => {
		const world = new World();
		const peer = new Peer(world.heartbeat, true);
		world.pass(INTERVAL * 20);
		expect(peer.died).toBe(false);
		expect(peer.pings).toBeGreaterThan(15);
	});

	it("takes anything heard in the tick of the ping for an answer to it", () => {
		const world = new World();
		const peer = new Peer(world.heartbeat);
		while (peer.pings === 0) {
			world.pass(100);
		}
		peer.speak();
		world.pass(TIMEOUT + 2_000);
		expect(peer.died).toBe(false);
	});

	it("allows for the bytes written before the ping: 8 kB a second", () => {
		const world = new World();
		const [slow, quick] = [new Peer(world.heartbeat), new Peer(world.heartbeat)];
		slow.unconfirmedBytes = 80_000;
		while (slow.pings === 0) {
			world.pass(100);
		}
		world.pass(TIMEOUT + 1_500);
		expect([slow.died, quick.died]).toEqual([false, true]);
		world.pass(10_000 - 2_500);
		expect(slow.died).toBe(false);
		world.pass(2_500);
		expect(slow.died).toBe(true);
	});

	it("does not judge by a stall of its own: what was silent meanwhile is pinged first", () => {
		const world = new World();
		const peer = new Peer(world.heartbeat);
		world.nowMs += 10 * INTERVAL;
		world.heartbeat.tick();
		expect([peer.pings, peer.died]).toEqual([1, false]);
	});

	it("believes what is read between a stall and the tick after it (F21)", () => {
		const world = new World();
		const peer = new Peer(world.heartbeat);
		while (peer.pings === 0) {
			world.pass(100);
		}
		world.nowMs += 60_000;
		// The pong came while we stood still. The turn's reads come before the tick, with the clock of the last one.
		peer.speak();
		world.heartbeat.tick();
		expect(peer.died).toBe(false);
	});

	it("gives up a closing connection after its time, whatever it says", () => {
		const world = new World();
		const peer = new Peer(world.heartbeat);
		world.heartbeat.closing(peer, 5_000);
		world.pass(4_900, () => peer.speak());
		expect(peer.died).toBe(false);
		world.pass(1_200, () => peer.speak());
		expect([peer.died, peer.pings]).toEqual([true, 0]);
	});

	it("forgets whom it does not watch any more", () => {
		const world = new World();
		const peer = new Peer(world.heartbeat);
		world.heartbeat.unwatch(peer);
		world.pass(INTERVAL * 3);
		expect([peer.pings, peer.died]).toEqual([0, false]);
	});

	it("is idle when nobody is watched, and says so to whoever waits", async () => {
		const world = new World();
		await world.heartbeat.idle();
		const peers = [new Peer(world.heartbeat), new Peer(world.heartbeat)];
		let idle = false;
		const waiting = world.heartbeat.idle().then(() => {
			idle = true;
		});
		world.heartbeat.unwatch(peers[0]!);
		await Promise.resolve();
		expect(idle).toBe(false);
		world.heartbeat.unwatch(peers[1]!);
		await waiting;
	});
});

describe("100,000 connections that fall due together", () => {
	/** A heartbeat whose turns the test takes. */
	function crowd(size: number) {
		const turns: (() => void)[] = [];
		let nowMs = 1_000;
		const heartbeat = new Heartbeat(
			{ intervalMs: INTERVAL, timeoutMs: TIMEOUT },
			() => nowMs,
			(task) => turns.push(task),
		);
		const peers = Array.from({ length: size }, () => new Peer(heartbeat));
		const pinged = (): number => peers.reduce((sum, { pings }) => sum + pings, 0);
		return {
			heartbeat,
			peers,
			pinged,
			pass: (ms: number) => {
				nowMs += ms;
			},
			/** One turn of the event loop; whether there was anything to do. */
			turn: () => {
				const task = turns.shift();
				task?.();
				return task !== undefined;
			},
		};
	}

	it("are pinged a few hundred a turn, each once, also when the clock ticks meanwhile", () => {
		const { heartbeat, pinged, pass, turn } = crowd(100_000);
		pass(INTERVAL + 1_000);
		heartbeat.tick();
		let before = 0;
		do {
			expect(pinged() - before).toBeLessThanOrEqual(512);
			before = pinged();
			if (before % 10_240 === 0) {
				heartbeat.tick();
			}
		} while (turn());
		expect(pinged()).toBe(100_000);
	});

	it("are let go of when they leave before their turn has come", () => {
		const { heartbeat, peers, pinged, pass, turn } = crowd(1_000);
		pass(INTERVAL + 1_000);
		heartbeat.tick();
		const already = pinged();
		for (const peer of peers.filter(({ pings }) => pings === 0)) {
			heartbeat.unwatch(peer);
		}
		while (turn()) {
			// Until nothing is left.
		}
		expect(pinged()).toBe(already);
	});

	it("are all found dead, in turns as well, when none answers", () => {
		const { heartbeat, peers, pass, turn } = crowd(10_000);
		for (const ms of [INTERVAL + 1_000, TIMEOUT + 2_000]) {
			pass(ms);
			heartbeat.tick();
			while (turn()) {
				// Until nothing is left.
			}
		}
		expect(peers.filter(({ died }) => !died)).toEqual([]);
	});

	it("have one timer", () => {
		vi.useFakeTimers();
		try {
			const { heartbeat, peers } = crowd(1_000);
			heartbeat.start();
			expect([peers.length, vi.getTimerCount()]).toEqual([1_000, 1]);
			heartbeat.stop();
		} finally {
			vi.useRealTimers();
		}
	});
});
