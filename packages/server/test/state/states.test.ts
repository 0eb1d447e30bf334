/**
 * State channels over a broker: what a publish does to the value, what subscribers are told of it, and how several nodes
 * that write to one channel lose nothing of each other.
 */
import { type Broker, createMemoryCluster, type Entry, type MemoryCluster } from "@tidewire/broker";
import { type ChannelRoute, channel, compileChannels, contract } from "@tidewire/contract";
import { applyPatch } from "@tidewire/protocol/merge-patch";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import type { Change } from "../../src/state/change.ts";
import { decodeJson, encodeJson } from "../../src/state/document.ts";
import { mergeEntries } from "../../src/state/merged.ts";
import { type Changed, type StateChange, States } from "../../src/state/states.ts";

/** A clock that is moved by hand, and its timers. */
class Clock {
	nowMs = 1_000_000;
	readonly #timers = new Set<{ readonly task: () => void; readonly atMs: number }>();

	readonly setTimer = (task: () => void, delayMs: number): (() => void) => {
		const timer = { task, atMs: this.nowMs + delayMs };
		this.#timers.add(timer);
		return () => this.#timers.delete(timer);
	};

	get timers(): number {
		return this.#timers.size;
	}

	pass(ms: number): void {
		this.nowMs += ms;
		for (const timer of [...this.#timers]) {
			if (timer.atMs <= this.nowMs && this.#timers.delete(timer)) {
				timer.task();
			}
		}
	}
}

function cluster(clock: Clock): MemoryCluster {
	const made = createMemoryCluster({ now: () => clock.nowMs, every: () => () => {} });
	onTestFinished(() => made.close());
	return made;
}

function statesOn(broker: Pick<Broker, "publish" | "snapshot">, clock: Clock): States {
	const failed = (_channel: string, cause: unknown): void => {
		throw cause;
	};
	const states = new States(broker, { nowMs: () => clock.nowMs, setTimer: clock.setTimer, failed });
	onTestFinished(() => states.stop());
	return states;
}

function routeOf(options: Parameters<typeof channel>[0] = { state: true }): ChannelRoute {
	return compileChannels(contract({ channels: { a: channel({ state: true, ...options }) } })).match("a")!;
}

const ROUTE = routeOf();

interface Setting {
	readonly clock: Clock;
	readonly broker: Broker;
	readonly states: States;
	/** Everything that was appended to channel a. */
	log(): Promise<readonly { readonly offset: number; readonly patch?: unknown; readonly data?: unknown }[]>;
	value(): Promise<unknown>;
	set(value: unknown, more?: Partial<StateChange> & { key?: string; ttlMs?: number }): Promise<Changed>;
	patch(patch: unknown, more?: Partial<StateChange> & { key?: string; ttlMs?: number }): Promise<Changed>;
}

function setting(route = ROUTE, shared?: { readonly clock: Clock; readonly nodes: MemoryCluster }): Setting {
	const clock = shared?.clock ?? new Clock();
	const broker = (shared?.nodes ?? cluster(clock)).node();
	const states = statesOn(broker, clock);
	const publish = (change: Change, more: Partial<StateChange>): Promise<Changed> =>
		states.publish("a", route, { attributes: {}, ...more, change });
	const part = (more: { key?: string; ttlMs?: number }): object => ({
		...(more.key === undefined ? {} : { key: more.key }),
		...(more.ttlMs === undefined ? {} : { ttlMs: more.ttlMs }),
	});
	return {
		clock,
		broker,
		states,
		async log() {
			const { entries } = await broker.read("a", { after: 0, limit: 10_000 });
			return entries.map((entry: Entry) => ({
				offset: entry.offset,
				[entry.patch ? "patch" : "data"]: decodeJson(entry.data),
			}));
		},
		async value() {
			const { text } = await states.value("a");
			return text && decodeJson(text);
		},
		set: (value, { key, ttlMs, ...more } = {}) =>
			publish({ kind: "value", value, text: encodeJson(value), ...part({ key, ttlMs } as object) }, more),
		patch: (patch, { key, ttlMs, ...more } = {}) =>
			publish({ kind: "patch", patch, ...part({ key, ttlMs } as object) }, more),
	};
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a change", () => {
	it("has no value before the first", async () => {
		const { states } = setting();
		expect(await states.snapshot("a", ROUTE)).toEqual({ position: expect.anything(), text: undefined });
	});

	it("is a whole value, or a patch of it; each is told as it was published", async () => {
		const { set, patch, value, log } = setting();
		await set({ a: 1, b: { c: 2 } });
		await patch({ b: { d: 3 }, a: null });
		expect(await value()).toEqual({ b: { c: 2, d: 3 } });
		expect(await log()).toEqual([
			{ offset: 1, data: { a: 1, b: { c: 2 } } },
			{ offset: 2, patch: { b: { d: 3 }, a: null } },
		]);
	});

	it("of one key sets the member, replacing what it was, and is told as a patch", async () => {
		const { set, value, log } = setting();
		await set({ ann: { x: 1, y: 1 }, bob: { x: 2 } });
		await set({ x: 5 }, { key: "ann" });
		expect(await value()).toEqual({ ann: { x: 5 }, bob: { x: 2 } });
		expect((await log()).at(-1)).toEqual({ offset: 2, patch: { ann: { x: 5, y: null } } });
	});

	it("of one key by a patch patches within the member", async () => {
		const { set, patch, value, log } = setting();
		await set({ ann: { x: 1, y: 1 } });
		await patch({ x: null, z: 1 }, { key: "ann" });
		expect(await value()).toEqual({ ann: { y: 1, z: 1 } });
		expect((await log()).at(-1)).toEqual({ offset: 2, patch: { ann: { x: null, z: 1 } } });
	});

	it("that no patch can say is told as the whole value: a member that becomes null", async () => {
		const { set, value, log } = setting();
		await set({ a: 1, b: 2 });
		await set(null, { key: "a" });
		expect(await value()).toEqual({ a: null, b: 2 });
		expect((await log()).at(-1)).toEqual({ offset: 2, data: { a: null, b: 2 } });
	});

	it("of a value that is no object makes one, as RFC 7396 says", async () => {
		const { set, patch, value } = setting();
		await set([1, 2]);
		await patch({ a: 1 });
		expect(await value()).toEqual({ a: 1 });
	});

	it("with a ttl and no key is refused: it is a member that expires", async () => {
		const { set } = setting();
		expect(await set({}, { ttlMs: 1_000 })).toMatchObject({ status: "refused", code: "bad_request" });
	});

	it("keeps the publisher's own text of a whole value", async () => {
		const { states, broker } = setting();
		const text = new TextEncoder().encode('{"a":1.0,\n"b":12345678901234567890}');
		await states.publish("a", ROUTE, { attributes: {}, change: { kind: "value", value: decodeJson(text), text } });
		expect((await states.value("a")).text).toEqual(text);
		expect((await broker.read("a", { after: 0, limit: 1 })).entries[0]?.data).toEqual(text);
	});
});

