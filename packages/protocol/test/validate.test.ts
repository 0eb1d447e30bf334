import { describe, expect, test } from "vitest";
import { validateClientMessage } from "../src/server.ts";
import { expectRefused } from "./speech.ts";

function validate(value: unknown) {
	return validateClientMessage(value, (data) => data);
}

/** What is written on the wire, and the message that it is. */
const ACCEPTED: readonly (readonly [string, object, object])[] = [
	["auth", { action: "auth", token: "t" }, { type: "auth", token: "t" }],
	["auth: 16 KiB", { action: "auth", token: "t".repeat(16_384) }, { type: "auth", token: "t".repeat(16_384) }],
	["resume", { id: 1, action: "resume", token: "t" }, { id: 1, type: "resume", token: "t" }],
	[
		"subscribe",
		{ id: 2, action: "subscribe", channel: "c" },
		{ id: 2, type: "subscribe", many: false, targets: [{ channel: "c", since: null }] },
	],
	[
		"subscribe since null",
		{ action: "subscribe", channel: "c", since: null },
		{ type: "subscribe", many: false, targets: [{ channel: "c", since: null }] },
	],
	[
		"subscribe with everything",
		{
			action: "subscribe",
			channel: "c",
			since: "k3f9:41",
			rewind: "2m",
			presence: true,
			policy: "conflate",
			durable: "consumer",
		},
		{
			type: "subscribe",
			many: false,
			targets: [{ channel: "c", since: "k3f9:41" }],
			rewind: { seconds: 120 },
			presence: { enter: true, watch: true },
			policy: "conflate",
			durable: "consumer",
		},
	],
	[
		"subscribe to several",
		{ action: "subscribe", channels: { a: null, b: "e:1" }, rewind: 5 },
		{
			type: "subscribe",
			many: true,
			targets: [
				{ channel: "a", since: null },
				{ channel: "b", since: "e:1" },
			],
			rewind: { messages: 5 },
		},
	],
	[
		"subscribe with chosen presence: what is left out is true",
		{ action: "subscribe", channel: "c", presence: { enter: false, data: { x: 1 } } },
		{
			type: "subscribe",
			many: false,
			targets: [{ channel: "c", since: null }],
			presence: { enter: false, watch: true, data: { x: 1 } },
		},
	],
	[
		"subscribe without presence",
		{ action: "subscribe", channel: "c", presence: false },
		{ type: "subscribe", many: false, targets: [{ channel: "c", since: null }] },
	],
	["unsubscribe", { id: 3, action: "unsubscribe", channel: "c" }, { id: 3, type: "unsubscribe", channel: "c" }],
	["publish", { action: "publish", channel: "c", data: null }, { type: "publish", channel: "c", data: null }],
	[
		"publish with everything",
		{
			...{ id: "4", action: "publish", channel: "c", data: 1, name: "n", key: "k", ttl: 0.5, at: 1.75e9, if: "e:0" },
			...{ after: 3, echo: false, exclude: "s", report: true },
		},
		{
			...{ id: "4", type: "publish", channel: "c", data: 1, name: "n", key: "k", ttl: 0.5, at: 1.75e9, if: "e:0" },
			...{ after: 3, echo: false, exclude: "s", report: true },
		},
	],
	[
		"publish a patch",
		{ action: "publish", channel: "c", patch: { a: null } },
		{ type: "publish", channel: "c", patch: { a: null } },
	],
	["history", { action: "history", channel: "c" }, { type: "history", channel: "c" }],
	[
		"history with everything",
		{ action: "history", channel: "c", since: "e:1", limit: 10, reverse: true },
		{ type: "history", channel: "c", since: "e:1", limit: 10, reverse: true },
	],
	["presence", { action: "presence", channel: "c" }, { type: "presence", channel: "c" }],
	[
		"a page of presence",
		{ action: "presence", channel: "c", after: "s1", limit: 10 },
		{ type: "presence", channel: "c", after: "s1", limit: 10 },
	],
	["presence update", { action: "presence", channel: "c", data: null }, { type: "presence", channel: "c", data: null }],
	[
		"received",
		{ action: "received", channel: "c", position: "e:1" },
		{ type: "received", channel: "c", position: "e:1" },
	],
	["cancel", { action: "cancel", of: 0 }, { type: "cancel", of: 0 }],
	["ping", { id: 8, action: "ping", later: "ignored" }, { id: 8, type: "ping" }],
	["call, bare input", { id: 1, action: "x", a: 1, b: 2 }, { id: 1, type: "call", action: "x", input: { a: 1, b: 2 } }],
	["call, no input", { action: "x" }, { type: "call", action: "x", input: {} }],
	["call, input that is no object", { action: "x", input: 5 }, { type: "call", action: "x", input: 5 }],
	["call, input null", { action: "x", input: null }, { type: "call", action: "x", input: null }],
	[
		"call, input with a field id",
		{ id: 1, action: "x", input: { id: 2, action: "y", input: 3 } },
		{ id: 1, type: "call", action: "x", input: { id: 2, action: "y", input: 3 } },
	],
];

