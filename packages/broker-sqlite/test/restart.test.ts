/** What outlives the process, beside the log: keys, snapshots, schedule, records. */
import { describe, expect, it } from "vitest";
import { FakeClock } from "./fake-clock.ts";
import { makePath } from "./files.ts";
import { json, KEEP, open, publish, readTexts, refusal } from "./machine.ts";

const MINUTE_MS = 60_000;

describe("after a restart", () => {
	it("B4: a repeat gets the first position, and a snapshot is there with its offset", async () => {
		const path = makePath();
		const first = open({ path });
		const options = { idempotencyKey: "s1:1", snapshot: new TextEncoder().encode('{"n":1}') };
		const position = await publish(first.node(), "a", json("1"), options);
		await first.close();
		const second = open({ path });
		const node = second.node();
		expect(await node.publish("a", json("1"), { retention: KEEP, ...options })).toEqual({
			status: "accepted",
			position,
			duplicate: true,
		});
		const snapshot = await node.snapshot("a");
		expect([snapshot.epoch, snapshot.head, snapshot.offset]).toEqual([position.epoch, 1, 1]);
		expect(new TextDecoder().decode(snapshot.data)).toBe('{"n":1}');
		await second.close();
	});

	it("records are there until their time, and compare-and-set goes on from them", async () => {
		const path = makePath();
		const clock = new FakeClock();
		const value = Uint8Array.of(1);
		const first = open({ path, now: clock.now });
		const { records } = first.node();
		await records.set("lease:a", value, MINUTE_MS);
		await records.set("lease:b", value, 2 * MINUTE_MS);
		await first.close();
		clock.advance(MINUTE_MS);
		const second = open({ path, now: clock.now });
		const after = second.node().records;
		expect((await after.list("lease:", { limit: 10 })).map(({ key }) => key)).toEqual(["lease:b"]);
		expect(await after.replace("lease:b", value, Uint8Array.of(2), MINUTE_MS)).toBe(true);
		expect(await after.replace("lease:b", value, Uint8Array.of(3), MINUTE_MS)).toBe(false);
		await second.close();
	});

	it("a scheduled publish is made once at its time, and one whose time passed meanwhile at the start", async () => {
		const path = makePath();
		const clock = new FakeClock();
		const on = { path, now: clock.now, after: clock.after };
		const first = open(on);
		const node = first.node();
		const at = (seconds: number, value: string): Promise<unknown> =>
			node.publish("a", json(value), { retention: KEEP, atMs: clock.now() + seconds * 1_000, idempotencyKey: value });
		await at(90, "later");
		await at(10, "due while nobody ran");
		await first.close();
		clock.timers = [];

		clock.advance(30_000);
		const second = open(on);
		const again = second.node();
		clock.advance(0);
		await second.idle();
		expect(await readTexts(again, "a")).toEqual(["due while nobody ran"]);
		expect(await again.publish("a", json("x"), { retention: KEEP, idempotencyKey: "later" })).toEqual({
			status: "scheduled",
			duplicate: true,
		});
		clock.advance(60_000);
		await second.idle();
		expect(await readTexts(again, "a")).toEqual(["due while nobody ran", "later"]);
		expect(second.stats().scheduled).toBe(0);
		await second.close();
	});

	it("the bounds on records and on what is scheduled still count what was there before", async () => {
		const path = makePath();
		const bounds = { path, maxRecords: 2, maxScheduled: 1 };
		const value = Uint8Array.of(1);
		const first = open(bounds);
		const node = first.node();
		await node.records.set("1", value, MINUTE_MS);
		await node.records.set("2", value, MINUTE_MS);
		await node.publish("a", json("1"), { retention: KEEP, atMs: Date.now() + MINUTE_MS });
		await first.close();
		const second = open(bounds);
		const again = second.node();
		expect(await refusal(again.records.set("3", value, MINUTE_MS))).toMatchObject({ code: "unavailable" });
		const scheduling = again.publish("a", json("2"), { retention: KEEP, atMs: Date.now() + MINUTE_MS });
		expect(await refusal(scheduling)).toMatchObject({ code: "unavailable" });
		await again.records.delete("1");
		await again.records.set("3", value, MINUTE_MS);
		await second.close();
	});
});

it("any string is a name of its own, lone surrogates and NUL too, and lists are in the order of UTF-16 units", async () => {
	const path = makePath();
	const names = ["\ud800", "\udfff", "\ud83d\ude97", "\uffff", "a\0b", "a", "\0", "ü", "u\u0308", "\ufeffa"];
	const first = open({ path });
	for (const name of names) {
		await publish(first.node(), name, json(JSON.stringify(name)));
		await first.node().records.set(name, Uint8Array.of(1), MINUTE_MS);
	}
	await first.close();
	const second = open({ path });
	const node = second.node();
	for (const name of names) {
		expect(await readTexts(node, name)).toEqual([JSON.stringify(name)]);
	}
	expect(await node.channels({ limit: 100 })).toEqual([...names].sort());
	expect((await node.records.list("", { limit: 100 })).map(({ key }) => key)).toEqual([...names].sort());
	expect(await node.channels({ prefix: "a", after: "a", limit: 100 })).toEqual(["a\0b"]);
	await second.close();
});
