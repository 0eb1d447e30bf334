import { describe, expect, test } from "vitest";
import type { Handler } from "../src/index.ts";
import {
	bytes,
	CLOSE,
	client,
	closeBody,
	failure,
	frame,
	hex,
	join,
	type Peer,
	PING,
	peer,
	recorder,
	server,
	TEXT,
} from "./wire.ts";

const unmasked = { key: null };

describe("the closing handshake (RFC 6455 §7.1)", () => {
	test("begun by the client: the server answers and closes TCP first (§7.1.1)", () => {
		const us = server().feed(frame(CLOSE, closeBody(3001, "tschüß")));
		expect(us.written).toEqual([frame(CLOSE, closeBody(3001, "tschüß"), unmasked)]);
		expect(us.notes).toEqual([["end"], ["close", 3001, "tschüß", "remote", true]]);
		expect(us.connection.state).toBe("closed");
	});

	test("begun by the server: it waits for the answer, then closes TCP", () => {
		const us = server();
		us.connection.close(1001, "going away");
		expect(us.written).toEqual([frame(CLOSE, closeBody(1001, "going away"), unmasked)]);
		expect(us.notes).toEqual([]);
		expect(us.connection.state).toBe("closing");
		us.feed(frame(CLOSE, closeBody(1001)));
		expect(us.notes).toEqual([["end"], ["close", 1001, "", "local", true]]);
		expect(us.written).toHaveLength(1);
	});

	test("a client leaves TCP to the server, then closes its half (§7.1.1)", () => {
		const us = client();
		us.connection.close();
		us.feed(frame(CLOSE, closeBody(1000), unmasked));
		expect(us.notes).toEqual([["close", 1000, "", "local", true]]);
		us.connection.receiveEnd();
		expect(us.notes.at(-1)).toEqual(["end"]);
		us.connection.receiveEnd();
		expect(us.notes).toHaveLength(2);
	});

	test("both at once", () => {
		const us = server();
		us.connection.close(1001);
		us.feed(frame(CLOSE, closeBody(1000, "first")));
		expect(us.notes).toEqual([["end"], ["close", 1000, "first", "local", true]]);
	});

	test("a close without a code is 1005, answered without one (§7.1.5)", () => {
		const us = server().feed(frame(CLOSE));
		expect(us.notes).toContainEqual(["close", 1005, "", "remote", true]);
		expect(us.written).toEqual([frame(CLOSE, "", unmasked)]);
	});

	test("TCP that ends without a close frame is 1006 (§7.1.5)", () => {
		const us = server();
		us.connection.receiveEnd();
		us.connection.receiveEnd();
		expect(us.notes).toEqual([["close", 1006, "", "remote", false], ["end"]]);
		const closing = server();
		closing.connection.close();
		closing.connection.receiveEnd();
		expect(closing.notes).toEqual([["close", 1006, "", "local", false], ["end"]]);
	});

	test("S13: nothing is processed after a close frame (§5.5.1)", () => {
		const after = join(frame(PING, "x"), frame(TEXT, "late"), frame(0xf), frame(CLOSE, closeBody(1000)));
		const us = server().feed(join(frame(CLOSE, closeBody(1000)), after), after);
		expect(us.notes).toEqual([["end"], ["close", 1000, "", "remote", true]]);
		expect(us.written).toHaveLength(1);
	});

	test("after our close frame nothing is sent or delivered any more, and pings get no answer", () => {
		const us = server();
		us.connection.close();
		expect(us.connection.sendText("x")).toBe(false);
		expect(us.connection.sendBinary(bytes("x"))).toBe(false);
		expect(us.connection.sendRaw(bytes("x"))).toBe(false);
		expect(us.connection.ping()).toBe(false);
		expect(us.connection.pong()).toBe(false);
		us.connection.close(1001);
		us.feed(frame(TEXT, "late"), frame(TEXT, "in ", { fin: false }), frame(PING), frame(0, "two"));
		expect(us.notes).toEqual([]);
		expect(us.written).toHaveLength(1);
		us.feed(frame(CLOSE, closeBody(1000)));
		expect(us.notes.at(-1)).toEqual(["close", 1000, "", "local", true]);
	});

	test("a peer's mistake while we are closing ends it as well", () => {
		const us = server();
		us.connection.close(1001);
		us.feed(frame(0xf));
		expect(failure(us)?.[0]).toBe(1002);
		expect(us.written).toHaveLength(1);
	});

	test("a handler that closes in mid-chunk gets no further message", () => {
		const handler: Handler<Peer> = {
			...recorder,
			message: (us, data, text) => {
				recorder.message(us, data, text);
				us.connection.close(4000);
			},
		};
		const us = peer("server", {}, handler).feed(
			join(frame(TEXT, "1"), frame(TEXT, "2"), frame(CLOSE, closeBody(4000))),
		);
		expect(us.notes).toEqual([["text", "1"], ["end"], ["close", 4000, "", "local", true]]);
	});

	test("a handler that throws ends the connection with 1011, and the error reaches the caller", () => {
		const handler: Handler<Peer> = {
			...recorder,
			message: () => {
				throw new Error("a bug");
			},
		};
		const us = peer("server", {}, handler);
		expect(() => us.feed(join(frame(TEXT, "1"), frame(TEXT, "2")))).toThrow("a bug");
		expect(failure(us)).toEqual([1011, ""]);
	});
});

