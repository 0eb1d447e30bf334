import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	acceptUpgrade,
	formatResponse,
	parseResponseHead,
	requestUpgrade,
	type UpgradeRequest,
	verifyUpgrade,
	WebSocketError,
} from "../src/index.ts";

const sha1 = (text: string): string => createHash("sha1").update(text).digest("base64");
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

function request(
	headers: Record<string, string | string[] | undefined> = {},
	rest: Partial<UpgradeRequest> = {},
): UpgradeRequest {
	return {
		method: "GET",
		httpVersion: "1.1",
		headers: {
			host: "server.example.com",
			upgrade: "websocket",
			connection: "Upgrade",
			"sec-websocket-key": KEY,
			"sec-websocket-version": "13",
			...headers,
		},
		...rest,
	};
}

function statusOf(of: UpgradeRequest): number {
	return acceptUpgrade(of, { sha1 }).status;
}

describe("opening handshake, server (RFC 6455 §4.2)", () => {
	test.each([
		[KEY, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
		["x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="],
	])("§1.3: key %s is answered with %s", (key, accept) => {
		const upgrade = acceptUpgrade(request({ "sec-websocket-key": key }), { sha1 });
		expect(upgrade).toEqual({
			ok: true,
			status: 101,
			headers: { upgrade: "websocket", connection: "Upgrade", "sec-websocket-accept": accept },
		});
	});

	test("§4.2.1: Upgrade and Connection are lists in any case", () => {
		expect(statusOf(request({ upgrade: "h2c, WebSocket", connection: "keep-alive, UPGRADE" }))).toBe(101);
	});

	test("headers may be a Map", () => {
		const { headers } = request();
		expect(statusOf(request({}, { headers: new Map(Object.entries(headers) as [string, string][]) }))).toBe(101);
	});

	test.each<[string, UpgradeRequest, number]>([
		["POST", request({}, { method: "POST" }), 405],
		["no method", request({}, { method: undefined }), 405],
		["HTTP/1.0", request({}, { httpVersion: "1.0" }), 400],
		["a body by length", request({ "content-length": "3" }), 400],
		["a body by chunks", request({ "transfer-encoding": "chunked" }), 400],
		["no Upgrade", request({ upgrade: undefined }), 426],
		["Upgrade: h2c", request({ upgrade: "h2c" }), 426],
		["no Connection", request({ connection: undefined }), 400],
		["Connection: close", request({ connection: "close" }), 400],
		["no Host", request({ host: undefined }), 400],
		["no version", request({ "sec-websocket-version": undefined }), 426],
		["version 8", request({ "sec-websocket-version": "8" }), 426],
		["version 12", request({ "sec-websocket-version": "12" }), 426],
		["version 14", request({ "sec-websocket-version": "14" }), 426],
		["no key", request({ "sec-websocket-key": undefined }), 400],
		["a key of 15 bytes", request({ "sec-websocket-key": "dGhlIHNhbXBsZSBub25j" }), 400],
		["a key of 17 bytes", request({ "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZSE=" }), 400],
		["a key that is no base64", request({ "sec-websocket-key": "dGhlIHNhbXBsZSBub2 jZQ==" }), 400],
		["two keys", request({ "sec-websocket-key": [KEY, KEY] }), 400],
		["two keys, joined by Node", request({ "sec-websocket-key": `${KEY}, ${KEY}` }), 400],
		["two hosts, of which Node keeps one", request({}, { rawHeaders: ["Host", "a", "HOST", "b"] }), 400],
		["two origins", request({}, { rawHeaders: ["Origin", "https://a", "origin", "https://b"] }), 400],
		["subprotocols that are no tokens", request({ "sec-websocket-protocol": "a, b c" }), 400],
		["a subprotocol twice", request({ "sec-websocket-protocol": "a, a" }), 400],
	])("S1, S3: %s is refused", (_, bad, status) => {
		const upgrade = acceptUpgrade(bad, { sha1 });
		expect(upgrade).toMatchObject({ ok: false, status, reason: expect.any(String) });
		expect(upgrade.headers.connection).toContain("close");
	});

	test("§4.2.2: 426 names the version, 405 the method", () => {
		expect(acceptUpgrade(request({ "sec-websocket-version": "8" }), { sha1 }).headers).toMatchObject({
			"sec-websocket-version": "13",
			upgrade: "websocket",
		});
		expect(acceptUpgrade(request({}, { method: "PUT" }), { sha1 }).headers).toMatchObject({ allow: "GET" });
	});

	test("S1: names of Object.prototype are no headers, also where the key itself is missing", () => {
		const headers = Object.assign(Object.create({ "sec-websocket-key": KEY }), {
			...request().headers,
			"sec-websocket-key": undefined,
		});
		delete headers["sec-websocket-key"];
		expect(statusOf(request({}, { headers }))).toBe(400);
		expect(statusOf(request({ constructor: "x", get: "y", "has-own-property": "z" } as never))).toBe(101);
	});

	test("§4.2.2: the chosen subprotocol is one of those offered", () => {
		const offer = request({ "sec-websocket-protocol": ["tidewire.v1.json ,, chat", "superchat"] });
		const seen: string[][] = [];
		const upgrade = acceptUpgrade(offer, {
			sha1,
			protocols: (offered) => {
				seen.push([...offered]);
				return "chat";
			},
		});
		expect(seen).toEqual([["tidewire.v1.json", "chat", "superchat"]]);
		expect(upgrade).toMatchObject({ ok: true, protocol: "chat", headers: { "sec-websocket-protocol": "chat" } });
		expect(acceptUpgrade(offer, { sha1, protocols: () => undefined }).headers).not.toHaveProperty(
			"sec-websocket-protocol",
		);
		expect(() => acceptUpgrade(offer, { sha1, protocols: () => "constructor" })).toThrow(WebSocketError);
		expect(acceptUpgrade(request(), { sha1, protocols: () => "never asked" })).not.toHaveProperty("protocol");
	});

	test.each([
		"constructor; __proto__=1",
		`permessage-deflate; x="${"y".repeat(32_768)}`,
		Array.from({ length: 10_000 }, () => "permessage-deflate").join(", "),
	])("S2: hostile extension offers are declined (%#)", (offer) => {
		const upgrade = acceptUpgrade(request({ "sec-websocket-extensions": offer }), { sha1 });
		expect(upgrade.status).toBe(101);
		expect(upgrade.headers).not.toHaveProperty("sec-websocket-extensions");
	});

	test("S2: a megabyte of spaces in a list is read in linear time (a quadratic scan would not end in this test's time)", () => {
		const spaces = " ".repeat(1_000_000);
		expect(statusOf(request({ "sec-websocket-protocol": `b${spaces}x` }))).toBe(400);
		expect(statusOf(request({ "sec-websocket-protocol": `b${spaces}` }))).toBe(101);
		expect(statusOf(request({ connection: `${spaces}, ${spaces}Upgrade${spaces}` }))).toBe(101);
		expect(statusOf(request({ upgrade: ",".repeat(1_000_000) }))).toBe(426);
		expect(statusOf(request({ "sec-websocket-key": `${spaces}x${spaces}` }))).toBe(400);
		expect(parseResponseHead(`HTTP/1.1 200 ${spaces}\r\na:${spaces}b${spaces}c${spaces}`)?.status).toBe(200);
	});

	test("whatever the headers, the answer is a status and never a throw", () => {
		const value = fc.oneof(fc.string({ unit: "binary" }), fc.array(fc.string()), fc.constant(undefined));
		const names = [
			"host",
			"upgrade",
			"connection",
			"sec-websocket-key",
			"sec-websocket-version",
			"sec-websocket-protocol",
			"get",
		];
		const headers = fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), value);
		fc.assert(
			fc.property(headers, fc.boolean(), (given, merge) => {
				const upgrade = acceptUpgrade(merge ? request(given) : request({}, { headers: given }), { sha1 });
				expect([101, 400, 405, 426]).toContain(upgrade.status);
			}),
		);
	});
});

