/** The keys that keep one customer's order from another's. */
import { describe, expect, it } from "vitest";
import { issueToken, readToken, sign, verify } from "../keys.ts";

const SECRET = "of this run";

describe("a signature", () => {
	it("is good for its subject and purpose", () => {
		expect(verify(SECRET, "link", "123", sign(SECRET, "link", "123"))).toBe(true);
	});

	it.each([
		["another order", sign(SECRET, "link", "456")],
		["another purpose", sign(SECRET, "cookie", "123")],
		["another run's secret", sign("of another run", "link", "123")],
		["nothing", ""],
		["another length", `${sign(SECRET, "link", "123")}A`],
	])("of %s is refused", (_, signature) => {
		expect(verify(SECRET, "link", "123", signature)).toBe(false);
	});
});

describe("a token", () => {
	it("says who its bearer is", () => {
		expect(readToken(SECRET, issueToken(SECRET, "customer", "123"))).toEqual({ role: "customer", subject: "123" });
		expect(readToken(SECRET, issueToken(SECRET, "driver", "fleet"))).toEqual({ role: "driver", subject: "fleet" });
	});

	it.each([
		["a customer's, made a driver's", issueToken(SECRET, "customer", "fleet").replace("customer", "driver")],
		["of one order, made one of another", issueToken(SECRET, "customer", "123").replace("123", "456")],
		["with a role that there is not", `admin.1.${sign(SECRET, "customer", "1")}`],
		["with more parts", `${issueToken(SECRET, "customer", "123")}.x`],
		["that is none", "hello"],
	])("%s is refused", (_, token) => {
		expect(readToken(SECRET, token)).toBeUndefined();
	});
});