describe("failing the connection (RFC 6455 §7.1.7)", () => {
	test("a violation is told to the peer with its code and rule, then TCP ends", () => {
		const us = server().feed(join(frame(PING, "x".repeat(126)), frame(TEXT, "never seen")));
		const text = "ping carries 126 bytes, at most 125 (RFC 6455 §5.5)";
		expect(us.written).toEqual([frame(CLOSE, closeBody(1002, text), unmasked)]);
		expect(us.notes).toEqual([["end"], ["close", 1002, text, "local", false]]);
	});

	test("a policy of the owner does not wait for an answer", () => {
		const us = server();
		us.connection.fail(4008, "slow");
		us.connection.fail(4008, "slow");
		us.feed(frame(CLOSE, closeBody(4008)));
		us.connection.receiveEnd();
		expect(us.notes).toEqual([["end"], ["close", 4008, "slow", "local", false]]);
		expect(us.written).toHaveLength(1);
	});
});

describe("close codes (RFC 6455 §7.4)", () => {
	test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
		"%i may travel",
		(code) => {
			expect(server().feed(frame(CLOSE, closeBody(code))).notes).toContainEqual(["close", code, "", "remote", true]);
			const us = server();
			us.connection.close(code);
			expect(us.written).toEqual([frame(CLOSE, closeBody(code), unmasked)]);
		},
	);

	test.each([0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])("S17: %i may not", (code) => {
		expect(failure(server().feed(frame(CLOSE, closeBody(code))))).toEqual([
			1002,
			`close code ${code} must not be sent (RFC 6455 §7.4)`,
		]);
		const us = server();
		expect(() => us.connection.close(code)).toThrow(expect.objectContaining({ code: "invalid_close_code" }));
		expect(() => us.connection.fail(code, "")).toThrow(expect.objectContaining({ code: "invalid_close_code" }));
		expect(us.connection.state).toBe("open");
	});

	test("S17: a body of 1 byte", () => {
		expect(failure(server().feed(frame(CLOSE, bytes(3))))).toEqual([
			1002,
			"close carries 1 byte, a code takes 2 (RFC 6455 §5.5.1)",
		]);
	});

	test("S16: a reason that is not UTF-8", () => {
		const us = server().feed(frame(CLOSE, join(closeBody(1000), hex("e2 82"))));
		expect(failure(us)).toEqual([1007, "the reason of a close is not UTF-8 (RFC 6455 §5.5.1)"]);
	});

	test("S17: a reason has at most 123 bytes, and is a string (CVE-2026-45736)", () => {
		const us = server();
		expect(() => us.connection.close(1000, "é".repeat(62))).toThrow(
			expect.objectContaining({ code: "payload_too_large" }),
		);
		const notText = new Uint8Array(8) as never;
		expect(() => us.connection.close(1000, notText)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
		expect(() => us.connection.close(1000, 7 as never)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
		expect(us.written).toEqual([]);
		us.connection.close(1000, "x".repeat(123));
		expect(us.written).toEqual([frame(CLOSE, closeBody(1000, "x".repeat(123)), unmasked)]);
	});
});

describe("time is an argument (A3: half-open peers)", () => {
	test("an open connection has no deadline", () => {
		const us = server({ closeTimeoutMs: 5_000 });
		expect(us.connection.checkDeadlines(1e9)).toBe(false);
		expect(us.connection.deadline).toBeUndefined();
	});

	test("a peer that never answers our close is given up, with 1006", () => {
		const us = server({ closeTimeoutMs: 5_000 });
		us.connection.close(1001);
		expect(us.connection.checkDeadlines(1_000)).toBe(false);
		expect(us.connection.deadline).toBe(6_000);
		expect(us.connection.checkDeadlines(5_999)).toBe(false);
		expect(us.notes).toEqual([]);
		expect(us.connection.checkDeadlines(6_000)).toBe(true);
		expect(us.notes).toEqual([["close", 1006, "", "local", false], ["end"]]);
	});

	test("a peer that closes its half and takes no more has its time as well: what was written may never leave", () => {
		const us = server({ closeTimeoutMs: 5_000 });
		us.connection.receiveEnd();
		expect(us.connection.checkDeadlines(1_000)).toBe(false);
		expect(us.connection.checkDeadlines(6_000)).toBe(true);
		expect(us.notes).toEqual([["close", 1006, "", "remote", false], ["end"]]);
	});

	test("a peer that never closes TCP is given up as well, without a second close", () => {
		const us = client({ closeTimeoutMs: 0 }).feed(frame(CLOSE, closeBody(1000), unmasked));
		expect(us.connection.checkDeadlines(7)).toBe(true);
		expect(us.notes).toEqual([["close", 1000, "", "remote", true], ["end"]]);
		const failed = server().feed(frame(0xf));
		expect(failed.connection.checkDeadlines(0)).toBe(false);
		expect(failed.connection.checkDeadlines(5_000)).toBe(true);
		expect(failed.notes).toHaveLength(2);
	});

	test("the owner is told once when to begin to look at the clock", () => {
		const told: string[] = [];
		const handler: Handler<Peer> = { ...recorder, closing: (us) => void told.push(us.connection.state) };
		const us = peer("server", {}, handler);
		us.connection.close();
		us.feed(frame(CLOSE, closeBody(1000)));
		us.connection.receiveEnd();
		expect(told).toEqual(["closing"]);
		peer("server", {}, handler).connection.receiveEnd();
		expect(told).toHaveLength(1);
	});
});