describe("opening handshake, client (RFC 6455 §4.1)", () => {
	const offer = { host: "server.example.com", path: "/chat?x=1", key: KEY };
	const good = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" };

	test("the request is one that our server half accepts", () => {
		const text = requestUpgrade({
			...offer,
			protocols: ["chat", "superchat"],
			headers: { origin: "http://example.com" },
		});
		expect(text.split("\r\n")).toEqual([
			"GET /chat?x=1 HTTP/1.1",
			"host: server.example.com",
			"upgrade: websocket",
			"connection: Upgrade",
			`sec-websocket-key: ${KEY}`,
			"sec-websocket-version: 13",
			"sec-websocket-protocol: chat, superchat",
			"origin: http://example.com",
			"",
			"",
		]);
	});

	test.each([
		["a path with a line break", { ...offer, path: "/a\r\nx: y" }],
		["a path with a space", { ...offer, path: "/a b" }],
		["a path without a slash", { ...offer, path: "chat" }],
		["a header with a line break", { ...offer, headers: { "x-a": "1\r\nx-b: 2" } }],
		["a header name with a colon", { ...offer, headers: { "x-a:": "1" } }],
		["a second key", { ...offer, headers: { "Sec-WebSocket-Key": KEY } }],
		["a subprotocol that is no token", { ...offer, protocols: ["a b"] }],
		["a subprotocol twice", { ...offer, protocols: ["a", "a"] }],
	])("%s throws", (_, bad) => {
		expect(() => requestUpgrade(bad)).toThrow(expect.objectContaining({ code: "invalid_header" }));
	});

	test("a right answer is accepted", () => {
		const options = { key: KEY, sha1, protocols: ["chat"] };
		expect(verifyUpgrade({ status: 101, headers: good }, options)).toEqual({ ok: true });
		const chosen = { ...good, "sec-websocket-protocol": "chat" };
		expect(verifyUpgrade({ status: 101, headers: chosen }, options)).toEqual({ ok: true, protocol: "chat" });
	});

	test.each<[string, number, Record<string, string | string[]>]>([
		["status 200", 200, good],
		["no Upgrade", 101, { ...good, upgrade: "h2c" }],
		["no Connection", 101, { ...good, connection: "close" }],
		["a wrong Accept", 101, { ...good, "sec-websocket-accept": "HSmrc0sMlYUkAGmm5OPpG2HaGWk=" }],
		["two Accepts", 101, { ...good, "sec-websocket-accept": [good["sec-websocket-accept"], "x"] }],
		["an extension that was not offered", 101, { ...good, "sec-websocket-extensions": "permessage-deflate" }],
		["a subprotocol that was not offered", 101, { ...good, "sec-websocket-protocol": "superchat" }],
		["two subprotocols", 101, { ...good, "sec-websocket-protocol": ["chat", "chat"] }],
	])("%s is refused with a reason", (_, status, headers) => {
		const verdict = verifyUpgrade({ status, headers }, { key: KEY, sha1, protocols: ["chat"] });
		expect(verdict).toMatchObject({ ok: false, reason: expect.stringContaining("RFC 6455 §4.1") });
	});

	test("a response head is written and read (RFC 9112 §4)", () => {
		const text = formatResponse(426, { upgrade: "websocket", "x-a": "é" }, "use 13");
		expect(text).toBe(
			"HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nx-a: é\r\ncontent-length: 6\r\n\r\nuse 13",
		);
		const head = parseResponseHead(text.slice(0, text.indexOf("\r\n\r\n")));
		expect(head).toEqual({
			status: 426,
			headers: new Map([
				["upgrade", ["websocket"]],
				["x-a", ["é"]],
				["content-length", ["6"]],
			]),
		});
		expect(() => formatResponse(101, { "x-a": "1\r\n\r\n" })).toThrow(WebSocketError);
	});

	test.each([
		["HTTP/1.0", "HTTP/1.0 101 x"],
		["no HTTP", "ICY 200 OK"],
		["a status of four digits", "HTTP/1.1 1010"],
		["a folded line", "HTTP/1.1 101 x\r\na: b\r\n c"],
		["white space before the colon", "HTTP/1.1 101 x\r\na : b"],
		["a bare line feed", "HTTP/1.1 101 x\r\na: b\nc: d"],
		["a line without a colon", "HTTP/1.1 101 x\r\nab"],
	])("S45: %s is no response", (_, text) => {
		expect(parseResponseHead(text)).toBeUndefined();
	});
});
