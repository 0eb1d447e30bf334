import { describe, expect, it } from "vitest";
import { describeBroker, readBrokerUrl } from "../src/broker-url.ts";

describe("--broker", () => {
	it("reads memory and sqlite:PATH, and full is what an accepted publish waits for", () => {
		expect(readBrokerUrl("memory")).toEqual({ kind: "memory" });
		expect(readBrokerUrl("sqlite:./a b.db")).toEqual({ kind: "sqlite", path: "./a b.db", synchronous: "full" });
		expect(readBrokerUrl("sqlite:/a.db?synchronous=normal")).toMatchObject({ path: "/a.db", synchronous: "normal" });
	});

	it.each([
		["redis://localhost", /memory or sqlite:PATH/],
		["sqlite:", /name of a file/],
		["sqlite:a.db?synchronous=off", /only \?synchronous=full or/],
		["sqlite:a.db?", /only \?synchronous=full or/],
	])("refuses %s", (url, words) => {
		expect(() => readBrokerUrl(url)).toThrow(words);
	});

	it("says what an accepted message survives", () => {
		expect(describeBroker(readBrokerUrl("memory"))).toMatch(/messages end with this process/);
		expect(describeBroker(readBrokerUrl("sqlite:a.db"))).toMatch(/a\.db, .* survives this process and this machine's/);
		expect(describeBroker(readBrokerUrl("sqlite:a.db?synchronous=normal"))).toMatch(/survives this process$/);
	});
});
