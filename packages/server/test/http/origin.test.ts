import { describe, expect, it } from "vitest";
import { isLoopbackAddress, isLoopbackHost, isLoopbackOrigin, isOrigin, judgeOrigin } from "../../src/http/origin.ts";

describe("S7: which pages may connect", () => {
	const allowed = ["https://good.example", "https://app.example.com:8443"];
	const host = "api.example.com";

	it.each([
		["no page at all", undefined, "none"],
		["a listed origin", "https://good.example", "listed"],
		["a listed origin with its port", "https://app.example.com:8443", "listed"],
		["the server's own", "https://api.example.com", "same"],
		["the server's own, without TLS", "http://api.example.com", "same"],
		["null, as sandboxed frames and files send it", "null", "foreign"],
		["an empty one", "", "foreign"],
		["a look-alike with a suffix", "https://good.example.evil.com", "foreign"],
		["a look-alike with a prefix", "https://evilgood.example", "foreign"],
		["a subdomain", "https://sub.good.example", "foreign"],
		["another scheme", "http://good.example", "foreign"],
		["another port", "https://good.example:444", "foreign"],
		["a port where none is listed", "https://good.example:443", "foreign"],
		["no port where one is listed", "https://app.example.com", "foreign"],
		["upper case", "https://GOOD.example", "foreign"],
		["a trailing dot", "https://good.example.", "foreign"],
		["a trailing slash", "https://good.example/", "foreign"],
		["credentials in front", "https://good.example@evil.com", "foreign"],
		["two origins", "https://good.example https://evil.com", "foreign"],
		["the own host with another port", "https://api.example.com:8080", "foreign"],
		["the own host as a prefix", "https://api.example.com.evil.com", "foreign"],
		["the own host under another scheme", "ftp://api.example.com", "foreign"],
	])("%s", (_, origin, verdict) => {
		expect(judgeOrigin(origin, host, allowed, false)).toBe(verdict);
	});

	it("takes http://host for another origin where TLS ends here", () => {
		expect(judgeOrigin("http://api.example.com", host, [], true)).toBe("foreign");
		expect(judgeOrigin("https://api.example.com", host, [], true)).toBe("same");
	});

	it("lets all pages connect under *, but vouches for the own ones only", () => {
		expect(judgeOrigin("https://evil.com", host, "*", false)).toBe("any");
		expect(judgeOrigin("null", host, "*", false)).toBe("any");
		expect(judgeOrigin("https://api.example.com", host, "*", false)).toBe("same");
	});

	it.each(["https://a.example", "http://localhost:5173", "capacitor://localhost", "chrome-extension://abc", "file://"])(
		"%s can be listed",
		(origin) => expect(isOrigin(origin)).toBe(true),
	);

	it.each([
		"null",
		"*",
		"https://*.example.com",
		"https://a.example/",
		"https://A.example",
		"a.example",
		"https://u@a",
	])("%s cannot: no browser would send it, or nobody may trust it", (origin) => expect(isOrigin(origin)).toBe(false));
});

describe("names of this machine", () => {
	it.each(["localhost", "localhost:7400", "127.0.0.1", "127.0.0.1:1", "127.1.2.3", "[::1]", "[::1]:7400"])(
		"%s is one",
		(host) => expect([isLoopbackHost(host), isLoopbackOrigin(`http://${host}`)]).toEqual([true, true]),
	);

	it.each([
		"",
		"evil.com",
		"localhost.evil.com",
		"127.0.0.1.evil.com",
		"evil.com:7400",
		"localhost:7400.evil.com",
		"localhost@evil.com",
		"evil.com#localhost",
		"[::2]",
		"10.0.0.1",
		"localhost.",
		"localhost:",
		"a127.0.0.1",
		"localhost\nevil.com",
	])("%j is none", (host) => {
		expect([isLoopbackHost(host), isLoopbackOrigin(`http://${host}`)]).toEqual([false, false]);
	});

	it.each(["null", "file://", "ftp://localhost", "localhost"])("%s is no origin of this machine", (origin) => {
		expect(isLoopbackOrigin(origin)).toBe(false);
	});

	it("knows its own addresses", () => {
		expect(["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"].every(isLoopbackAddress)).toBe(true);
		expect(["10.0.0.1", "::2", "::ffff:10.0.0.1", "1127.0.0.1", "::1:1", undefined].some(isLoopbackAddress)).toBe(
			false,
		);
	});
});
