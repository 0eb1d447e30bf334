import { BrokerError, createMemoryCluster, type Records } from "@tidewire/broker";
import { describe, expect, it } from "vitest";
import type { Done } from "../../src/connection/performed.ts";
import { Claims } from "../../src/session/claims.ts";
import { NodeLease } from "../../src/session/node-lease.ts";
import { afterwards } from "../client.ts";

const WINDOW_MS = 300_000;

class World {
	nowMs = 0;
	readonly cluster = createMemoryCluster({ now: () => this.nowMs, every: () => () => {}, after: () => () => {} });
	readonly failures: unknown[] = [];
	begun = 0;
	#nodes = 0;

	constructor() {
		afterwards(() => this.cluster.close());
	}

	/** A node whose every look takes this much of the clock. */
	node(records: Records = this.cluster.node().records): Claims {
		const instance = Buffer.from(`node-${++this.#nodes}`.padEnd(12, "-")).toString("base64url");
		return new Claims({
			records,
			lease: new NodeLease({ records, instance, every: () => () => {} }),
			instance,
			windowMs: WINDOW_MS,
			after: (delayMs, task) => {
				this.nowMs += delayMs;
				setImmediate(task);
			},
			failed: (cause) => this.failures.push(cause),
		});
	}

	call(claims: Claims, run: () => Promise<Done> = async () => ({ reply: { ack: 1, data: "done" }, bytes: 4 })) {
		return claims.perform({
			scope: "s:1",
			action: "do",
			id: 1,
			begun: () => {},
			run: () => {
				this.begun++;
				return run();
			},
		});
	}
}

describe("a claimed call", () => {
	it("is performed by one of many nodes; all have its reply", async () => {
		const world = new World();
		const all = await Promise.all(Array.from({ length: 5 }, () => world.call(world.node())));
		expect(all.map(({ reply }) => reply)).toEqual(Array.from({ length: 5 }, () => ({ ack: 1, data: "done" })));
		expect(world.begun).toBe(1);
	});

	it("has an unknown outcome when the lease of the node that began it is over, whatever comes of it after that", async () => {
		const world = new World();
		const { promise, resolve } = Promise.withResolvers<Done>();
		const first = world.call(world.node(), () => promise);
		const other = world.node();
		const { reply } = await world.call(other);
		expect(reply.error).toMatchObject({ code: "internal", message: expect.stringContaining("unknown") });
		expect(world.nowMs).toBeGreaterThanOrEqual(15_000);
		resolve({ reply: { ack: 1, data: "late" }, bytes: 4 });
		expect((await first).reply).toEqual({ ack: 1, data: "late" });
		expect((await world.call(world.node())).reply).toEqual(reply);
		expect(world.begun).toBe(1);
	});

	it("is a new try after a retryable error, also for who has waited", async () => {
		const world = new World();
		const busy = { ack: 1, error: { code: "unavailable", message: "later", retryable: true } } as const;
		const { promise, resolve } = Promise.withResolvers<Done>();
		const first = world.call(world.node(), () => promise);
		const second = world.call(world.node());
		resolve({ reply: busy, bytes: 0 });
		expect((await first).reply).toEqual(busy);
		expect((await second).reply).toMatchObject({ error: { retryable: true } });
		expect((await world.call(world.node())).reply).toEqual({ ack: 1, data: "done" });
		expect(world.begun).toBe(2);
	});

	it("is not begun where the broker does not answer, and is when it does, though the claim was written", async () => {
		const world = new World();
		const { records } = world.cluster.node();
		let lost = true;
		const node = world.node({
			...records,
			setIfAbsent: async (...all) => {
				const present = await records.setIfAbsent(...all);
				if (lost) {
					throw new Error("away");
				}
				return present;
			},
		});
		expect((await world.call(node)).reply).toMatchObject({ error: { code: "unavailable", retryable: true } });
		lost = false;
		expect((await world.call(node)).reply).toEqual({ ack: 1, data: "done" });
		expect([world.begun, world.failures.length]).toEqual([1, 1]);
	});

	it("is begun in the end where the broker was away for several tries, whichever of them was written", async () => {
		for (const written of [0, 1, 2]) {
			const world = new World();
			const { records } = world.cluster.node();
			let tries = 0;
			const claims = world.node({
				...records,
				async setIfAbsent(key, value, ttlMs) {
					const present = tries < written ? undefined : await records.setIfAbsent(key, value, ttlMs);
					if (tries++ < 3) {
						throw new BrokerError("unavailable", "refused by the test");
					}
					return present;
				},
			});
			for (let count = 0; count < 3; count++) {
				expect((await world.call(claims)).reply.error).toMatchObject({ code: "unavailable", retryable: true });
			}
			expect((await world.call(claims)).reply).toEqual({ ack: 1, data: "done" });
			expect(world.begun).toBe(1);
		}
	});

	it("is performed at another node where this one claimed it, was not told so, and lives on", async () => {
		const world = new World();
		const { records } = world.cluster.node();
		let away = true;
		const claims = world.node({
			...records,
			async setIfAbsent(...all) {
				const present = await records.setIfAbsent(...all);
				if (away) {
					throw new BrokerError("unavailable", "refused by the test");
				}
				return present;
			},
			replace: (...all) => (away ? Promise.reject(new Error("away")) : records.replace(...all)),
		});
		expect((await world.call(claims)).reply.error).toMatchObject({ code: "unavailable" });
		const other = world.call(world.node());
		away = false;
		// It has waited, and may try anew.
		expect((await other).reply.error).toMatchObject({ code: "unavailable", retryable: true });
		expect((await world.call(world.node())).reply).toEqual({ ack: 1, data: "done" });
		expect([world.begun, world.nowMs < 15_000]).toEqual([1, true]);
	});

	it("gives a reply as it was, of whatever it consists", async () => {
		const world = new World();
		const reply = { ack: 1, data: { bytes: Uint8Array.of(0, 255), none: null, deep: [[["ä"]]], n: 0.1 } };
		await world.call(world.node(), async () => ({ reply, bytes: 9 }));
		expect((await world.call(world.node())).reply).toEqual(reply);
	});

	it("is forgotten after the window", async () => {
		const world = new World();
		await world.call(world.node());
		world.nowMs += WINDOW_MS;
		await world.call(world.node());
		expect(world.begun).toBe(2);
	});
});
