/** The short form of `fuzz/`: its corpus, and what fast-check makes of it, through the same targets. */
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { readCorpus } from "../fuzz/corpus.ts";
import { Finding } from "../fuzz/finding.ts";
import { retainedBytes } from "../fuzz/retained.ts";
import { TARGETS, type TargetName } from "../fuzz/targets.ts";
import type { headerViolation } from "../src/frame/rules.ts";
import { frame, hex, TEXT } from "./wire.ts";

const NAMES = Object.keys(TARGETS) as TargetName[];

/** Inputs of the corpus with some bytes changed, cut out, doubled, or joined to others. */
function mutated(target: TargetName): fc.Arbitrary<Uint8Array> {
	const inputs = readCorpus(target);
	const input = fc.nat({ max: inputs.length - 1 }).map((index) => inputs[index]!);
	const edit = fc.tuple(fc.nat(), fc.nat({ max: 8 }), fc.uint8Array({ maxLength: 4 }));
	return fc.tuple(input, input, fc.array(edit, { maxLength: 4 }), fc.boolean()).map(([one, other, edits, joined]) => {
		const bytes = joined ? [...one, ...other] : [...one];
		for (const [place, removed, inserted] of edits) {
			bytes.splice(place % (bytes.length + 1), removed, ...inserted);
		}
		return Uint8Array.from(bytes);
	});
}

describe.each(NAMES)("fuzz: %s", (name) => {
	const fuzz = TARGETS[name];

	test("keeps its promises for the corpus", () => {
		const corpus = readCorpus(name);
		expect(corpus.length).toBeGreaterThan(0);
		for (const input of corpus) {
			fuzz(input);
		}
	});

	test("for changes of it", () => {
		fc.assert(fc.property(mutated(name), fuzz), { numRuns: 1_000 });
	});

	test("and for garbage", () => {
		fc.assert(fc.property(fc.uint8Array({ maxLength: 6_000 }), fuzz), { numRuns: 500 });
	});
});

describe("the targets can find", () => {
	afterEach(() => {
		vi.doUnmock("../src/frame/rules.ts");
		vi.doUnmock("../src/message/utf8.ts");
		vi.doUnmock("../src/limits.ts");
	});

	/** The connection target on an engine whose modules were replaced. */
	async function weakened(): Promise<(typeof TARGETS)["connection"]> {
		vi.resetModules();
		return (await import("../fuzz/targets/connection.ts")).fuzz;
	}

	const asServer = (...wire: readonly Uint8Array[]): Uint8Array => Uint8Array.from([0, 0, ...Buffer.concat(wire)]);

	test("text that is not UTF-8", async () => {
		vi.doMock("../src/message/utf8.ts", async (original) => ({ ...(await original<object>()), checkUtf8: () => 0 }));
		const fuzz = await weakened();
		expect(() => fuzz(asServer(frame(TEXT, hex("ff"))))).toThrow(TypeError);
	});

	test("a message above the limit that is held while it comes", async () => {
		const tooMuch = asServer(frame(TEXT, "x".repeat(20_000)));
		TARGETS.connection(tooMuch);
		vi.doMock("../src/limits.ts", async (original) => {
			const { resolveLimits } = await original<{ readonly resolveLimits: (limits: object) => object }>();
			return { resolveLimits: (limits: object) => resolveLimits({ ...limits, maxMessageBytes: 1_000_000 }) };
		});
		const fuzz = await weakened();
		expect(() => fuzz(tooMuch)).toThrow(/bytes are held|a message of/);
	});

	test("control frames that are too long", async () => {
		vi.doMock("../src/frame/rules.ts", async (original) => {
			const actual = await original<{ readonly headerViolation: typeof headerViolation }>();
			return { ...actual, headerViolation: () => undefined };
		});
		const fuzz = await weakened();
		expect(() => fuzz(asServer(frame(0x9, "x".repeat(126))))).toThrow("too long");
	});

	test("what is retained, once for each buffer", () => {
		const buffer = new ArrayBuffer(100);
		const holder = {
			a: new Uint8Array(buffer, 10, 5),
			b: [new Uint8Array(buffer)],
			c: new Map([[1, new Uint8Array(7)]]),
		};
		expect(retainedBytes(holder)).toBe(107);
		expect(retainedBytes(holder, [holder.c])).toBe(100);
	});

	test("a finding is an error of its own", () => {
		expect(new Finding("why")).toBeInstanceOf(Error);
	});
});
