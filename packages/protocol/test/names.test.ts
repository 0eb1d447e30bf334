import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { channelNameProblem, formatPosition, isReservedChannel, parseDurationMs, parsePosition } from "../src/index.ts";
import { utf8Length } from "../src/utf8.ts";
import { bytesOf } from "./speech.ts";

describe("positions", () => {
	test("are an epoch and an offset", () => {
		expect(parsePosition("k3f9:42")).toEqual({ epoch: "k3f9", offset: 42 });
		expect(parsePosition("0:0")).toEqual({ epoch: "0", offset: 0 });
		expect(parsePosition(`e:${Number.MAX_SAFE_INTEGER}`)?.offset).toBe(Number.MAX_SAFE_INTEGER);
	});

	test.each([
		...["", ":", "e:", ":1", "e", "1", "e:-1", "e:1.5", "e:1e3", "e:01", "e: 1", "e:1 ", "e:f:1", "e:0x1", "e:٣"],
		...["e f:1", "é:1", "e\n:1", "e:1\n", `e:${2 ** 53}`, "e:99999999999999999", `${"e".repeat(127)}:1`],
	])("%j is none", (text) => {
		expect(parsePosition(text)).toBeUndefined();
	});

	test("come back from their text", () => {
		fc.assert(
			fc.property(fc.stringMatching(/^[!-9;-~]{1,64}$/), fc.maxSafeNat(), (epoch, offset) => {
				expect(parsePosition(formatPosition({ epoch, offset }))).toEqual({ epoch, offset });
			}),
		);
	});

	test("S22 a long text is refused at once", () => {
		expect(parsePosition(":".repeat(1_000_000))).toBeUndefined();
	});
});

describe("channel names", () => {
	test.each([
		"order_123",
		"chat:lobby",
		"a",
		"größe",
		"日本",
		"😀",
		"a b",
		"__proto__",
		"x".repeat(200),
		"{}[]*>?%/..",
	])("%j is fine", (name) => {
		expect(channelNameProblem(name)).toBeUndefined();
	});

	test.each([
		["", "is empty"],
		["x".repeat(201), "is longer than 200 bytes"],
		["é".repeat(101), "is longer than 200 bytes"],
		["😀".repeat(51), "is longer than 200 bytes"],
		["x".repeat(1_000_000), "is longer than 200 bytes"],
		["a\u0000b", "has a control character"],
		["a\r\nb", "has a control character"],
		["a\u007f", "has a control character"],
		["a\u0085", "has a control character"],
		["a\u2028", "has a control character"],
		["\ud800", "has a lone surrogate, which no UTF-8 can hold"],
		["e\u0301", "is not in Unicode normal form C"],
	])("S26 %j %s", (name, problem) => {
		expect(channelNameProblem(name)).toBe(problem);
	});

	test("a first @ or $ is reserved, which is told apart so that a caller's own channels can be allowed", () => {
		expect(["@user", "$x", "a@b", "a$"].map(isReservedChannel)).toEqual([true, true, false, false]);
		expect(channelNameProblem("@device:5")).toBeUndefined();
	});

	test("length in UTF-8 is counted without making the bytes", () => {
		fc.assert(
			fc.property(fc.string({ unit: "binary" }), (text) => {
				expect(utf8Length(text)).toBe(bytesOf(text).length);
			}),
		);
		expect(utf8Length("\ud800a\udc00")).toBe(bytesOf("\ud800a\udc00").length);
	});
});

describe("durations", () => {
	test.each([
		["500ms", 500],
		["30s", 30_000],
		["2m", 120_000],
		["1h", 3_600_000],
		["7d", 604_800_000],
		["0s", 0],
	])("%s is %d ms", (text, ms) => {
		expect(parseDurationMs(text)).toBe(ms);
	});

	test.each(["", "5", "m", "-1s", "1.5h", "1 h", "1w", "1H", "1h30m", "9999999999s", "٣s", "1s\n"])(
		"%j is none",
		(text) => {
			expect(parseDurationMs(text)).toBeUndefined();
		},
	);
});
