import { type Broker, createMemoryCluster, type MemoryCluster } from "@tidewire/broker";
import type { CloseReason } from "@tidewire/protocol";
import { describe, expect, it } from "vitest";
import type { Caller } from "../../src/auth/caller.ts";
import { BrokerEar } from "../../src/broker-ear.ts";
import { SILENT } from "../../src/observe/log.ts";
import { Sessions } from "../../src/session/sessions.ts";
import { newSessionId } from "../../src/session/token.ts";
import { WindowQuota } from "../../src/share.ts";
import { afterwards } from "../client.ts";

const WINDOW_MS = 300_000;
const START_MS = Date.UTC(2030, 0, 1);

class Holder {
	session: string;
	closed = false;
	caller: Caller;
	reason: CloseReason | undefined;

	constructor(world: World, id: string | null = "ann") {
		this.session = newSessionId(world.nowMs);
		this.caller = { user: id === null ? null : { id }, full: false, admitted: true };
	}

	close(reason: CloseReason): void {
		this.closed = true;
		this.reason ??= reason;
	}
}

class World {
	nowMs = START_MS;
	readonly cluster: MemoryCluster = createMemoryCluster({
		now: () => this.nowMs,
		every: () => () => {},
		after: () => () => {},
	});
	readonly broker: Broker = this.cluster.node();
	#nodes = 0;

	constructor() {
		afterwards(() => this.cluster.close());
	}

	async node({ maxStored = 1_000, broker = this.cluster.node() } = {}): Promise<Sessions> {
		const sessions = new Sessions({
			broker,
			ear: new BrokerEar(broker),
			log: SILENT,
			instance: Buffer.from(`node-${++this.#nodes}`.padEnd(12, "-")).toString("base64url"),
			windowMs: WINDOW_MS,
			nowMs: () => this.nowMs,
			maxStored,
		});
		await sessions.open();
		return sessions;
	}

	async stored(): Promise<number> {
		return (await this.broker.records.list("session:", { limit: 100_000 })).length;
	}
}

describe("a stored session", () => {
	it("is renewed while it is connected, and lives for the window from its end", async () => {
		const world = new World();
		const [one, two] = [await world.node(), await world.node()];
		const ann = new Holder(world);
		const token = one.greet(ann);
		expect(one.store(ann)).toBe(true);
		for (let passed = 0; passed < 20 * WINDOW_MS; passed += one.stepMs) {
			world.nowMs += one.stepMs;
			await one.renew();
		}
		one.ended(ann);
		await one.close();
		world.nowMs += WINDOW_MS - 1;
		expect(await two.resume(new Holder(world), token)).toMatchObject({ status: "resumed" });
	});

	it("is gone when the window after its end is over", async () => {
		const world = new World();
		const one = await world.node();
		const ann = new Holder(world);
		const token = one.greet(ann);
		one.store(ann);
		world.nowMs += WINDOW_MS / 2;
		one.ended(ann);
		await one.close();
		world.nowMs += WINDOW_MS;
		expect(await one.resume(new Holder(world), token)).toEqual({ status: "unknown" });
		expect(await world.stored()).toBe(0);
		expect(one.size).toBe(0);
	});

	it("lives for the window where its node died, too", async () => {
		const world = new World();
		const [one, two] = [await world.node(), await world.node()];
		const ann = new Holder(world);
		const token = one.greet(ann);
		one.store(ann);
		world.nowMs += WINDOW_MS / 3;
		await one.renew();
		world.nowMs += WINDOW_MS + WINDOW_MS / 3;
		expect(await two.resume(new Holder(world), token)).toMatchObject({ status: "resumed" });
	});

	it("that went on elsewhere is noticed with the next renewal, where nobody could tell", async () => {
		const world = new World();
		const deaf = world.cluster.node();
		const [one, two] = [await world.node({ broker: deaf }), await world.node()];
		const ann = new Holder(world);
		const token = one.greet(ann);
		one.store(ann);
		deaf.unsubscribe(`$session:${Buffer.from("node-1------").toString("base64url")}`);
		const back = new Holder(world);
		await two.resume(back, token);
		expect(ann.reason).toBeUndefined();
		world.nowMs += WINDOW_MS / 3;
		await one.renew();
		await one.close();
		expect([ann.reason, back.reason]).toEqual(["replaced", undefined]);
	});

	it("that went there and back is not ended by what is told late of the way there", async () => {
		const world = new World();
		const [one, two] = [await world.node(), await world.node()];
		const ann = new Holder(world);
		one.store(ann);
		const there = new Holder(world);
		const first = await two.resume(there, one.greet(ann));
		const back = new Holder(world);
		await one.resume(back, first.status === "resumed" ? first.token : "");
		const late = Buffer.from(JSON.stringify({ session: back.session, generation: 1 }));
		one.entries("$session:x", "e", [{ offset: 1, timeMs: 0, data: late, encoding: "json" }]);
		expect([ann.reason, there.reason, back.reason]).toEqual(["replaced", "replaced", undefined]);
	});

	it("is written anew where the broker has lost it", async () => {
		const world = new World();
		const one = await world.node();
		const ann = new Holder(world);
		const token = one.greet(ann);
		one.store(ann);
		await world.broker.records.delete(`session:${ann.session}`);
		world.nowMs += WINDOW_MS / 3;
		await one.renew();
		expect(await one.resume(new Holder(world), token)).toMatchObject({ status: "resumed" });
	});

	it("becomes the user's whom its connection becomes", async () => {
		const world = new World();
		const one = await world.node();
		const someone = new Holder(world, null);
		const was = someone.caller;
		const token = one.greet(someone);
		one.store(someone);
		someone.caller = { user: { id: "ann" }, full: false, admitted: true };
		one.ownerChanged(someone, was);
		await one.close();
		expect(await one.resume(new Holder(world, null), token)).toEqual({ status: "forbidden" });
		expect(await one.resume(new Holder(world, "ann"), token)).toMatchObject({ status: "resumed" });
	});
});