describe("the schema of a state channel", () => {
	const route = routeOf({ data: z.object({ score: z.number(), name: z.string().default("nobody") }) });

	it("is asked about the whole value that results", async () => {
		const { set, patch, value } = setting(route);
		expect(await set({ score: 1, name: "ann" })).toMatchObject({ status: "accepted" });
		expect(await patch({ score: "many" })).toMatchObject({ status: "refused", code: "invalid_data" });
		expect(await patch({ score: null })).toMatchObject({
			status: "refused",
			issues: [{ path: ["score"], message: expect.any(String) }],
		});
		expect(await patch({ score: 2 })).toMatchObject({ status: "accepted" });
		expect(await value()).toEqual({ score: 2, name: "ann" });
	});

	it("may change what results: subscribers are told of that", async () => {
		const { set, patch, value, log } = setting(route);
		await set({ score: 1 });
		await patch({ name: null, score: 2, more: 1 });
		expect(await value()).toEqual({ score: 2, name: "nobody" });
		expect(await log()).toEqual([
			{ offset: 1, data: { score: 1, name: "nobody" } },
			{ offset: 2, patch: { score: 2 } },
		]);
	});

	it("may be asynchronous: changes keep their order", async () => {
		const slow = routeOf({ data: z.record(z.string(), z.number()).refine(async () => true) });
		const { patch, log } = setting(slow);
		await Promise.all([patch({ a: 1 }), patch({ a: 2 }), patch({ a: 3 })]);
		expect(await log()).toEqual([1, 2, 3].map((a) => ({ offset: a, patch: { a } })));
	});
});

