import { describe, expect, it } from "vitest";
import type { PresenceChannel } from "../../src/presence/room.ts";
import { FakeConnection, GRACE_MS, LOBBY, PLAIN, World } from "./fakes.ts";

/** What it takes until everybody has been told, at the latest. */
const TOLD_MS = 200;

async function twoNodes() {
	const world = new World();
	const [here, there] = [world.node(), world.node()];
	const watcher = new FakeConnection("watcher");
	await there.join(watcher, { enter: false });
	return { world, here, there, watcher };
}

describe("who enters and leaves is told to those who watch, on every node", () => {
	it("join, update and leave", async () => {
		const { world, here, watcher } = await twoNodes();
		const bob = new FakeConnection("bob");
		await here.join(bob, { data: '{"typing":false}' });
		await world.pass(TOLD_MS);
		expect(watcher.told()).toEqual([
			{
				channel: "chat:lobby",
				event: "join",
				member: { id: "bob", user: "bob", data: { typing: false }, since: expect.any(Number) },
			},
		]);
		here.presence.update(bob, "chat:lobby", '{"typing":true}');
		await world.pass(TOLD_MS);
		expect(watcher.heard()).toEqual(['update bob {"typing":true}']);
		here.presence.leave(bob, "chat:lobby");
		await world.pass(TOLD_MS);
		expect(watcher.heard()).toEqual(["leave bob"]);
	});

	it("nobody is told of what the first list holds: not of itself, and not of those who were there", async () => {
		const { world, here, there } = await twoNodes();
		await here.join(new FakeConnection("ann"));
		await world.pass(TOLD_MS);
		const bob = new FakeConnection("bob");
		await there.join(bob);
		await world.pass(TOLD_MS);
		expect(bob.heard()).toEqual([]);
		expect(await there.members()).toEqual(["ann", "bob"]);
		expect(await here.members()).toEqual(["ann", "bob"]);
	});

	it("one who only watches is no member, and one who only enters is told nothing", async () => {
		const { world, here, there } = await twoNodes();
		const sensor = new FakeConnection("sensor");
		await here.join(sensor, { watch: false });
		await there.join(new FakeConnection("bob"));
		await world.pass(TOLD_MS);
		expect(sensor.heard()).toEqual([]);
		expect(await here.members()).toEqual(["bob", "sensor"]);
	});

	it("channels whose names look like one another's keys are apart", async () => {
		const world = new World();
		const node = world.node();
		const [short, long] = ["a", "a:bob"].map((name): PresenceChannel => ({ name, wireName: name, maxMembers: 10 })) as [
			PresenceChannel,
			PresenceChannel,
		];
		await node.join(new FakeConnection("x"), {}, long);
		await world.pass(TOLD_MS);
		expect(await world.node().members(short)).toEqual([]);
		expect(await world.node().members(long)).toEqual(["x"]);
	});

	it("names that objects have are names like any other (S18)", async () => {
		const { world, here, there } = await twoNodes();
		for (const id of ["__proto__", "constructor", "toString"]) {
			await here.join(new FakeConnection(id), { data: '{"__proto__":{"polluted":true}}' });
		}
		await world.pass(TOLD_MS);
		expect(await there.members()).toEqual(["__proto__", "constructor", "toString"]);
		expect(({} as Record<string, unknown>).polluted).toBeUndefined();
	});
});

