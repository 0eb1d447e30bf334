import { describe, expect, it } from "vitest";
import type { Config } from "../src/config.ts";
import { describeOpening } from "../src/opening.ts";

const open = (settings: Config): string =>
	describeOpening({ url: "http://127.0.0.1:7400", file: undefined, settings }).join("\n");

describe("what serve says when it opens", () => {
	it("names the server's and the clients' URL, with the path of the options", () => {
		expect(open({})).toContain("http://127.0.0.1:7400\n");
		expect(open({})).toContain("ws://127.0.0.1:7400/connect\n");
		expect(open({ path: "/live" })).toContain("ws://127.0.0.1:7400/live\n");
	});

	it("says that nobody may do anything, and what would open it", () => {
		expect(open({})).toMatch(/^Nobody may subscribe or publish: an --api-key, .* would open it$/m);
	});

	it("says that only the API key opens it", () => {
		expect(open({ apiKey: "k" })).toMatch(/^Nobody may subscribe or publish except with the API key$/m);
		expect(open({ apiKey: "k", authenticate: () => null })).toMatch(/^Nobody may .* except with the API key$/m);
	});

	it("says who is let in by rules, and never the key itself", () => {
		expect(open({ may: {} })).toMatch(/^Anonymous clients may do what the config's rules allow$/m);
		const text = open({ may: {}, authenticate: () => null, apiKey: "secret" });
		expect(text).toMatch(
			/^Clients that the config authenticates may .*; the holder of the API key may do everything$/m,
		);
		expect(text).not.toContain("secret");
	});

	it("says wss: and which certificate, where there is TLS", () => {
		const lines = describeOpening({ url: "https://[::1]:7400", file: undefined, settings: {}, certificate: "a.pem" });
		expect(lines).toContain("Clients connect to wss://[::1]:7400/connect");
		expect(lines.join("\n")).toMatch(/^TLS: a\.pem, read again at SIGHUP/m);
		expect(open({})).not.toContain("TLS");
	});

	it("warns of --dev", () => {
		expect(open({ dev: true })).toMatch(/^WARNING: --dev lets anybody on this machine/m);
	});
});