describe("compare-and-set", () => {
	it("changes the value at that position, and no other", async () => {
		const { set, value } = setting();
		const first = (await set({ n: 1 })) as { position: { epoch: string; offset: number } };
		const second = await set({ n: 2 }, { ifPosition: first.position });
		expect(second).toMatchObject({ status: "accepted", position: { offset: 2 } });
		const late = await set({ n: 3 }, { ifPosition: first.position });
		expect(late).toMatchObject({ status: "conflict", position: { epoch: first.position.epoch, offset: 2 } });
		expect(decodeJson((late as { text: Uint8Array }).text)).toEqual({ n: 2 });
		expect(await value()).toEqual({ n: 2 });
	});

	it("sees what another node has written", async () => {
		const clock = new Clock();
		const nodes = cluster(clock);
		const one = setting(ROUTE, { clock, nodes });
		const two = setting(ROUTE, { clock, nodes });
		const first = (await one.set({ n: 1 })) as { position: { epoch: string; offset: number } };
		const second = (await two.patch({ n: 2 }, { ifPosition: first.position })) as typeof first;
		expect(second).toMatchObject({ status: "accepted" });
		expect(await one.set({ n: 3 }, { ifPosition: first.position })).toMatchObject({
			status: "conflict",
			position: second.position,
		});
		expect(await one.patch({ m: 1 }, { ifPosition: second.position })).toMatchObject({ status: "accepted" });
		expect(await two.value()).toEqual({ n: 2, m: 1 });
	});

	it("repeated with its idempotency key gets the first outcome, though the position has passed", async () => {
		const { set, patch } = setting();
		const first = (await set({ n: 1 })) as { position: { epoch: string; offset: number } };
		const once = { ifPosition: first.position, idempotencyKey: "k", idempotencyMs: 60_000 };
		const done = (await patch({ n: 2 }, once)) as typeof first;
		await patch({ n: 3 });
		expect(await patch({ n: 2 }, once)).toMatchObject({ status: "accepted", duplicate: true, position: done.position });
	});
});

describe("a repeat", () => {
	it("is performed once, also where it could not be done to the present value", async () => {
		const { set, patch, value } = setting(routeOf({ data: z.object({ n: z.number().optional() }) }));
		await set({});
		const key = { idempotencyKey: "k", idempotencyMs: 60_000 };
		const { position } = (await patch({ n: 1 }, key)) as { position: unknown };
		await set({ n: 5 });
		expect(await patch({ n: 1 }, key)).toMatchObject({ status: "accepted", position, duplicate: true });
		// With another body that the schema refuses: what counts is the key.
		expect(await patch({ n: "no" }, key)).toMatchObject({ status: "accepted", duplicate: true });
		expect(await value()).toEqual({ n: 5 });
	});
});

describe("several nodes", () => {
	it("write to one channel at once and lose no update", async () => {
		const clock = new Clock();
		const nodes = cluster(clock);
		const writers = [
			setting(ROUTE, { clock, nodes }),
			setting(ROUTE, { clock, nodes }),
			setting(ROUTE, { clock, nodes }),
		];
		const results = await Promise.all(
			writers.flatMap(({ patch }, writer) =>
				Array.from({ length: 50 }, (_, index) => patch({ [`${writer}.${index}`]: index })),
			),
		);
		expect(results.every(({ status }) => status === "accepted")).toBe(true);
		const value = await writers[0]!.value();
		expect(Object.keys(value as object)).toHaveLength(150);
		// The patches that were told come to the same value.
		const told = (await writers[0]!.log()).reduce<unknown>((so, { patch }) => applyPatch(so, patch), undefined);
		expect(told).toEqual(value);
	});

	it("counters that are read and set under compare-and-set lose no step", async () => {
		const clock = new Clock();
		const nodes = cluster(clock);
		const writers = [setting(ROUTE, { clock, nodes }), setting(ROUTE, { clock, nodes })];
		await writers[0]!.set({ n: 0 });
		await Promise.all(
			writers.map(async ({ states, patch }) => {
				for (let steps = 0; steps < 20; ) {
					const { position, text } = await states.value("a");
					const { n } = decodeJson(text!) as { n: number };
					const { status } = await patch({ n: n + 1 }, { ifPosition: position });
					steps += status === "accepted" ? 1 : 0;
				}
			}),
		);
		expect(await writers[1]!.value()).toEqual({ n: 40 });
	});

	it("a node that is always too late gives up after 16 tries, and says that it may be tried again", async () => {
		const { broker, clock } = setting();
		let tries = 0;
		const busy = statesOn(
			{
				snapshot: (name) => broker.snapshot(name),
				async publish(name, publication, options) {
					tries += 1;
					await broker.publish(name, publication, { retention: options.retention });
					return broker.publish(name, publication, options);
				},
			},
			clock,
		);
		const change = { kind: "patch", patch: { a: 1 } } as const;
		expect(await busy.publish("a", ROUTE, { attributes: {}, change })).toMatchObject({
			status: "refused",
			code: "unavailable",
		});
		expect(tries).toBe(16);
	});

	it("on one node, a hot channel needs no second try", async () => {
		const { broker, clock } = setting();
		let tries = 0;
		let reads = 0;
		const states = statesOn(
			{
				snapshot(name) {
					reads += 1;
					return broker.snapshot(name);
				},
				publish(name, publication, options) {
					tries += 1;
					return broker.publish(name, publication, options);
				},
			},
			clock,
		);
		await Promise.all(
			Array.from({ length: 100 }, (_, n) =>
				states.publish("a", ROUTE, { attributes: {}, change: { kind: "patch", patch: { [n]: n } } }),
			),
		);
		expect({ tries, reads }).toEqual({ tries: 100, reads: 1 });
	});
});

