import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
	action,
	BUILT_IN_ACTIONS,
	binary,
	ContractError,
	channel,
	compileChannels,
	contract,
	type Duration,
	SLOW_POLICIES,
	validate,
} from "../src/index.ts";

describe("a contract", () => {
	const delivery = contract({
		channels: {
			"order_{orderId}": channel({ data: z.object({ lat: z.number() }), history: { age: "1h" }, slow: "conflate" }),
			"order_{orderId}:notes": channel({ history: false }),
			lobby: channel(),
		},
		actions: { contact_driver: action({ input: z.object({ message: z.string() }) }) },
	});

	it("has the defaults of PROTOCOL.md: 1,000 messages, 1 MiB, 10 minutes, catch-up", () => {
		expect(channel()).toEqual({
			data: undefined,
			encoding: "any",
			state: undefined,
			history: { messages: 1_000, bytes: 1_048_576, ageMs: 600_000 },
			slow: "catch-up",
			slowChoices: ["catch-up"],
			maxMessageBytes: undefined,
			description: undefined,
		});
	});

	it("says who may be how many in a channel's presence, and what they may say of themselves", () => {
		const data = z.object({ typing: z.boolean() });
		expect(channel({ presence: { data, maxMembers: 50 } }).presence).toEqual({ data, maxMembers: 50 });
		expect(channel().presence).toBeUndefined();
		expect(() => channel({ presence: { maxMembers: 0 } })).toThrow(/presence\.maxMembers is 0/);
		expect(() => channel({ presence: { data: {} as never } })).toThrow(/presence\.data is no Standard Schema/);
	});

	it("makes a state channel where it is asked to: 256 KiB, 10,000 keys, merged for those who are slow", () => {
		const limits = { maxBytes: 262_144, maxKeys: 10_000 };
		expect(channel({ state: true })).toMatchObject({ state: limits, slow: "conflate" });
		expect(channel({ state: { maxKeys: 5 } }).state).toEqual({ ...limits, maxKeys: 5 });
		expect(channel({ state: false }).state).toBeUndefined();
		expect(channel({ state: true, slow: "disconnect" }).slow).toBe("disconnect");
	});

	it.each(["skip", "catch-up"] as const)(
		"refuses slow: %s in a state channel: it would leave a value that never was",
		(slow) => {
			expect(() => channel({ state: true, slow })).toThrow(`slow is "${slow}" in a state channel`);
		},
	);

	it("lets subscribers choose what it names beside its own policy; where nothing is declared, all", () => {
		expect(channel({ slow: "conflate" }).slowChoices).toEqual(["conflate"]);
		const choices = channel({ slow: "conflate", slowChoices: ["catch-up", "conflate", "catch-up"] }).slowChoices;
		expect(choices).toEqual(["conflate", "catch-up"]);
		expect(compileChannels(contract({})).match("any")?.declaration.slowChoices).toEqual(SLOW_POLICIES);
		expect(() => channel({ state: true, slowChoices: ["skip"] })).toThrow('slowChoices is "skip" in a state channel');
	});

	it("carries bytes where its data is binary(), JSON with any other schema, either without", () => {
		expect(channel({ data: binary() }).encoding).toBe("binary");
		expect(channel({ data: z.string() }).encoding).toBe("json");
		expect(channel().encoding).toBe("any");
		expect(validate(binary(), new Uint8Array(1))).toEqual({ ok: true, value: new Uint8Array(1) });
		expect(validate(binary(), "AA==")).toMatchObject({ ok: false });
		expect(() => channel({ data: binary(), state: true })).toThrow("binary() in a state channel");
		expect(() => action({ output: binary() })).toThrow("output is binary()");
	});

	it("refuses limits of a state that are none", () => {
		expect(() => channel({ state: { maxBytes: 0 } })).toThrow("state.maxBytes is 0, but must be a positive integer");
		expect(() => channel({ state: { maxKeys: 1.5 } })).toThrow("state.maxKeys is 1.5, but must be a positive integer");
		expect(() => channel({ state: "yes" as never })).toThrow('state is "yes", but must be true or its limits');
	});

	it("keeps what is not said of a history at its default", () => {
		expect(delivery.channels["order_{orderId}"].history).toEqual({
			messages: 1_000,
			bytes: 1_048_576,
			ageMs: 3_600_000,
		});
		expect(delivery.channels["order_{orderId}:notes"].history).toBe(false);
	});

	it("cannot be changed once it is declared", () => {
		expect(Object.isFrozen(delivery.channels)).toBe(true);
		expect(Object.isFrozen(delivery.actions.contact_driver)).toBe(true);
	});

	it("finds nothing under the names that every object has", () => {
		for (const name of ["constructor", "toString", "__proto__"]) {
			expect(Reflect.get(delivery.actions, name), name).toBeUndefined();
			expect(Reflect.get(delivery.channels, name), name).toBeUndefined();
		}
	});

	it.each(BUILT_IN_ACTIONS)("refuses an action named %s: it is built in", (name) => {
		expect(() => contract({ actions: { [name]: action() } })).toThrow(`action "${name}" is built into the protocol`);
	});

	it("refuses an action whose name begins with $, or is empty", () => {
		expect(() => contract({ actions: { ["$eval" as string]: action() } })).toThrow(
			"names that begin with $ are reserved",
		);
		expect(() => contract({ actions: { "": action() } })).toThrow("empty");
	});

	it("refuses two patterns that one name can match, and names both and such a name", () => {
		const overlapping = (): unknown =>
			contract({ channels: { "order_{orderId}": channel(), "{kind}_{id}": channel() } });
		expect(overlapping).toThrow(ContractError);
		expect(overlapping).toThrow('"order_{orderId}" and "{kind}_{id}" can both match "order_x"');
		expect(() => contract({ channels: { lobby: channel(), "{room}": channel() } })).toThrow('"lobby"');
	});

	it("declares a caller's own channels beside patterns that their names would fit: these never match them", () => {
		const declared = contract({
			channels: { "@user": channel(), "@device:{device}": channel(), "{kind}:{id}": channel(), "{room}": channel() },
		});
		const { match, open } = compileChannels(declared);
		expect(open).toBe(false);
		expect(match("lobby")?.pattern).toBe("{room}");
		expect(match("@user")?.pattern).not.toBe("@user");
	});

	it("is closed to all other channels where it declares a caller's own alone", () => {
		const { match, open } = compileChannels(contract({ channels: { "@user": channel() } }));
		expect([open, match("lobby")]).toEqual([false, undefined]);
	});

	it.each([
		[() => channel({ history: { messages: 0 } }), "history: false"],
		[() => channel({ history: { messages: 1.5 } }), "positive integer"],
		[() => channel({ history: { bytes: Number.POSITIVE_INFINITY } }), "positive integer"],
		[() => channel({ maxMessageBytes: -1 }), "maxMessageBytes is -1"],
		[() => channel({ slow: "drop" as "skip" }), "catch-up, conflate, skip, disconnect"],
		[() => channel({ slowChoices: ["drop" as "skip"] }), 'slowChoices is "drop"'],
		[() => channel({ slowChoices: "skip" as never }), "list of policies"],
		[() => channel({ data: {} as z.ZodString }), "no Standard Schema"],
		[() => action({ input: null as unknown as z.ZodString }), "no Standard Schema"],
	])("refuses an option that cannot be meant: %s", (declare, reason) => {
		expect(declare).toThrow(ContractError);
		expect(declare).toThrow(reason);
	});
});

