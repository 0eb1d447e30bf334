import { CLOSE_REASONS } from "@tidewire/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TidewireError } from "../src/error.ts";
import {
	type Connection,
	type ConnectionEvent,
	deadlineOf,
	type Effect,
	start,
	step,
	type Terms,
} from "../src/machine.ts";

const terms: Terms = { maxBackoffMs: 30_000, connectTimeoutMs: 10_000 };
const HELLO = { session: "s1", resume: "r1", heartbeatMs: 30_000, windowMs: 300_000 };

/** An event whose serial is filled in with the present one. */
type Brief = ConnectionEvent extends infer E ? (E extends { serial: number } ? Omit<E, "serial"> : E) : never;

class Run {
	connection: Connection;
	effects: readonly Effect[];
	now = 0;
	random = 0.5;

	constructor() {
		({ connection: this.connection, effects: this.effects } = start({ now: 0, random: 0.5, ...terms }));
	}

	do(...events: Brief[]): this {
		for (const event of events) {
			const whole = { serial: this.connection.serial, ...event } as ConnectionEvent;
			const { now, random } = this;
			({ connection: this.connection, effects: this.effects } = step(this.connection, whole, {
				now,
				random,
				...terms,
			}));
		}
		return this;
	}

	at(now: number): this {
		this.now = now;
		return this;
	}

	/** Waits for the deadline, whatever it is. */
	tick(): this {
		return this.at(deadlineOf(this.connection)).do({ type: "tick" });
	}

	get phase(): string {
		return this.connection.phase.name;
	}

	get done(): readonly string[] {
		return this.effects.map((effect) => effect.type);
	}
}

const token = (value?: string): Brief => ({ type: "token", token: value });
const OPENED: Brief = { type: "opened" };
const GREETED: Brief = { type: "hello", hello: HELLO };
const lost = (code: number): Brief => ({ type: "lost", code, reason: "" });
const open = (): Run => new Run().do(token(), OPENED, GREETED);

describe("the way to a connection", () => {
	it("asks for a token, opens a socket, waits for the greeting", () => {
		const run = new Run();
		expect([run.phase, run.done]).toEqual(["authorizing", ["askToken"]]);
		run.do(token());
		expect([run.phase, run.done]).toEqual(["connecting", ["open"]]);
		run.do(OPENED);
		expect([run.phase, run.done]).toEqual(["greeting", []]);
		run.do(GREETED);
		expect([run.phase, run.done]).toEqual(["connected", ["ready"]]);
	});

	it.each([
		["before", [GREETED, { type: "authorized" }]],
		["after", [{ type: "authorized" }, GREETED]],
	] as [string, Brief[]][])("says the token first, and takes the greeting %s its acceptance", (_when, events) => {
		const run = new Run().do(token("t"), OPENED);
		expect(run.effects).toEqual([{ type: "auth", token: "t" }]);
		expect(run.do(events[0]!).phase).toBe("greeting");
		expect(run.do(events[1]!).phase).toBe("connected");
	});

	it("resumes the session before, after the token, before anything else", () => {
		const run = open().do(lost(1006)).tick().do(token("t"), OPENED, GREETED);
		expect(run.do({ type: "authorized" }).effects).toEqual([{ type: "resume", token: "r1" }]);
		run.do({ type: "resumed", resumed: true, session: "s1", resume: "r2" });
		expect(run.effects).toMatchObject([{ type: "ready", resumed: true }]);
		expect(run.connection.session).toMatchObject({ id: "s1", resume: "r2" });
	});

	it("goes on with the new session where the old one cannot be resumed", () => {
		const run = open()
			.do(lost(1006))
			.tick()
			.do(token(), OPENED, { type: "hello", hello: { ...HELLO, session: "s2" } });
		run.do({ type: "refused", error: new TidewireError("forbidden", "") });
		expect(run.effects).toMatchObject([{ type: "ready", resumed: false }]);
		expect(run.connection.session?.id).toBe("s2");
	});

	it.each(["authorizing", "connecting", "greeting"])("does not stay in %s for ever", (phase) => {
		const run = new Run().do(...[token(), OPENED].slice(0, ["authorizing", "connecting", "greeting"].indexOf(phase)));
		expect(run.phase).toBe(phase);
		run.at(9_999).do({ type: "tick" });
		expect(run.phase).toBe(phase);
		run.at(10_000).do({ type: "tick" });
		expect(run.phase).toBe("waiting");
		expect(run.done).toEqual(phase === "authorizing" ? [] : ["drop"]);
	});

	it("reports a token function that fails, and tries again", () => {
		const run = new Run().do({ type: "tokenFailed", error: new TidewireError("token_failed", "") });
		expect([run.phase, run.done]).toEqual(["waiting", ["report"]]);
		expect([run.tick().phase, run.done]).toEqual(["authorizing", ["askToken"]]);
	});
});