describe("members that expire", () => {
	it("are gone for readers at once, and are published as removed when they are due", async () => {
		const { clock, set, states, value, log } = setting();
		await set({ ann: 1 });
		await set(2, { key: "bob", ttlMs: 5_000 });
		clock.pass(4_999);
		expect(await value()).toEqual({ ann: 1, bob: 2 });
		clock.nowMs += 1;
		expect(decodeJson((await states.snapshot("a", ROUTE)).text!)).toEqual({ ann: 1 });
		clock.pass(0);
		await settled();
		expect((await log()).at(-1)).toEqual({ offset: 3, patch: { bob: null } });
		expect(clock.timers).toBe(0);
	});

	it("are removed once, by one of several nodes", async () => {
		const clock = new Clock();
		const nodes = cluster(clock);
		const [one, two, three] = [1, 2, 3].map(() => setting(ROUTE, { clock, nodes }));
		await one!.set(1, { key: "bob", ttlMs: 1_000 });
		await two!.states.snapshot("a", ROUTE);
		await three!.states.snapshot("a", ROUTE);
		clock.pass(1_000);
		await settled();
		clock.pass(10_000);
		await settled();
		expect(await one!.log()).toEqual([
			{ offset: 1, patch: { bob: 1 } },
			{ offset: 2, patch: { bob: null } },
		]);
	});

	it("are removed by a node with subscribers when the one that set them has died", async () => {
		const clock = new Clock();
		const nodes = cluster(clock);
		const dead = setting(ROUTE, { clock, nodes });
		const alive = setting(ROUTE, { clock, nodes });
		await dead.set(1, { key: "bob", ttlMs: 60_000, attributes: { key: "bob" } });
		dead.states.stop();
		const { entries } = await alive.broker.read("a", { after: 0, limit: 10 });
		alive.states.noticed("a", ROUTE, entries);
		clock.pass(5_000);
		await settled();
		clock.pass(55_000);
		await settled();
		expect((await alive.log()).at(-1)).toEqual({ offset: 2, patch: { bob: null } });
	});

	it.each([
		["setting it anew without a ttl ends the expiry", (s: Setting) => s.set(3, { key: "bob" }), { bob: 3 }],
		["a whole value ends it", (s: Setting) => s.set({ bob: 4 }), { bob: 4 }],
		["a patch leaves it", (s: Setting) => s.patch({ bob: 5 }), {}],
		["setting it anew with a ttl prolongs it", (s: Setting) => s.set(6, { key: "bob", ttlMs: 9_000 }), { bob: 6 }],
		["a patch of the key with a ttl prolongs it", (s: Setting) => s.patch(7, { key: "bob", ttlMs: 9_000 }), { bob: 7 }],
	])("%s", async (_, change, left) => {
		const all = setting();
		await all.set(1, { key: "bob", ttlMs: 1_000 });
		await change(all);
		all.clock.pass(1_000);
		await settled();
		expect(await all.value()).toEqual(left);
	});

	it("are told as removed by the next change, where that comes before the timer", async () => {
		const { clock, set, patch, log } = setting();
		await set({ x: 1, y: 1 }, { key: "bob", ttlMs: 1_000 });
		clock.nowMs += 1_000;
		await patch({ bob: { z: 1 } });
		expect((await log()).at(-1)).toEqual({ offset: 2, patch: { bob: { x: null, y: null, z: 1 } } });
		clock.pass(0);
		await settled();
		expect(await log()).toHaveLength(2);
	});

	it("called __proto__ expire like any other", async () => {
		const { clock, set, states, log } = setting();
		await set({ a: 1 }, { key: "__proto__", ttlMs: 1_000 });
		expect(new TextDecoder().decode((await states.value("a")).text)).toBe('{"__proto__":{"a":1}}');
		clock.pass(1_000);
		await settled();
		expect(JSON.stringify((await log()).at(-1))).toBe('{"offset":2,"patch":{"__proto__":null}}');
	});

	it("that the broker cannot be told of are tried again", async () => {
		const { broker, clock } = setting();
		let isAway = false;
		const failures: unknown[] = [];
		const states = new States(
			{
				snapshot: (name) => (isAway ? Promise.reject(new Error("away")) : broker.snapshot(name)),
				publish: (name, publication, options) => broker.publish(name, publication, options),
			},
			{ nowMs: () => clock.nowMs, setTimer: clock.setTimer, failed: (_, cause) => failures.push(cause) },
		);
		const change = { kind: "value", value: 1, text: encodeJson(1), key: "k", ttlMs: 1_000 } as const;
		await states.publish("a", ROUTE, { attributes: {}, change });
		isAway = true;
		clock.pass(1_000);
		await settled();
		expect(failures).toHaveLength(1);
		isAway = false;
		clock.pass(5_000);
		await settled();
		expect((await broker.read("a", { after: 0, limit: 9 })).entries).toHaveLength(2);
	});
});