describe("a duration", () => {
	it.each([
		["250ms", 250],
		["30s", 30_000],
		["10m", 600_000],
		["1.5h", 5_400_000],
		["7d", 604_800_000],
	] as const)("%s is %d milliseconds", (age, ageMs) => {
		expect(channel({ history: { age } }).history).toMatchObject({ ageMs });
	});

	it.each(["", "10", "0s", "-1s", "1e3s", "1 s", "1w", "s", 600 as unknown as string])("%j is none", (age) => {
		expect(() => channel({ history: { age: age as Duration } })).toThrow("is no duration");
	});
});

describe("the channels of a contract, compiled", () => {
	const order = channel();
	const notes = channel();
	const lobby = channel();
	const router = compileChannels(
		contract({ channels: { "order_{orderId}": order, "order_{orderId}:notes": notes, lobby } }),
	);

	it("leads a name to its pattern, declaration and parameters", () => {
		expect(router.open).toBe(false);
		expect(router.match("order_123")).toMatchObject({ pattern: "order_{orderId}", params: { orderId: "123" } });
		expect(router.match("order_123")?.declaration).toBe(order);
		expect(router.match("order_123:notes")?.declaration).toBe(notes);
		expect(router.match("lobby")?.declaration).toBe(lobby);
	});

	it("knows no other name", () => {
		for (const name of ["", "order_", "parcel_1", "order_1:other", "constructor", "__proto__"]) {
			expect(router.match(name), name).toBeUndefined();
		}
	});

	it("is open where the contract declares none: any name, with the defaults", () => {
		const open = compileChannels(contract({ actions: { ring: action() } }));
		expect(open.open).toBe(true);
		expect(open.match("anything")).toMatchObject({ pattern: "*", declaration: { slow: "catch-up" }, params: {} });
	});

	it("is refused, too, where somebody made the contract by hand", () => {
		expect(() => compileChannels({ channels: { "{a}": order, "{b}": notes } })).toThrow("can both match");
	});
});