describe("a lost connection", () => {
	it("leaves after the grace", async () => {
		const { world, here, watcher } = await twoNodes();
		const bob = new FakeConnection("bob");
		await here.join(bob);
		await world.pass(TOLD_MS);
		here.presence.ended(bob, undefined);
		await world.pass(GRACE_MS - 1_000);
		expect(watcher.heard()).toEqual(["join bob"]);
		await world.pass(2_000);
		expect(watcher.heard()).toEqual(["leave bob"]);
		expect(await here.members()).toEqual([]);
	});

	it.each(["here", "there"] as const)("that comes back %s within the grace was never away", async (where) => {
		const { world, watcher, ...nodes } = await twoNodes();
		await nodes.here.join(new FakeConnection("bob"), { data: '"x"' });
		const [bob] = [new FakeConnection("bob")];
		await nodes.here.join(bob);
		await world.pass(TOLD_MS);
		const [before] = (await nodes.there.listing()).members;
		nodes.here.presence.ended(bob, undefined);
		await world.pass(GRACE_MS - 2_000);
		await nodes[where].join(new FakeConnection("bob"));
		await world.pass(3 * GRACE_MS);
		expect(watcher.heard()).toEqual(["join bob"]);
		expect((await nodes.there.listing()).members).toEqual([
			{ ...before, owner: expect.any(String), stamp: expect.any(Number) },
		]);
	});

	it("leaves at once when it says goodbye, or will not come back", async () => {
		const { world, here, watcher } = await twoNodes();
		for (const why of ["normal", "revoked", "forbidden"] as const) {
			const bob = new FakeConnection("bob");
			await here.join(bob);
			await world.pass(TOLD_MS);
			here.presence.ended(bob, why);
			await world.pass(TOLD_MS);
			expect(watcher.heard(), why).toEqual(["join bob", "leave bob"]);
		}
	});

	it("that was silent for longer than the grace before it was given up leaves then", async () => {
		const { world, here, watcher } = await twoNodes();
		const bob = new FakeConnection("bob");
		await here.join(bob);
		await world.pass(TOLD_MS);
		here.presence.ended(bob, "heartbeat_lost");
		await world.pass(TOLD_MS);
		expect(watcher.heard()).toEqual(["join bob", "leave bob"]);
	});

	it("whose session has moved on takes nobody with it: back and forth within the grace", async () => {
		const { world, here, there, watcher } = await twoNodes();
		const [first, second, third] = [1, 2, 3].map(() => new FakeConnection("bob")) as [
			FakeConnection,
			FakeConnection,
			FakeConnection,
		];
		await here.join(first);
		await there.join(second);
		await here.join(third);
		here.presence.ended(first, "replaced");
		there.presence.ended(second, undefined);
		await world.pass(4 * GRACE_MS);
		expect(watcher.heard()).toEqual(["join bob"]);
		here.presence.ended(third, "normal");
		await world.pass(TOLD_MS);
		expect(watcher.heard()).toEqual(["leave bob"]);
	});
});

describe("a session that two nodes claim", () => {
	it("is the later one's: what the other writes too late throws nobody out", async () => {
		const { world, here, there, watcher } = await twoNodes();
		const [old, present] = [new FakeConnection("bob"), new FakeConnection("bob")];
		await here.join(new FakeConnection("ann"), { enter: false });
		here.cut = true;
		await here.join(old);
		await there.join(present);
		here.presence.ended(old, undefined);
		await world.pass(2_000);
		here.cut = false;
		await world.pass(3 * GRACE_MS);
		expect(watcher.heard()).toEqual(["join bob"]);
		expect(await here.members()).toEqual(["bob"]);
	});

	it("is the living one's, when the one that took it over fails; unless it has said goodbye", async () => {
		const { world, here, there, watcher } = await twoNodes();
		await here.join(new FakeConnection("bob"));
		await world.pass(TOLD_MS);
		const other = new FakeConnection("bob");
		await there.join(other);
		await world.pass(TOLD_MS);
		there.presence.ended(other, undefined);
		await world.pass(2 * GRACE_MS);
		expect(await there.members()).toEqual(["bob"]);
		expect(watcher.heard()[0]).toBe("join bob");
		const last = new FakeConnection("bob");
		await there.join(last);
		await world.pass(TOLD_MS);
		there.presence.ended(last, "normal");
		await world.pass(TOLD_MS);
		expect(await here.members()).toEqual([]);
	});
});