describe("a lost connection", () => {
	const comesBack = [1001, 1005, 1006, 1011, 1012, 1013, 4000, 4002, 4004, 4008, 4009, 4999];

	it.each(comesBack)("comes back after close code %d", (code) => {
		expect(open().do(lost(code)).phase).toBe("waiting");
	});

	it.each([1000, 1002, 1003, 1007, 1008, 1009, 4001, 4003, 4005])("ends for good after close code %d", (code) => {
		const run = open().do(lost(code));
		expect([run.phase, run.done]).toEqual(["closed", ["report"]]);
		expect(run.connection.why?.closeCode).toBe(code);
	});

	it("asks for a fresh token after 4002 (token expired)", () => {
		expect(open().do(lost(CLOSE_REASONS.token_expired.code)).tick().done).toEqual(["askToken"]);
	});

	it("starts a new session after 4004, so that twins do not fight over one", () => {
		const run = open().do(lost(CLOSE_REASONS.replaced.code));
		expect(run.connection.session).toBeUndefined();
		expect(run.tick().do(token(), OPENED, GREETED).effects).toMatchObject([{ type: "ready", resumed: false }]);
	});

	it("waits longer with each failure, up to 30 s", () => {
		const run = open().do(lost(1006));
		const waits: number[] = [];
		for (let attempt = 0; attempt < 8; attempt += 1) {
			waits.push(deadlineOf(run.connection) - run.now);
			run.tick().do(token(), lost(1006));
		}
		expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
	});

	it("starts the backoff anew after a good connection, not after one that ended at once", () => {
		const run = open().do(lost(1006)).tick().do(token(), OPENED, GREETED, { type: "resumed", resumed: true });
		run.do(lost(1006));
		expect(deadlineOf(run.connection) - run.now).toBe(1_000);
		run.tick().do(token(), OPENED, GREETED, { type: "resumed", resumed: true });
		run.at(run.now + 10_000).do(lost(1006));
		expect(deadlineOf(run.connection) - run.now).toBe(500);
	});
});

describe("a silent server (C1)", () => {
	it("is asked after the heartbeat, and given up 5 s later", () => {
		const run = open().at(29_999).do({ type: "tick" });
		expect(run.done).toEqual([]);
		expect(run.at(30_000).do({ type: "tick" }).done).toEqual(["ping"]);
		expect(run.at(34_999).do({ type: "tick" }).done).toEqual([]);
		expect([run.at(35_000).do({ type: "tick" }).phase, run.done]).toEqual(["waiting", ["drop"]]);
	});

	it("is alive as soon as anything is heard", () => {
		const run = open().at(30_000).do({ type: "tick" }).at(34_000).do({ type: "heard" });
		expect(run.at(35_000).do({ type: "tick" }).phase).toBe("connected");
		expect(deadlineOf(run.connection)).toBe(64_000);
	});
});

describe("the network (C2)", () => {
	it.each(["online", "wake"] as const)("%s ends the wait at once", (type) => {
		expect(open().do(lost(1006), { type }).done).toEqual(["askToken"]);
	});

	it.each(["online", "wake", "offline"] as const)("%s makes an open connection prove that it lives", (type) => {
		expect(open().do({ type }).done).toEqual(["ping"]);
	});

	it("does not connect while the system says offline, but looks now and then whether it is right", () => {
		const run = open().do(lost(1006), { type: "offline" });
		expect(run.phase).toBe("offline");
		expect(deadlineOf(run.connection)).toBe(30_000);
		expect(run.tick().done).toEqual(["askToken"]);
	});

	it("drops a half-made connection when the system goes offline", () => {
		expect(new Run().do(token(), { type: "offline" }).done).toEqual(["drop"]);
	});
});

