import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ContractError, compilePattern, fill, OWN_PATTERNS } from "../src/index.ts";

const paramsOf = (pattern: string, name: string): Record<string, string> | undefined => {
	const params = compilePattern(pattern).match(name);
	return params === undefined ? undefined : { ...params };
};

const codeOf = (act: () => unknown): string => {
	try {
		act();
	} catch (error) {
		if (error instanceof ContractError) {
			return error.code;
		}
		throw error;
	}
	return "nothing thrown";
};

describe("a channel pattern", () => {
	it("without parameters matches its own text only", () => {
		expect(paramsOf("lobby", "lobby")).toEqual({});
		expect(paramsOf("lobby", "lobby2")).toBeUndefined();
		expect(paramsOf("lobby", "lobb")).toBeUndefined();
	});

	it("cuts parameters out of a name", () => {
		expect(paramsOf("order_{orderId}", "order_123")).toEqual({ orderId: "123" });
		expect(paramsOf("game:{room}/{seat}.json", "game:blue room/7.json")).toEqual({ room: "blue room", seat: "7" });
		expect(paramsOf("{all}", "żółw 🐢")).toEqual({ all: "żółw 🐢" });
	});

	it("wants one character or more for each parameter, and none of : / and dot", () => {
		for (const name of ["order_", "order_1:2", "order_1/2", "order_1.2", "Order_1", "xorder_1"]) {
			expect(paramsOf("order_{orderId}", name), name).toBeUndefined();
		}
		expect(paramsOf("a{x}a", "aa")).toBeUndefined();
	});

	it("ends each parameter at the first place where the text after it occurs", () => {
		expect(paramsOf("{a}_{b}", "x_y_z")).toEqual({ a: "x", b: "y_z" });
		expect(paramsOf("{a}_{b}", "__z")).toEqual({ a: "_", b: "z" });
		expect(paramsOf("{a}x:{b}", "xx:b")).toEqual({ a: "x", b: "b" });
	});

	it("gives parameters no prototype, so that a parameter named like a method is one", () => {
		const params = compilePattern("{constructor}").match("x");
		expect(Object.getPrototypeOf(params)).toBeNull();
		expect(params?.toString).toBeUndefined();
		expect(Object.entries(compilePattern("{__proto__}").match("x") ?? {})).toEqual([["__proto__", "x"]]);
	});

	it("agrees with [^:/.]+ about every name", () => {
		fc.assert(
			fc.property(pieces(), fc.string({ unit: fc.constantFrom("a", "b", ":", "."), maxLength: 8 }), (parts, name) => {
				const source = parts.map((part, index) => (part === null ? `{p${index}}` : part)).join("");
				const expression = parts.map((part) => part?.replaceAll(".", "\\.") ?? "[^:/.]+").join("");
				const params = compilePattern(source).match(name);
				expect(params !== undefined).toBe(new RegExp(`^${expression}$`).test(name));
				if (params !== undefined) {
					const again = parts.map((part, index) => part ?? params[`p${index}`]).join("");
					expect(again).toBe(name);
				}
			}),
			{ numRuns: 2_000 },
		);
	});

	it("takes a hostile name in one pass: no pattern makes it try again (ReDoS)", () => {
		const parameters = Array.from({ length: 30 }, (_, index) => `{p${index}}`);
		expect(paramsOf(`${parameters.join("a")}!`, "a".repeat(100_000))).toBeUndefined();
	});

	it.each([
		["", "is empty"],
		["{a}{b}", "nothing between"],
		["{a", "in braces"],
		["a}", "closes nothing"],
		["{}", "in braces"],
		["{a b}", "in braces"],
		["{a:b}", "in braces"],
		["{{a}}", "in braces"],
		["{a}/{a}", "twice"],
		["x".repeat(201), "at most 200"],
		["line\nbreak", "control characters"],
		["e\u0301", "NFC"],
		["\ud800", "NFC"],
	])("%j is refused", (source, reason) => {
		expect(() => compilePattern(source)).toThrow(reason);
		expect(codeOf(() => compilePattern(source))).toBe("bad_pattern");
	});

	it.each(["@inbox", "$system", "@{user}", "@device:{id}", "@device:a", "@user:{id}", "@users"])(
		"%s is refused: a first @ or $ is reserved",
		(source) => {
			expect(codeOf(() => compilePattern(source))).toBe("reserved_name");
		},
	);

	it.each(OWN_PATTERNS)("%s is a caller's own channel, which a contract may declare", (source) => {
		expect(compilePattern(source).source).toBe(source);
	});
});

describe("fill", () => {
	it("makes the name", () => {
		expect(fill("order_{orderId}", { orderId: "123" })).toBe("order_123");
		expect(fill("game:{room}/{seat}", { room: "a", seat: "b" })).toBe("game:a/b");
		expect(fill("lobby", {})).toBe("lobby");
	});

	it("refuses a parameter that reaches into another channel", () => {
		for (const orderId of ["", "1:notes", "1/2", "1.5"]) {
			expect(
				codeOf(() => fill("order_{orderId}", { orderId })),
				orderId,
			).toBe("bad_parameter");
		}
	});

	it("refuses a parameter that is missing or inherited", () => {
		const inherited = Object.create({ orderId: "1" }) as { orderId: string };
		expect(codeOf(() => fill("order_{orderId}", inherited))).toBe("bad_parameter");
	});

	it("refuses parameters that would be read otherwise: x_y and z are not x and y_z", () => {
		expect(() => fill("{a}_{b}", { a: "x_y", b: "z" })).toThrow('would be read with "x" there');
	});
});

/** Patterns in pieces: texts and, as null, parameters, with no two parameters side by side. */
function pieces(): fc.Arbitrary<(string | null)[]> {
	const literal = fc.string({ unit: fc.constantFrom("a", "b", ":", "."), minLength: 1, maxLength: 2 });
	return fc
		.array(fc.oneof(literal, fc.constant(null)), { minLength: 1, maxLength: 5 })
		.map((parts) => parts.filter((part, index) => part !== null || parts[index - 1] !== null));
}