describe("a connection that is somebody else by the time that its session is stored", () => {
	it("comes back with the token that it was greeted with, and as who it is now", async () => {
		const world = new World();
		const one = await world.node();
		const someone = new Holder(world, null);
		const was = someone.caller;
		const token = one.greet(someone);
		someone.caller = { user: null, full: true, admitted: true };
		one.ownerChanged(someone, was);
		one.ownerChanged(someone, someone.caller);
		one.store(someone);
		await one.close();
		const back = new Holder(world, null);
		expect(await one.resume(back, token)).toEqual({ status: "forbidden" });
		back.caller = someone.caller;
		expect(await one.resume(back, token)).toMatchObject({ status: "resumed" });
		expect(back.session).toBe(someone.session);
	});
});

describe("a broker that is away", () => {
	it("has clients told so; sessions are stored when it is back", async () => {
		const world = new World();
		const broker = world.cluster.node();
		let away = true;
		const records = new Proxy(broker.records, {
			get: (target, name) => (away ? () => Promise.reject(new Error("away")) : Reflect.get(target, name, target)),
		});
		const one = await world.node({ broker: { ...bound(broker), records } });
		const ann = new Holder(world);
		expect(one.store(ann)).toBe(true);
		await expect(one.resume(new Holder(world), one.greet(ann))).rejects.toThrow("away");
		await one.close();
		away = false;
		await one.open();
		world.nowMs += WINDOW_MS / 3;
		await one.renew();
		await one.close();
		expect(await world.stored()).toBe(1);
	});
});

describe("S42: a flood of sessions", () => {
	it("is stored up to a bound, of one user up to an eighth of it; others' are stored all the same", async () => {
		const world = new World();
		const one = await world.node({ maxStored: 80 });
		for (let session = 0; session < 100; session++) {
			const mallory = new Holder(world, "mallory");
			expect(one.store(mallory)).toBe(session < 10);
			one.ended(mallory);
		}
		expect(one.store(new Holder(world, "ann"))).toBe(true);
		await one.close();
		expect([await world.stored(), one.size]).toEqual([11, 1]);
		world.nowMs += WINDOW_MS;
		expect(one.store(new Holder(world, "mallory"))).toBe(true);
	});

	it("of nobodies leaves half of the bound to users", () => {
		const quota = new WindowQuota(10, WINDOW_MS, () => 0);
		expect(Array.from({ length: 7 }, () => quota.take(""))).toEqual([true, true, true, true, true, false, false]);
		expect(quota.take("u:ann")).toBe(true);
	});

	it("of tokens costs the broker one look each, and nothing stays of it", async () => {
		const world = new World();
		const broker = world.cluster.node();
		let looks = 0;
		const records = new Proxy(broker.records, {
			get: (target, name) => {
				looks += name === "get" ? 1 : 0;
				return Reflect.get(target, name, target);
			},
		});
		const one = await world.node({ broker: { ...bound(broker), records } });
		const eve = new Holder(world, "eve");
		for (let guess = 0; guess < 100; guess++) {
			expect(await one.resume(eve, `${newSessionId(world.nowMs)}.${"A".repeat(24)}`)).toEqual({ status: "unknown" });
		}
		expect([looks, one.size, await world.stored()]).toEqual([100, 0, 0]);
	});
});

/** A broker's methods as an object's own. */
function bound(broker: Broker): Broker {
	return {
		durability: broker.durability,
		records: broker.records,
		listen: (listener) => broker.listen(listener),
		publish: (...all) => broker.publish(...all),
		subscribe: (channel) => broker.subscribe(channel),
		unsubscribe: (channel) => broker.unsubscribe(channel),
		read: (...all) => broker.read(...all),
		snapshot: (channel) => broker.snapshot(channel),
		channels: (options) => broker.channels(options),
		close: () => broker.close(),
	};
}
