import { describe, expect, test } from "vitest";
import { parseExtensions } from "../src/handshake/extensions.ts";
import { acceptUpgrade, requestUpgrade, resolveCompression, verifyUpgrade } from "../src/index.ts";
import { sha1Base64 as sha1 } from "../src/node/sha1.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

function accept(offer: string | readonly string[] | undefined, options = {}): ReturnType<typeof acceptUpgrade> {
	const headers: Record<string, string | readonly string[]> = {
		host: "example.test",
		upgrade: "websocket",
		connection: "Upgrade",
		"sec-websocket-key": KEY,
		"sec-websocket-version": "13",
	};
	if (offer !== undefined) {
		headers["sec-websocket-extensions"] = offer;
	}
	return acceptUpgrade(
		{ method: "GET", httpVersion: "1.1", headers },
		{ sha1, compression: resolveCompression({ clientMaxWindowBits: 15, ...options }) },
	);
}

/** What a server with these options answers to an offer; undefined where it declines. */
function answer(offer: string | readonly string[], options = {}): string | undefined {
	return accept(offer, options).headers["sec-websocket-extensions"];
}

/** What a client that offered with these options makes of an answer: what was agreed on, or why it fails. */
function verify(field: string, options = {}): unknown {
	const accepted = sha1(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
	const verdict = verifyUpgrade(
		{
			status: 101,
			headers: {
				upgrade: "websocket",
				connection: "Upgrade",
				"sec-websocket-accept": accepted,
				"sec-websocket-extensions": field,
			},
		},
		{ key: KEY, sha1, compression: resolveCompression(options) },
	);
	return verdict.ok ? verdict.compression : verdict.reason;
}

describe("the server's answer (RFC 7692 §7.1)", () => {
	test.each([
		["permessage-deflate", {}, "permessage-deflate"],
		["permessage-deflate; client_max_window_bits", {}, "permessage-deflate"],
		[
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
			{},
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		],
		["permessage-deflate; server_max_window_bits=8", {}, "permessage-deflate; server_max_window_bits=8"],
		["permessage-deflate; server_max_window_bits=15", {}, "permessage-deflate; server_max_window_bits=15"],
		["permessage-deflate", { serverMaxWindowBits: 10 }, "permessage-deflate; server_max_window_bits=10"],
		[
			"permessage-deflate; server_max_window_bits=12",
			{ serverMaxWindowBits: 10 },
			"permessage-deflate; server_max_window_bits=10",
		],
		[
			"permessage-deflate; client_max_window_bits",
			{ clientMaxWindowBits: 9 },
			"permessage-deflate; client_max_window_bits=9",
		],
		["permessage-deflate; client_max_window_bits=11", {}, "permessage-deflate; client_max_window_bits=11"],
		[
			"permessage-deflate; client_max_window_bits=9",
			{ clientMaxWindowBits: 11 },
			"permessage-deflate; client_max_window_bits=9",
		],
		['permessage-deflate; server_max_window_bits="10"', {}, "permessage-deflate; server_max_window_bits=10"],
		[
			"permessage-deflate",
			{ serverNoContextTakeover: true, clientNoContextTakeover: true },
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		],
	])("%s with %j is answered by %s", (offer, options, expected) => {
		expect(answer(offer, options)).toBe(expected);
	});

	test("§7.1.2.2: a client that cannot limit its window is asked to begin anew with each message instead", () => {
		expect(answer("permessage-deflate", { clientMaxWindowBits: 12 })).toBe(
			"permessage-deflate; client_no_context_takeover",
		);
		expect(answer("permessage-deflate; client_max_window_bits", { clientMaxWindowBits: undefined })).toBe(
			"permessage-deflate; client_max_window_bits=12",
		);
	});

	test("§5.2: the first offer that can be accepted is, whatever stands before and behind it", () => {
		const offers =
			"x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=7, permessage-deflate; unknown, " +
			"permessage-deflate; server_max_window_bits=9, permessage-deflate";
		expect(answer(offers)).toBe("permessage-deflate; server_max_window_bits=9");
		expect(answer(offers.split(", "))).toBe("permessage-deflate; server_max_window_bits=9");
	});

	test.each([
		"server_max_window_bits",
		"server_max_window_bits=7",
		"server_max_window_bits=16",
		"server_max_window_bits=08",
		"server_max_window_bits=1e1",
		"server_max_window_bits=10; server_max_window_bits=10",
		"client_max_window_bits=7",
		"client_max_window_bits=16",
		"client_max_window_bits=-9",
		"client_max_window_bits; client_max_window_bits",
		"client_max_window_bits; client_max_window_bits=10",
		"server_no_context_takeover=true",
		"server_no_context_takeover; server_no_context_takeover",
		"client_no_context_takeover=1",
		"client_no_context_takeover; client_no_context_takeover",
		"Server_No_Context_Takeover",
		"unknown",
		"__proto__=1",
		"constructor",
	])("S14: an offer with %s is declined, and the connection opens without", (parameters) => {
		const upgrade = accept(`permessage-deflate; ${parameters}`);
		expect(upgrade).toMatchObject({ ok: true });
		expect(upgrade).not.toHaveProperty("compression");
		expect(upgrade.headers).not.toHaveProperty("sec-websocket-extensions");
	});

	test.each(["constructor; __proto__=1", "toString", "", " ,,", undefined])("S2: %s is no offer of ours", (offer) => {
		expect(accept(offer)).toMatchObject({ ok: true });
		expect(accept(offer)).not.toHaveProperty("compression");
	});

	test.each([
		'permessage-deflate; server_max_window_bits="10',
		"permessage-deflate; server_max_window_bits=",
		'permessage-deflate; server_max_window_bits=""',
		"permessage-deflate;",
		"permessage-deflate; ;",
		"; server_max_window_bits=10",
		"permessage deflate",
		'permessage-deflate; a="b" c',
		"permessage-deflate; a=b=c",
	])("RFC 6455 §9.1: %s breaks the grammar and is refused", (offer) => {
		expect(accept(offer)).toMatchObject({ ok: false, status: 400 });
	});

	test("without compression the field is not looked at", () => {
		const upgrade = acceptUpgrade(
			{
				method: "GET",
				httpVersion: "1.1",
				headers: {
					host: "example.test",
					upgrade: "websocket",
					connection: "Upgrade",
					"sec-websocket-key": KEY,
					"sec-websocket-version": "13",
					"sec-websocket-extensions": "permessage-deflate",
				},
			},
			{ sha1 },
		);
		expect(upgrade.headers).not.toHaveProperty("sec-websocket-extensions");
	});
});

describe("the client's offer (RFC 7692 §7.1)", () => {
	const offer = (options: Parameters<typeof resolveCompression>[0]): string | undefined =>
		/^sec-websocket-extensions: (.*)$/m.exec(
			requestUpgrade({ host: "h", path: "/", key: KEY, compression: resolveCompression(options) }),
		)?.[1];

	test.each([
		[{}, "permessage-deflate; client_max_window_bits"],
		[{ clientMaxWindowBits: 9 }, "permessage-deflate; client_max_window_bits=9"],
		[
			{ serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 8 },
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8; " +
				"client_max_window_bits",
		],
	])("%j offers %s", (options, expected) => {
		expect(offer(options)).toBe(expected);
	});

	test("without compression nothing is offered", () => {
		expect(requestUpgrade({ host: "h", path: "/", key: KEY })).not.toContain("extensions");
	});
});

describe("the client's view of the answer (RFC 7692 §5.2, §7.1)", () => {
	const whole = {
		serverNoContextTakeover: false,
		clientNoContextTakeover: false,
		serverMaxWindowBits: 15,
		clientMaxWindowBits: 15,
	};

	test.each([
		["permessage-deflate", {}, whole],
		["", {}, undefined],
		["permessage-deflate; server_max_window_bits=9", {}, { ...whole, serverMaxWindowBits: 9 }],
		["permessage-deflate; client_max_window_bits=8", {}, { ...whole, clientMaxWindowBits: 8 }],
		["permessage-deflate; client_no_context_takeover", {}, { ...whole, clientNoContextTakeover: true }],
		["permessage-deflate; server_no_context_takeover", {}, { ...whole, serverNoContextTakeover: true }],
		["permessage-deflate", { clientMaxWindowBits: 10 }, { ...whole, clientMaxWindowBits: 10 }],
		["permessage-deflate", { clientNoContextTakeover: true }, { ...whole, clientNoContextTakeover: true }],
	])("%s to %j is agreed on", (field, options, expected) => {
		expect(verify(field, options)).toEqual(expected);
	});

	test.each([
		["permessage-deflate; server_max_window_bits", {}],
		["permessage-deflate; server_max_window_bits=7", {}],
		["permessage-deflate; server_max_window_bits=16", {}],
		["permessage-deflate; server_max_window_bits=1000000", {}],
		["permessage-deflate; client_max_window_bits", {}],
		["permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", {}],
		["permessage-deflate; unknown", {}],
		["permessage-deflate", { serverNoContextTakeover: true }],
		["permessage-deflate", { serverMaxWindowBits: 10 }],
		["permessage-deflate; server_max_window_bits=11", { serverMaxWindowBits: 10 }],
		["permessage-deflate; client_max_window_bits=11", { clientMaxWindowBits: 10 }],
		["permessage-deflate, permessage-deflate", {}],
		["x-unknown", {}],
		['permessage-deflate; server_max_window_bits="', {}],
	])("S14 (CVE-2026-2229): %s to %j fails the handshake, and nothing is thrown", (field, options) => {
		expect(verify(field, options)).toEqual(expect.stringContaining("RFC"));
	});
});

describe("the grammar of Sec-WebSocket-Extensions (RFC 6455 §9.1)", () => {
	test("quoted values, white space, empty items, several fields", () => {
		expect(parseExtensions(['a ; b = "c\\d" ;e , , f', "g"])).toEqual([
			{
				name: "a",
				parameters: [
					["b", "cd"],
					["e", undefined],
				],
			},
			{ name: "f", parameters: [] },
			{ name: "g", parameters: [] },
		]);
	});

	test.each([
		["an unclosed quote (CVE-2020-7662)", (n: number) => `a; b="${"\\".repeat(n)}`],
		["an unclosed quote of spaces", (n: number) => `a; b="${" ".repeat(n)}`],
		["spaces before a token", (n: number) => `a${" ".repeat(n)}b`],
		["many offers", (n: number) => "a,".repeat(n / 2)],
		["many parameters", (n: number) => `a${";b".repeat(n / 2)}`],
	])("S2: %s of 1 MB is read in one pass", (_, make) => {
		// Quadratic work on a megabyte would take minutes: the test's own time limit tells them apart.
		expect(() => parseExtensions([make(1_000_000)])).not.toThrow();
	});
});
