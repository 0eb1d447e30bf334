import type { Ack, Failure } from "@tidewire/protocol";
import { describe, expect, it } from "vitest";
import { Performed } from "../../src/connection/performed.ts";

const WINDOW = 300_000;

class World {
	nowMs = 0;
	performed = 0;
	readonly calls = new Performed({
		windowMs: WINDOW,
		maxPerScope: 3,
		maxBytes: 80_000,
		nowMs: () => this.nowMs,
	});

	call(key: string, reply: Ack | Failure | Promise<Ack | Failure> = { ack: key }, scope = "s:1", share = "") {
		const perform = async () => {
			this.performed++;
			const done = await reply;
			return { reply: done, bytes: JSON.stringify(done).length };
		};
		return this.calls.find(scope, key) ?? this.calls.begin(scope, share, key, perform);
	}
}

describe("what is performed once", () => {
	it("gives a repeat the first reply", async () => {
		const world = new World();
		await world.call("a", { ack: "a", data: 1 });
		expect(await world.call("a", { ack: "a", data: 2 })).toEqual({ ack: "a", data: 1 });
		expect(world.performed).toBe(1);
	});

	it("lets a repeat wait for the first that is at work", async () => {
		const world = new World();
		const { promise, resolve } = Promise.withResolvers<Ack>();
		const both = [world.call("a", promise), world.call("a")];
		resolve({ ack: "a", data: "late" });
		expect(await Promise.all(both)).toEqual([
			{ ack: "a", data: "late" },
			{ ack: "a", data: "late" },
		]);
		expect(world.performed).toBe(1);
	});

	it("records final errors; after a retryable one a repeat is a new try", async () => {
		const world = new World();
		await world.call("final", { ack: "final", error: { code: "forbidden", message: "" } });
		await world.call("final");
		expect(world.performed).toBe(1);
		await world.call("again", { ack: "again", error: { code: "unavailable", message: "", retryable: true } });
		expect(await world.call("again")).toEqual({ ack: "again" });
		expect(world.performed).toBe(3);
	});

	it("forgets after the window", async () => {
		const world = new World();
		await world.call("a");
		world.nowMs = WINDOW - 1;
		await world.call("a");
		expect(world.performed).toBe(1);
		world.nowMs = WINDOW;
		await world.call("a");
		expect(world.performed).toBe(2);
	});

	it("knows one scope's calls in no other", async () => {
		const world = new World();
		await world.call("a", { ack: "a" }, "s:1");
		await world.call("a", { ack: "a" }, "s:2");
		expect(world.performed).toBe(2);
	});

	it("S42: refuses more ids than it can remember, until the oldest may be forgotten; others are not touched", async () => {
		const world = new World();
		await Promise.all(["a", "b", "c"].map((key) => world.call(key)));
		expect(world.call("d")).toBeUndefined();
		expect(await world.call("a")).toEqual({ ack: "a" });
		expect(await world.call("d", { ack: "d" }, "s:2")).toEqual({ ack: "d" });
		world.nowMs = WINDOW;
		expect(await world.call("d")).toEqual({ ack: "d" });
	});

	it.each(["__proto__", "constructor", "toString"])("S18: takes %s for a key like any other", async (key) => {
		const world = new World();
		await world.call(key, { ack: key }, key);
		await world.call(key, { ack: key }, key);
		expect(world.performed).toBe(1);
	});

	it("S42: refuses a scope that has its share of all bytes, until they may be forgotten; others are not touched", async () => {
		const world = new World();
		await world.call("a", { ack: "a", data: "x".repeat(10_000) });
		expect(world.call("b")).toBeUndefined();
		expect(await world.call("a")).toMatchObject({ ack: "a" });
		expect(await world.call("b", { ack: "b" }, "s:2")).toEqual({ ack: "b" });
		world.nowMs = WINDOW;
		expect(await world.call("b")).toEqual({ ack: "b" });
	});

	it("S42: refuses a user who has their share of all bytes, under however many sessions; others are not touched", async () => {
		const world = new World();
		await world.call("a", { ack: "a", data: "x".repeat(9_000) }, "s:1", "u:ann");
		await world.call("a", { ack: "a", data: "x".repeat(9_000) }, "s:2", "u:ann");
		expect(world.call("a", { ack: "a" }, "s:3", "u:ann")).toBeUndefined();
		expect(await world.call("a", { ack: "other" }, "s:1", "u:ann")).toMatchObject({ data: expect.any(String) });
		expect(await world.call("a", { ack: "a" }, "s:4", "u:bob")).toEqual({ ack: "a" });
		world.nowMs = WINDOW;
		world.calls.sweep();
		expect(await world.call("a", { ack: "a" }, "s:3", "u:ann")).toEqual({ ack: "a" });
	});

	it("S42: those who are nobody have half of all bytes together, and leave the rest to users", async () => {
		const world = new World();
		for (let scope = 0; scope < 4; scope++) {
			await world.call("a", { ack: "a", data: "x".repeat(10_000) }, `s:${scope}`);
		}
		expect(world.call("a", { ack: "a" }, "s:new")).toBeUndefined();
		expect(await world.call("a", { ack: "a" }, "s:ann", "u:ann")).toEqual({ ack: "a" });
	});

	it("S42: refuses all where all together have as many bytes as may be", async () => {
		const world = new World();
		for (let user = 0; user < 8; user++) {
			await world.call("a", { ack: "a", data: "x".repeat(10_000) }, `s:${user}`, `u:${user}`);
		}
		expect(world.call("a", { ack: "a" }, "s:new", "u:new")).toBeUndefined();
		expect(await world.call("a", { ack: "other" }, "s:7", "u:7")).toMatchObject({ ack: "a" });
	});

	it("remembers a refusal that was no call, once, as far as there is room", async () => {
		const world = new World();
		const refusal = { ack: "p", error: { code: "forbidden", message: "first" } } as const;
		world.calls.record("s:1", "", "p", { reply: refusal, bytes: 100 });
		world.calls.record("s:1", "", "p", { reply: { ack: "p" }, bytes: 100 });
		expect(await world.call("p")).toEqual(refusal);
		await Promise.all(["a", "b"].map((key) => world.call(key)));
		world.calls.record("s:1", "", "late", { reply: refusal, bytes: 100 });
		expect(world.calls.find("s:1", "late")).toBeUndefined();
		expect(world.calls.knows("s:1")).toBe(true);
		expect(world.calls.knows("s:2")).toBe(false);
	});

	it("counts no bytes of what is forgotten, is to be tried again, or was forgotten while it was at work", async () => {
		const world = new World();
		await world.call("again", { ack: 1, error: { code: "unavailable", message: "later", retryable: true } });
		expect(world.calls.bytes).toBe(0);
		await world.call("a", { ack: "a", data: "x".repeat(1_000) });
		const { promise, resolve } = Promise.withResolvers<Ack>();
		const working = world.call("b", promise);
		expect(world.calls.bytes).toBeGreaterThan(1_000);
		world.nowMs = WINDOW;
		world.calls.sweep();
		resolve({ ack: "b", data: "x".repeat(1_000) });
		await working;
		expect(world.calls.bytes).toBe(0);
	});

	it("sweeps scopes that are over", async () => {
		const world = new World();
		await world.call("a");
		world.nowMs = WINDOW;
		world.calls.sweep();
		await world.call("a");
		expect(world.performed).toBe(2);
	});
});