test.each(ACCEPTED)("accepts %s", (_, wire, message) => {
	expect(validate(wire)).toEqual(message);
});

const c = { channel: "c" };
const subscribe = { action: "subscribe" };
const publish = { action: "publish", channel: "c", data: 1 };

test.each<[object, string]>([
	[{}, "`action` is missing, it must be a string of 1 to 200 bytes"],
	[{ action: 5 }, "`action` is 5, it must be a string of 1 to 200 bytes"],
	[{ action: "" }, '`action` is "", it must be a string of 1 to 200 bytes'],
	[{ action: ["ping"] }, "`action` is an array"],
	[{ action: "x".repeat(201) }, "`action` is a string of 201 characters, it must be a string of 1 to 200 bytes"],
	[{ action: "é".repeat(101) }, "it must be a string of 1 to 200 bytes"],
	[{ action: "$x" }, '`action` is "$x", names that begin with $ are reserved'],
	[{ action: "auth" }, "`token` is missing, it must be a string of 1 to 16384 bytes"],
	[{ action: "auth", token: "t".repeat(16_385) }, "`token` is a string of 16385 characters"],
	[{ action: "resume", token: { length: 5 } }, "`token` is an object"],
	[{ ...subscribe }, "`channel` is missing, it must be a channel's name"],
	[{ ...subscribe, channel: "" }, "`channel` is empty"],
	[{ ...subscribe, channel: "a\nb" }, "`channel` has a control character"],
	[{ ...subscribe, channel: ["c"] }, "`channel` is an array"],
	[{ ...subscribe, ...c, since: 5 }, '`since` is 5, it must be "<epoch>:<offset>"'],
	[{ ...subscribe, ...c, since: "now" }, '`since` is "now", it must be "<epoch>:<offset>"'],
	[{ ...subscribe, ...c, rewind: -1 }, '`rewind` is -1, it must be a count of messages or a duration such as "2m"'],
	[{ ...subscribe, ...c, rewind: 1.5 }, "`rewind` is 1.5"],
	[{ ...subscribe, ...c, rewind: "2" }, '`rewind` is "2"'],
	[{ action: "presence", ...c, limit: 0 }, "`limit` is 0"],
	[{ ...subscribe, ...c, presence: 1 }, "`presence` is 1, it must be true, false or an object"],
	[{ ...subscribe, ...c, presence: { enter: "yes" } }, '`enter` is "yes", it must be true or false'],
	[{ ...subscribe, ...c, policy: "constructor" }, '`policy` is "constructor", it must be "catch-up"'],
	[{ ...subscribe, ...c, durable: "" }, '`durable` is "", it must be a string of 1 to 200 bytes'],
	[{ ...subscribe, ...c, channels: {} }, "`channels` stands alone"],
	[{ ...subscribe, channels: {}, since: null }, "`channels` stands alone"],
	[{ ...subscribe, channels: ["a"] }, "`channels` is an array, it must be an object"],
	[{ ...subscribe, channels: {} }, "`channels` has 0 names, it must have 1 to 100"],
	[{ ...subscribe, channels: { a: 5 } }, '"a" in `channels` is 5, it must be "<epoch>:<offset>"'],
	[{ ...subscribe, channels: { "": null } }, '"" in `channels` is empty'],
	[{ action: "unsubscribe", channel: null }, "`channel` is null"],
	[{ action: "publish", ...c }, "a publish has either `data` or `patch`"],
	[{ ...publish, patch: {} }, "a publish has either `data` or `patch`"],
	[{ ...publish, name: 5 }, "`name` is 5, it must be a string of 1 to 200 bytes"],
	[{ ...publish, key: "k".repeat(201) }, "`key` is a string of 201 characters"],
	[{ ...publish, key: "\ud800" }, "it must be a string of 1 to 200 bytes"],
	[{ ...publish, ttl: 0 }, "`ttl` is 0, it must be a number of seconds above 0"],
	[{ ...publish, ttl: "5" }, '`ttl` is "5"'],
	[{ ...publish, at: 1e300 }, "`at` is 1e+300"],
	[{ ...publish, at: Number.NaN }, "`at` is NaN"],
	[{ ...publish, if: "k3f9" }, '`if` is "k3f9", it must be "<epoch>:<offset>"'],
	[{ ...publish, after: -1 }, "`after` is -1, it must be a string of 1 to 64 bytes or an integer from 0 to 2^53-1"],
	[{ ...publish, echo: 0 }, "`echo` is 0, it must be true or false"],
	[{ ...publish, exclude: {} }, "`exclude` is an object"],
	[{ ...publish, report: null }, "`report` is null, it must be true or false"],
	[{ action: "history", ...c, since: {} }, "`since` is an object"],
	[{ action: "history", ...c, limit: 0 }, "`limit` is 0, it must be an integer from 1 to 2^53-1"],
	[{ action: "history", ...c, limit: "10" }, '`limit` is "10"'],
	[{ action: "history", ...c, reverse: "no" }, '`reverse` is "no"'],
	[{ action: "presence" }, "`channel` is missing"],
	[{ action: "received", ...c }, '`position` is missing, it must be "<epoch>:<offset>"'],
	[{ action: "cancel" }, "`of` is missing, it must be a string of 1 to 64 bytes"],
	[{ action: "cancel", of: null }, "`of` is null"],
])("S20 refuses %j", (wire, text) => {
	const refused = expectRefusedWith({ id: 7, ...wire }, text);
	expect(refused).toBe(7);
});

