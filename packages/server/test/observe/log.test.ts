import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CONSOLE, SILENT } from "../../src/observe/log.ts";
import type { ServerOptions } from "../../src/options.ts";
import { enveloped, open, refusal } from "../client.ts";

let lines: string[];

beforeEach(() => {
	lines = [];
	for (const method of ["debug", "info", "log", "warn", "error"] as const) {
		vi.spyOn(console, method).mockImplementation((...all: unknown[]) => {
			lines.push([method, ...all].join("|"));
		});
	}
});

afterEach(() => {
	vi.restoreAllMocks();
});

describe("a server that was given no log", () => {
	const failing: ServerOptions = {
		authenticate: ({ token }) => {
			if (token === "bad") {
				throw new Error("no database");
			}
			return { id: "ann" };
		},
		actions: {
			fail() {
				throw new Error("no radio", { cause: new Error("no mast") });
			},
		},
	};

	it("says on the console what threw, in one line with the stack", async () => {
		const { url } = await open(failing);
		await refusal(`${url}/connect?token=bad`);
		await (await enveloped(`${url}/connect`)).ask({ action: "fail" });
		expect(lines).toEqual([
			expect.stringMatching(/^error\|tidewire error: authenticate threw; .*Error: no database\\n +at .*log\.test\.ts/),
			expect.stringMatching(/^error\|tidewire error: an action's handler failed .*no radio\\n +at .*no mast.*'fail'/),
		]);
		expect(lines.join("")).not.toContain("\n");
	});

	it("is silent with SILENT", async () => {
		const { url } = await open({ ...failing, log: SILENT });
		await refusal(`${url}/connect?token=bad`);
		await (await enveloped(`${url}/connect`)).ask({ action: "fail" });
		expect(lines).toEqual([]);
	});
});

describe("on the console", () => {
	it("news is not worth a line; warnings are", () => {
		CONSOLE.info("listening");
		CONSOLE.warn("the certificate is not valid today", { names: ["a"] });
		expect(lines).toEqual(["warn|tidewire warning: the certificate is not valid today { names: [ 'a' ] }"]);
	});

	it("whatever was thrown can be said: a cycle, a big integer, an object that objects, nothing", () => {
		const cycle: Record<string, unknown> = { big: 1n };
		cycle.self = cycle;
		const hostile = {
			toJSON: () => Promise.reject(),
			[Symbol.for("nodejs.util.inspect.custom")]() {
				throw new Error("no");
			},
		};
		for (const cause of [cycle, hostile, undefined, null, "text", Object.create(null)]) {
			CONSOLE.error("failed", { cause });
		}
		expect(lines).toHaveLength(6);
	});

	it("a peer's words start no line, and do not drive the terminal", () => {
		CONSOLE.error("no\nsuch\u001b[2J\u009bthing\r", { channel: "a\nb\u001b[31m" });
		expect(lines).toEqual([expect.not.stringMatching(/\p{Cc}/u)]);
	});
});