describe("a node", () => {
	it("that dies takes its members with it, a grace after its last sign of life", async () => {
		const { world, here, watcher } = await twoNodes();
		await here.join(new FakeConnection("ann"));
		await here.join(new FakeConnection("bob"));
		await world.pass(60_000);
		here.kill();
		expect(watcher.heard()).toEqual(["join ann", "join bob"]);
		await world.pass(GRACE_MS - 6_000);
		expect(watcher.heard()).toEqual([]);
		await world.pass(7_000);
		expect(watcher.heard().sort()).toEqual(["leave ann", "leave bob"]);
		await world.pass(1_000);
		// Nothing of them is left behind but nodes' leases.
		expect(world.cluster.stats().records).toBe(0);
	});

	it("that dies loses nobody who is elsewhere within the grace", async () => {
		const { world, here, there, watcher } = await twoNodes();
		await here.join(new FakeConnection("ann"));
		await here.join(new FakeConnection("bob"));
		await world.pass(TOLD_MS);
		here.kill();
		await world.pass(5_000);
		await there.join(new FakeConnection("bob"));
		await world.pass(2 * GRACE_MS);
		expect(watcher.heard()).toEqual(["join ann", "join bob", "leave ann"]);
	});

	it("that dies with everybody is remembered by the records: whoever comes to the next one finds the others", async () => {
		const world = new World();
		const old = world.node();
		await old.join(new FakeConnection("ann"));
		await old.join(new FakeConnection("bob"));
		await world.pass(TOLD_MS);
		old.kill();
		const next = world.node();
		const ann = new FakeConnection("ann");
		await next.join(ann);
		expect(await next.members()).toEqual(["ann", "bob"]);
		await world.pass(2 * GRACE_MS);
		expect(ann.heard()).toEqual(["leave bob"]);
	});

	it("that stops in order gives its members the grace to come elsewhere", async () => {
		const { world, here, there, watcher } = await twoNodes();
		const [ann, bob] = [new FakeConnection("ann"), new FakeConnection("bob")];
		await here.join(ann);
		await here.join(bob);
		await world.pass(TOLD_MS);
		for (const each of [ann, bob]) {
			here.presence.ended(each, "restart");
		}
		await here.presence.stop();
		here.kill();
		await world.pass(GRACE_MS - 2_000);
		await there.join(new FakeConnection("ann"));
		await world.pass(GRACE_MS);
		expect(watcher.heard()).toEqual(["join ann", "join bob", "leave bob"]);
	});

	it("that was suspended for longer than its lease says so again when it goes on", async () => {
		const { world, here, watcher } = await twoNodes();
		await here.join(new FakeConnection("bob"));
		await world.pass(TOLD_MS);
		here.cut = true;
		await world.pass(GRACE_MS + 2_000);
		expect(watcher.heard()).toEqual(["join bob", "leave bob"]);
		here.cut = false;
		await world.pass(GRACE_MS);
		expect(watcher.heard()).toEqual(["join bob"]);
		expect(here.warnings).toHaveLength(1);
	});

	it("buries nobody after the broker was away from all: the living could not renew either", async () => {
		const { world, here, there, watcher } = await twoNodes();
		await here.join(new FakeConnection("bob"));
		await world.pass(TOLD_MS);
		here.cut = true;
		there.cut = true;
		await world.pass(2 * GRACE_MS);
		there.cut = false;
		await world.pass(1_500);
		here.cut = false;
		await world.pass(GRACE_MS);
		expect(watcher.heard()).toEqual(["join bob"]);
	});

	it("that missed what was told finds it in the records, at the next word or within a minute", async () => {
		const { world, here, there, watcher } = await twoNodes();
		await here.join(new FakeConnection("ann"));
		await world.pass(TOLD_MS);
		there.deaf = true;
		await here.join(new FakeConnection("bob"));
		await world.pass(TOLD_MS);
		there.deaf = false;
		expect(watcher.heard()).toEqual(["join ann"]);
		await here.join(new FakeConnection("cat"));
		await world.pass(TOLD_MS);
		expect(watcher.heard().sort()).toEqual(["join bob", "join cat"]);
		there.deaf = true;
		await here.join(new FakeConnection("dan"));
		await world.pass(TOLD_MS);
		there.deaf = false;
		await world.pass(61_000);
		expect(watcher.heard()).toEqual(["join dan"]);
	});

	it("goes on when the broker loses the feed, or every record", async () => {
		const { world, here, there, watcher } = await twoNodes();
		await here.join(new FakeConnection("ann"));
		await world.pass(TOLD_MS);
		world.cluster.forget("$presence:chat:lobby");
		await here.join(new FakeConnection("bob"));
		await world.pass(TOLD_MS);
		expect(watcher.heard()).toEqual(["join ann", "join bob"]);
		const { records } = world.cluster.node();
		for (const { key } of await records.list("presence", { limit: 100 })) {
			await records.delete(key);
		}
		await world.pass(90_000);
		expect(await there.members()).toEqual(["ann", "bob"]);
		expect((await records.list("presence:", { limit: 100 })).length).toBe(2);
	});

	it("writes what it could not write when the broker is back", async () => {
		const { world, here, watcher } = await twoNodes();
		const bob = new FakeConnection("bob");
		await here.join(new FakeConnection("ann"), { enter: false });
		here.cut = true;
		await here.join(bob);
		await world.pass(3_000);
		expect(watcher.heard()).toEqual([]);
		here.cut = false;
		await world.pass(2_000);
		expect(watcher.heard()).toEqual(["join bob"]);
	});
});

