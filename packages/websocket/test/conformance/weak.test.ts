/**
 * The table can fail: engines with a seeded weakness each, and the cases that find it. Anything else that a weak engine
 * does must stay as expected.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { History } from "../../src/deflate/history.ts";
import type { CLOSE, parseCloseBody } from "../../src/frame/close.ts";
import type { headerViolation } from "../../src/frame/rules.ts";
import type { checkUtf8 } from "../../src/message/utf8.ts";
import { ROLES, readExpected } from "./results.ts";
import { TABLE } from "./table.ts";

const expected = readExpected();

afterEach(() => {
	vi.doUnmock("../../src/frame/rules.ts");
	vi.doUnmock("../../src/frame/close.ts");
	vi.doUnmock("../../src/message/utf8.ts");
	vi.doUnmock("../../src/deflate/history.ts");
});

/**
 * The cases among `groups` whose result is not the expected one, in either role, and how they were judged. One that is
 * OK fails in time, but not for its reason: the events or the bytes differ.
 */
async function found(...groups: readonly string[]): Promise<Readonly<Record<string, string>>> {
	vi.resetModules();
	const { play } = await import("./play.ts");
	const different: Record<string, string> = {};
	for (const one of TABLE.filter(({ id }) => groups.some((group) => id.startsWith(`${group}.`)))) {
		for (const role of ROLES) {
			const result = await play(one, role);
			if (JSON.stringify(result) !== JSON.stringify(expected.get(`${one.id} ${role}`))) {
				different[one.id] = result.behaviour;
			}
		}
	}
	return different;
}

const SMALL_GROUPS = ["1", "2", "3", "4", "5", "6", "7", "10"];

function failing(ids: readonly string[]): Readonly<Record<string, string>> {
	return Object.fromEntries(ids.map((id) => [id, "FAILED"]));
}

function numbers(prefix: string, from: number, to: number): readonly string[] {
	return Array.from({ length: to - from + 1 }, (_, index) => `${prefix}.${from + index}`);
}

/** An engine that overlooks what `rules.ts` says in these words. */
function overlook(words: RegExp): void {
	vi.doMock("../../src/frame/rules.ts", async (original) => {
		const actual = await original<{ readonly headerViolation: typeof headerViolation }>();
		return {
			...actual,
			headerViolation: (...args: Parameters<typeof headerViolation>) => {
				const violation = actual.headerViolation(...args);
				return violation !== undefined && words.test(violation.text) ? undefined : violation;
			},
		};
	});
}

describe("frames: an engine that overlooks", () => {
	test("nothing passes as expected", async () => {
		expect(await found(...SMALL_GROUPS)).toEqual({});
	});

	test("reserved bits", async () => {
		overlook(/RSV/);
		expect(await found(...SMALL_GROUPS)).toEqual(failing(numbers("3", 1, 7)));
	});

	test("reserved opcodes", async () => {
		overlook(/opcode/);
		expect(await found(...SMALL_GROUPS)).toEqual(failing([...numbers("4.1", 1, 5), ...numbers("4.2", 1, 5)]));
	});

	test("the length of control frames", async () => {
		overlook(/at most 125/);
		expect(await found(...SMALL_GROUPS)).toEqual(failing(["2.5", "7.3.6"]));
	});

	test("fragmented control frames", async () => {
		overlook(/is fragmented/);
		expect(await found(...SMALL_GROUPS)).toEqual({ "5.1": "FAILED", "5.2": "OK" });
	});

	test("continuations of nothing", async () => {
		overlook(/without a message/);
		expect(await found(...SMALL_GROUPS)).toEqual({
			...failing(numbers("5", 9, 11)),
			...Object.fromEntries(numbers("5", 12, 16).map((id) => [id, "OK"])),
			"5.17": "FAILED",
		});
	});

	test("messages that begin in a message", async () => {
		overlook(/inside of a fragmented/);
		expect(await found(...SMALL_GROUPS)).toEqual(failing(["5.18"]));
	});
});

describe("UTF-8: an engine", () => {
	test("that does not check", async () => {
		vi.doMock("../../src/message/utf8.ts", async (original) => ({
			...(await original<object>()),
			checkUtf8: () => 0,
			isUtf8: () => true,
		}));
		const different = await found(...SMALL_GROUPS);
		const bad = TABLE.filter(
			({ id }) => (id.startsWith("6.") || id === "7.5.1") && expected.get(`${id} server`)?.close === 1007,
		);
		expect(bad.length).toBeGreaterThan(70);
		expect(different).toEqual(failing(bad.map(({ id }) => id)));
	});

	test("that finds out one piece late is not strict", async () => {
		vi.doMock("../../src/message/utf8.ts", async (original) => {
			const actual = await original<{ readonly checkUtf8: typeof checkUtf8 }>();
			const doomed = 1 << 30;
			const late: typeof checkUtf8 = (state, ...rest) => {
				if (state === doomed) {
					return -1;
				}
				const next = actual.checkUtf8(state, ...rest);
				return next === -1 ? doomed : next;
			};
			return { ...actual, checkUtf8: late };
		});
		expect(await found("6.1", "6.2", "6.3", "6.4")).toEqual(
			Object.fromEntries(numbers("6.4", 1, 4).map((id) => [id, "NON-STRICT"])),
		);
	});
});

describe("closing: an engine", () => {
	function closing(
		parse: (actual: typeof parseCloseBody, payload: Uint8Array) => ReturnType<typeof parseCloseBody>,
	): void {
		vi.doMock("../../src/frame/close.ts", async (original) => {
			const actual = await original<{ readonly CLOSE: typeof CLOSE; readonly parseCloseBody: typeof parseCloseBody }>();
			return { ...actual, parseCloseBody: (payload: Uint8Array) => parse(actual.parseCloseBody, payload) };
		});
	}

	test("that takes any code", async () => {
		closing((actual, payload) => {
			const body = actual(payload);
			return "text" in body && body.text.includes("must not be sent") ? { code: 1000, reason: "" } : body;
		});
		expect(await found(...SMALL_GROUPS)).toEqual({
			...failing(numbers("7.9", 1, 9)),
			"7.13.1": "INFORMATIONAL",
			"7.13.2": "INFORMATIONAL",
		});
	});

	test("that does not look at the reason", async () => {
		closing((actual, payload) => actual(payload.subarray(0, 2)));
		expect(await found(...SMALL_GROUPS)).toEqual(failing(["7.5.1"]));
	});

	test("that takes half a code", async () => {
		closing((actual, payload) => actual(payload.length === 1 ? payload.subarray(1) : payload));
		expect(await found(...SMALL_GROUPS)).toEqual(failing(["7.3.2"]));
	});
});

describe("compression: an engine", () => {
	test("that forgets what went before", async () => {
		vi.doMock("../../src/deflate/history.ts", async (original) => {
			const actual = await original<{ readonly History: typeof History }>();
			class Forgetful extends actual.History {
				override append(): void {}
			}
			return { History: Forgetful };
		});
		const different = await found("13.1");
		// The shortest messages refer back to nothing.
		expect(different).toMatchObject({ "13.1.3": "FAILED", "13.1.10": "FAILED" });
	});
});