describe("a server that asks us to move", () => {
	it("is left when it asked, not before, and the next try is made at once", () => {
		const run = open().at(60_000).do({ type: "heard" }, { type: "move", after: 3.2 });
		expect(run.phase).toBe("connected");
		expect(run.at(63_199).do({ type: "tick" }).phase).toBe("connected");
		expect(run.at(63_200).do({ type: "tick" }).done).toEqual(["drop", "askToken"]);
	});

	it("is not come back to earlier when it ends the connection before, whatever the network says", () => {
		const run = open().do({ type: "move", after: 3.2 }, lost(1012));
		expect(deadlineOf(run.connection)).toBe(3_200);
		expect(run.do({ type: "wake" }).phase).toBe("waiting");
	});

	it("meets the backoff when it sends everybody away at once (S45)", () => {
		const run = open().at(1).do({ type: "move", after: 0 }).tick();
		expect([run.phase, run.done]).toEqual(["waiting", ["drop"]]);
	});
});

describe("closing", () => {
	it.each([
		["authorizing", []],
		["connecting", [token()]],
		["greeting", [token(), OPENED]],
		["connected", [token(), OPENED, GREETED]],
		["waiting", [token(), lost(1006)]],
		["offline", [{ type: "offline" }]],
	] as [string, Brief[]][])("ends %s", (phase, events) => {
		const run = new Run().do(...events);
		expect(run.phase).toBe(phase);
		const holds = ["connecting", "greeting", "connected"].includes(phase);
		expect([run.do({ type: "close" }).phase, run.done]).toEqual(["closed", holds ? ["drop"] : []]);
	});
});

describe("whatever happens, in whatever order", () => {
	const serial = fc.integer({ min: 0, max: 6 });
	const error = fc.boolean().map((retryable) => new TidewireError("internal", "", { retryable, retryAfter: 1e9 }));
	const event = fc.oneof(
		fc
			.constantFrom<ConnectionEvent["type"]>("online", "offline", "wake", "tick", "tick", "tick")
			.map((type) => ({ type })),
		fc.record({ type: fc.constantFrom("opened", "heard", "authorized"), serial }),
		fc.record({ type: fc.constant("token"), serial, token: fc.option(fc.constant("t"), { nil: undefined }) }),
		fc.record({ type: fc.constantFrom("tokenFailed", "refused", "fault"), serial, error }),
		fc.record({ type: fc.constant("hello"), serial, hello: fc.constant(HELLO) }),
		fc.record({ type: fc.constant("resumed"), serial, resumed: fc.boolean() }),
		fc.record({
			type: fc.constant("lost"),
			serial,
			code: fc.constantFrom(1000, 1006, 1012, 4002, 4004),
			reason: fc.string(),
		}),
		fc.record({ type: fc.constant("move"), serial, after: fc.constantFrom<unknown>(0, 3, 1e300, -1, "x", null) }),
		fc.constant({ type: "close" }),
	) as fc.Arbitrary<ConnectionEvent>;
	/** Half of the events belong to the present try. */
	const events = fc.array(fc.record({ event, present: fc.boolean(), wait: fc.nat(40_000) }), { maxLength: 80 });

	it("never holds two sockets, always has a deadline, bounds its waits, and does nothing after closed", () => {
		fc.assert(
			fc.property(events, fc.double({ min: 0, max: 0.999, noNaN: true }), (script, random) => {
				let connection: Connection = start({ now: 0, random, ...terms }).connection;
				let now = 0;
				const held = new Set<number>();
				for (const { event, present, wait } of script) {
					now += wait;
					const real = present && "serial" in event ? { ...event, serial: connection.serial } : event;
					if (real.type === "lost" && real.serial === connection.serial) {
						held.delete(real.serial);
					}
					const wasClosed = connection.phase.name === "closed";
					const after = step(connection, real, { now, random, ...terms });
					connection = after.connection;
					for (const effect of after.effects) {
						if (effect.type === "open") {
							held.add(effect.serial);
						} else if (effect.type === "drop") {
							held.clear();
						}
						expect(held.size).toBeLessThanOrEqual(1);
					}
					const deadline = deadlineOf(connection);
					if (wasClosed) {
						expect(after.effects).toEqual([]);
						expect(connection.phase.name).toBe("closed");
					}
					if (connection.phase.name === "closed") {
						expect(deadline).toBe(Number.POSITIVE_INFINITY);
					} else {
						expect(deadline - now).toBeLessThanOrEqual(120_000);
					}
				}
			}),
			{ numRuns: 500 },
		);
	});
});