function expectRefusedWith(wire: object, text: string): unknown {
	let id: unknown;
	try {
		validate(wire);
	} catch (error) {
		expect((error as Error).message).toContain(text);
		({ id } = error as { id: unknown });
	}
	return id;
}

test("a report needs an id to be sent under", () => {
	expectRefused(() => validate({ ...publish, report: true }), "bad_request", "`report` needs an `id`");
});

describe("ids", () => {
	test.each([[0], [1], [Number.MAX_SAFE_INTEGER], ["1"], ["x".repeat(64)], ["é".repeat(32)], ["__proto__"]])(
		"%j is one",
		(id) => {
			expect(validate({ id, action: "ping" })).toEqual({ id, type: "ping" });
		},
	);

	test.each([
		[-1],
		[1.5],
		[2 ** 53],
		[Number.NaN],
		[Number.POSITIVE_INFINITY],
		[""],
		["x".repeat(65)],
		["é".repeat(33)],
		["\ud800"],
		[null],
		[true],
		[{}],
		[[1]],
		[{ toString: () => "1" }],
	])("%j is none, and the refusal answers nobody", (id) => {
		expectRefused(() => validate({ id, action: "ping" }), "bad_request", /^`id` is /);
	});

	test("-0 is 0", () => {
		expect(Object.is((validate({ id: -0, action: "ping" }) as { id: number }).id, 0)).toBe(true);
	});
});

test("S20 nothing of the value is called", () => {
	const trap = (): never => {
		throw new Error("called");
	};
	const hostile = { toString: trap, toJSON: trap, valueOf: trap, [Symbol.toPrimitive]: trap, length: 5 };
	for (const field of ["id", "action", "channel", "since", "name", "token"]) {
		expectRefused(
			() =>
				validate({
					...publish,
					[field]: hostile,
					...(field === "since" && subscribe),
					...(field === "token" && { action: "auth" }),
				}),
			"bad_request",
		);
	}
});

test("no error text repeats a long value", () => {
	expectRefused(
		() => validate({ id: 1, action: "subscribe", channel: "c", since: "x".repeat(100_000) }),
		"bad_request",
		/^.{0,200}$/,
		1,
	);
});