describe("what presence costs the broker", () => {
	it("10,000 members of a node: one write every 5 s, and few a second to keep their records", async () => {
		const world = new World();
		const node = world.node();
		for (let number = 0; number < 10_000; number++) {
			await node.join(new FakeConnection(`s${number}`), { watch: false });
		}
		await world.pass(5_000);
		node.counts.writes = 0;
		await world.pass(60_000);
		expect(node.counts.writes).toBeLessThanOrEqual(60 / 5 + 1);
		// Half an hour later the records are written anew, some at a time.
		await world.pass(30 * 60_000);
		node.counts.writes = 0;
		await world.pass(60_000);
		expect(node.counts.writes).toBeLessThan(60 * 15);
		expect(node.counts.lists).toBeLessThan(40 * 21);
	}, 60_000);

	it("members that come and go in one batch are one message to the nodes, however many", async () => {
		const { world, here } = await twoNodes();
		for (let number = 0; number < 200; number++) {
			await here.join(new FakeConnection(`s${number}`));
		}
		here.counts.publishes = 0;
		for (let number = 200; number < 1_200; number++) {
			await here.join(new FakeConnection(`s${number}`), { watch: false });
			await world.pass(1);
		}
		// 1,000 joins in a second: a message every 50 ms.
		expect(here.counts.publishes).toBeLessThanOrEqual(21);
	});

	it("a channel that nobody is in or asks about is let go of", async () => {
		const { world, here, there, watcher } = await twoNodes();
		const bob = new FakeConnection("bob");
		await here.join(bob);
		await here.members();
		here.presence.ended(bob, "normal");
		there.presence.ended(watcher, "normal");
		await world.pass(11_000);
		expect(world.cluster.stats().records).toBeLessThanOrEqual(1);
		here.counts.reads = here.counts.lists = 0;
		await world.pass(120_000);
		expect(here.counts).toMatchObject({ reads: 0, lists: 0 });
	});
});

describe("limits", () => {
	it("a channel that is full takes nobody more, but whoever comes back", async () => {
		const world = new World();
		const node = world.node();
		const small = { ...LOBBY, maxMembers: 2 };
		const ann = new FakeConnection("ann");
		await node.join(ann, {}, small);
		await node.join(new FakeConnection("bob"), {}, small);
		await expect(node.join(new FakeConnection("cat"), {}, small)).rejects.toMatchObject({
			wire: { code: "limit_reached" },
		});
		node.presence.ended(ann, undefined);
		await node.join(new FakeConnection("ann"), {}, small);
	});

	it("the list comes in pages, of members and of bytes", async () => {
		const world = new World();
		const node = world.node();
		const data = JSON.stringify("x".repeat(1_000));
		for (let number = 0; number < 1_500; number++) {
			const id = `s${String(number).padStart(4, "0")}`;
			await node.join(new FakeConnection(id), { watch: false, data, user: `u${number % 7}` });
		}
		const ids: string[] = [];
		let pages = 0;
		for (let after: string | undefined; ; after = ids.at(-1)) {
			const { members, more, count, users } = await node.listing(LOBBY, after);
			expect([count, users]).toEqual([1_500, 7]);
			ids.push(...members.map(({ id }) => id));
			pages++;
			if (!more) {
				break;
			}
		}
		expect(ids).toHaveLength(1_500);
		expect(new Set(ids).size).toBe(1_500);
		expect(pages).toBe(6);
		expect((await node.listing(LOBBY, undefined, 10)).members).toHaveLength(10);
	});

	it("S23: to ask who is in ever other channels keeps up with a bounded number of them, and in the end with none", async () => {
		const world = new World();
		const node = world.node();
		for (let count = 0; count < 1_500; count++) {
			const name = `nobody is in ${count}`;
			await node.listing({ name, wireName: name, maxMembers: 1 });
		}
		expect(node.presence.rooms).toBe(1_000);
		await world.pass(15_000);
		expect(node.presence.rooms).toBe(0);
	});
});

describe("plain clients", () => {
	it("are told of users: the first session to come, the last to go", async () => {
		const { world, here, there } = await twoNodes();
		const plain = new FakeConnection("p", PLAIN);
		await there.join(plain, { user: "ann" });
		const [one, two] = [new FakeConnection("one"), new FakeConnection("two")];
		await here.join(one, { user: "bob" });
		await world.pass(TOLD_MS);
		await here.join(two, { user: "bob" });
		await here.join(new FakeConnection("three"), { user: "ann" });
		await world.pass(TOLD_MS);
		here.presence.leave(one, "chat:lobby");
		await world.pass(TOLD_MS);
		expect(plain.told()).toEqual([{ type: "user_joined", user: "bob" }]);
		here.presence.leave(two, "chat:lobby");
		await world.pass(TOLD_MS);
		expect(plain.told()).toEqual([{ type: "user_left", user: "bob" }]);
		await here.join(new FakeConnection("four"), { user: null });
		await world.pass(TOLD_MS);
		expect(plain.told()).toEqual([{ type: "user_joined", user: null }]);
	});
});