describe("a node that stops", () => {
	it("leaves no timer behind, and says nothing of what it could not finish", async () => {
		const { clock, broker } = setting();
		const gate = Promise.withResolvers<never>();
		let isAway = false;
		const states = new States(
			{
				snapshot: (name) => (isAway ? gate.promise : broker.snapshot(name)),
				publish: (name, publication, options) => broker.publish(name, publication, options),
			},
			{ nowMs: () => clock.nowMs, setTimer: clock.setTimer, failed: () => expect.unreachable() },
		);
		const change = { kind: "value", value: 1, text: encodeJson(1), key: "k", ttlMs: 1_000 } as const;
		await states.publish("a", ROUTE, { attributes: {}, change });
		isAway = true;
		clock.pass(1_000);
		states.stop();
		gate.reject(new Error("closed"));
		await settled();
		expect(clock.timers).toBe(0);
	});
});

describe("hostile changes", () => {
	it("S18 a value that grows patch by patch stops at its channel's bytes", async () => {
		const { patch, value } = setting(routeOf({ state: { maxBytes: 10_000 } }));
		const results: Changed[] = [];
		for (let n = 0; n < 20; n++) {
			results.push(await patch({ [n]: "x".repeat(1_000) }));
		}
		expect(results.filter(({ status }) => status === "accepted")).toHaveLength(9);
		expect(results.at(-1)).toMatchObject({ status: "refused", code: "too_large" });
		expect(Object.keys((await value()) as object)).toHaveLength(9);
	});

	it("S18 a million members are refused, at once", async () => {
		const { patch, value } = setting(routeOf({ state: { maxBytes: 100_000_000 } }));
		const million = Object.fromEntries(Array.from({ length: 1_000_000 }, (_, n) => [n, 1]));
		expect(await patch(million)).toMatchObject({ status: "refused", code: "too_large" });
		expect(await value()).toBeUndefined();
	});

	it("S19 patches that nest ever deeper end at the depth that a message may have", async () => {
		const { patch, set } = setting();
		const nested = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);
		expect(await patch(nested(511))).toMatchObject({ status: "accepted" });
		expect(await patch(nested(511), { key: "b" })).toMatchObject({ status: "refused", code: "too_large" });
		expect(await set(nested(511), { key: "b" })).toMatchObject({ status: "refused", code: "too_large" });
	});

	it("S19 __proto__ is a member, and changes no prototype", async () => {
		const { patch, value } = setting();
		await patch(JSON.parse('{"__proto__":{"polluted":true}}'));
		const result = (await value()) as object;
		expect(JSON.stringify(result)).toBe('{"__proto__":{"polluted":true}}');
		expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
	});

	it("more changes than may wait for one channel are refused, and the channel goes on", async () => {
		const { broker, clock } = setting();
		const gate = Promise.withResolvers<void>();
		const states = statesOn(
			{
				async snapshot(name) {
					await gate.promise;
					return broker.snapshot(name);
				},
				publish: (name, publication, options) => broker.publish(name, publication, options),
			},
			clock,
		);
		const one = (): Promise<Changed> =>
			states.publish("a", ROUTE, { attributes: {}, change: { kind: "patch", patch: { a: 1 } } });
		const waiting = Array.from({ length: 1_024 }, one);
		expect(await one()).toMatchObject({ status: "refused", code: "unavailable" });
		gate.resolve();
		await Promise.all(waiting);
		expect(await one()).toMatchObject({ status: "accepted" });
	});
});

