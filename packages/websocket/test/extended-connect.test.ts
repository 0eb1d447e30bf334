import { describe, expect, it, test } from "vitest";
import { acceptConnect, resolveCompression, WebSocketError } from "../src/index.ts";

/** RFC 8441 §5.1, its example. */
const REQUEST = {
	":method": "CONNECT",
	":protocol": "websocket",
	":scheme": "https",
	":path": "/chat",
	":authority": "server.example.com",
	"sec-websocket-protocol": "chat, superchat",
	"sec-websocket-extensions": "permessage-deflate",
	"sec-websocket-version": "13",
	origin: "http://www.example.com",
} as const;

type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The answer to the example with other fields; undefined leaves one out. */
function answer(fields: Fields = {}, rawHeaders: readonly string[] = []) {
	return acceptConnect({ headers: { ...REQUEST, ...fields }, rawHeaders }, { protocols: ([first]) => first });
}

describe("opening handshake over HTTP/2, server (RFC 8441)", () => {
	test("§5.1: the example is answered with 200 and the chosen subprotocol, and nothing of an upgrade", () => {
		expect(answer()).toEqual({
			ok: true,
			status: 200,
			headers: { "sec-websocket-protocol": "chat" },
			protocol: "chat",
		});
	});

	test("§5: what HTTP/1.1 proves by a key, HTTP/2 proves by being itself: no key is asked for, and one is not answered", () => {
		const answered = answer({ "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" });
		expect(answered).toMatchObject({ ok: true });
		expect(Object.keys(answered.headers)).not.toContain("sec-websocket-accept");
	});

	test("§5: extensions are negotiated as in HTTP/1.1 (RFC 7692 §5)", () => {
		const compression = resolveCompression();
		const answered = acceptConnect({ headers: REQUEST }, { compression });
		expect(answered).toMatchObject({ ok: true, compression: { serverMaxWindowBits: expect.any(Number) } });
		expect(answered.headers["sec-websocket-extensions"]).toMatch(/^permessage-deflate/);
		expect(acceptConnect({ headers: REQUEST })).toEqual({ ok: true, status: 200, headers: {} });
	});

	it.each([
		["§4", "a CONNECT without :protocol is a tunnel's", { ":protocol": undefined }, 400],
		["§4", "another :protocol", { ":protocol": "connect-udp" }, 501],
		["§4", "no :scheme", { ":scheme": undefined }, 400],
		["§5", "a :scheme that is neither https nor http", { ":scheme": "wss" }, 400],
		["§4", "no :path", { ":path": undefined }, 400],
		["§4", "a :path that is not one", { ":path": "*" }, 400],
		["§4", "no :authority", { ":authority": undefined }, 400],
		["§4", "an empty :authority", { ":authority": "" }, 400],
		["§5", "another method", { ":method": "GET", ":protocol": undefined }, 405],
		["§5", "no version", { "sec-websocket-version": undefined }, 400],
		["§5", "another version", { "sec-websocket-version": "8" }, 400],
		["§5", "two versions, joined by HTTP/2's shell", { "sec-websocket-version": "13, 13" }, 400],
		["§5", "two versions", { "sec-websocket-version": ["13", "13"] }, 400],
		["§5", "a subprotocol twice", { "sec-websocket-protocol": "chat, chat" }, 400],
		["§5", "a subprotocol that is no token", { "sec-websocket-protocol": "a/b" }, 400],
		["RFC 9113 §8.2.2", "a Connection header", { connection: "upgrade" }, 400],
		["RFC 9113 §8.2.2", "an Upgrade header", { upgrade: "websocket" }, 400],
		["RFC 9113 §8.2.2", "a Transfer-Encoding header", { "transfer-encoding": "chunked" }, 400],
		["RFC 9113 §8.3.1", "a Host that is not the :authority", { host: "evil.example" }, 400],
		["RFC 9110 §9.3.6", "a body", { "content-length": "5" }, 400],
	])("%s: refuses %s", (_section, _what, fields, status) => {
		const answered = answer(fields);
		expect(answered).toMatchObject({ ok: false, status, reason: expect.stringMatching(/\(RFC \d|no body/) });
		// Connection-specific fields make an answer malformed, too.
		for (const name of ["connection", "upgrade", "transfer-encoding"]) {
			expect(answered.headers).not.toHaveProperty(name);
		}
	});

	it("says which version it speaks, and which method it wants", () => {
		expect(answer({ "sec-websocket-version": "8" }).headers).toMatchObject({ "sec-websocket-version": "13" });
		expect(answer({ ":method": "GET" }).headers).toMatchObject({ allow: "CONNECT" });
	});

	it("refuses a field that stands twice where only the raw fields show it", () => {
		expect(answer({}, ["origin", "https://a", "origin", "https://b"])).toMatchObject({ ok: false, status: 400 });
	});

	it("takes a Host that says the same, and the token's case as HTTP does", () => {
		expect(answer({ host: "server.example.com", ":protocol": "WebSocket" })).toMatchObject({ ok: true });
	});

	it("throws when our caller chooses what was not offered", () => {
		expect(() => acceptConnect({ headers: REQUEST }, { protocols: () => "soap" })).toThrow(WebSocketError);
	});

	it("takes Node's header objects, which have no prototype and a symbol", () => {
		const headers = Object.assign(Object.create(null) as Record<string | symbol, string>, REQUEST);
		headers[Symbol("nodejs.http2.sensitiveHeaders")] = "";
		expect(acceptConnect({ headers })).toMatchObject({ ok: true });
	});
});