describe("what a slow subscriber gets", () => {
	const entry = (offset: number, value: unknown, patch = true): Entry => ({
		offset,
		timeMs: 0,
		data: encodeJson(value),
		encoding: "json",
		...(patch ? { patch: true } : {}),
	});
	const merged = (entries: readonly Entry[]): unknown => {
		const result = mergeEntries(entries);
		return result && { [result.kind]: decodeJson(result.text) };
	};

	it("is one patch of many", () => {
		expect(merged([entry(1, { a: 1, b: { c: 1 } }), entry(2, { b: { d: 2 } }), entry(3, { a: null })])).toEqual({
			patch: { a: null, b: { c: 1, d: 2 } },
		});
	});

	it("is a value where one was set among them", () => {
		expect(merged([entry(1, { a: 1 }), entry(2, { b: 1 }, false), entry(3, { c: 2, b: null })])).toEqual({
			value: { c: 2 },
		});
	});

	it("is not to be had where no one patch does what they do", () => {
		expect(merged([entry(1, { a: null }), entry(2, { a: { b: 1 } })])).toBeUndefined();
		expect(merged([])).toBeUndefined();
	});
});

describe("what a node holds", () => {
	it("serves many subscribers that come at once with one read, and those at its own head with none", async () => {
		const { broker, clock } = setting();
		let reads = 0;
		const states = statesOn(
			{
				snapshot(name) {
					reads += 1;
					return broker.snapshot(name);
				},
				publish: (name, publication, options) => broker.publish(name, publication, options),
			},
			clock,
		);
		await Promise.all(Array.from({ length: 100 }, () => states.snapshot("a", ROUTE)));
		expect(reads).toBe(1);
		const done = await states.publish("a", ROUTE, { attributes: {}, change: { kind: "patch", patch: { a: 1 } } });
		const { position } = done as { position: { epoch: string; offset: number } };
		reads = 0;
		expect(decodeJson((await states.snapshot("a", ROUTE, position)).text!)).toEqual({ a: 1 });
		expect(reads).toBe(0);
		await states.snapshot("a", ROUTE, { ...position, offset: position.offset + 1 });
		expect(reads).toBeGreaterThan(0);
	});

	it("is dropped after a publish whose outcome is not known", async () => {
		const { broker, clock } = setting();
		let fails = false;
		const states = statesOn(
			{
				snapshot: (name) => broker.snapshot(name),
				async publish(name, publication, options) {
					const result = await broker.publish(name, publication, options);
					if (fails) {
						throw new Error("the answer was lost");
					}
					return result;
				},
			},
			clock,
		);
		const patch = (value: unknown): Promise<Changed> =>
			states.publish("a", ROUTE, { attributes: {}, change: { kind: "patch", patch: value } });
		await patch({ a: 1 });
		fails = true;
		await expect(patch({ b: 1 })).rejects.toThrow("the answer was lost");
		fails = false;
		await patch({ c: 1 });
		expect(decodeJson((await states.value("a")).text!)).toEqual({ a: 1, b: 1, c: 1 });
	});
});
