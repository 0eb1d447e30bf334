/** TLS and HTTP/2: on a port of our own, whose certificate changes while it listens, and on an application's server. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createH2cServer, createSecureServer, type Http2Server } from "node:http2";
import { get } from "node:https";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { join } from "node:path";
import { connect as connectTls, type SecureVersion } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket as WsClient } from "ws";
import type { Certificate } from "../src/http/certificate.ts";
import type { ServerOptions } from "../src/options.ts";
import { createServer, type TidewireServer } from "../src/server.ts";
import { Session } from "./http2-client.ts";

const JSON_PROTOCOL = "tidewire.v1.json";
const API_KEY = "a-key-of-enough-length";

function pem(name: "first" | "second" | "expired"): Certificate {
	const read = (part: string): string =>
		readFileSync(join(import.meta.dirname, `fixtures/tls/test-only-${name}.${part}.pem`), "utf8");
	return { cert: read("cert"), key: read("key") };
}

function fingerprintOf({ cert }: Certificate): string {
	return new X509Certificate(cert).fingerprint256;
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) {
		await cleanup();
	}
});

interface Running {
	readonly server: TidewireServer;
	/** "https://127.0.0.1:1234" */
	readonly origin: string;
	readonly port: number;
	/** What was logged as warnings and errors. */
	readonly complaints: readonly string[];
}

function newServer(options: ServerOptions = {}): { readonly server: TidewireServer; readonly complaints: string[] } {
	const complaints: string[] = [];
	const complain = (message: string): void => void complaints.push(message);
	const server = createServer(undefined, {
		may: { subscribe: { "*": true }, publish: { "*": true } },
		log: { info() {}, warn: complain, error: complain },
		...options,
	});
	cleanups.push(() => server.close());
	return { server, complaints };
}

async function listen(options: ServerOptions = {}, tls: Certificate = pem("first")): Promise<Running> {
	const { server, complaints } = newServer(options);
	const { url, port } = await server.listen({ port: 0, tls });
	return { server, origin: url, port, complaints };
}

function session(origin: string): Session {
	const made = new Session(origin);
	cleanups.push(() => {
		made.http2.destroy();
		return made.closed;
	});
	return made;
}

/** A client that checks no certificate, by HTTP/1.1. */
async function wss(port: number, path: string): Promise<WsClient> {
	const client = new WsClient(`wss://127.0.0.1:${port}${path}`, { rejectUnauthorized: false });
	cleanups.push(() => client.terminate());
	await once(client, "open");
	return client;
}

async function nextOf(client: WsClient): Promise<string> {
	const [data] = (await once(client, "message")) as [Buffer];
	return data.toString();
}

/** The fingerprint that a new connection is shown. */
async function shownAt(port: number): Promise<string> {
	const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
	await once(socket, "secureConnect");
	const { fingerprint256 } = socket.getPeerCertificate();
	socket.destroy();
	return fingerprint256;
}

describe("wss: on a port of our own", () => {
	it("says so in its URL", async () => {
		const { origin, port } = await listen();
		expect(origin).toBe(`https://127.0.0.1:${port}`);
	});

	it("serves ws, and Node's own WebSocket", async () => {
		const { server, port } = await listen();
		const client = await wss(port, "/connect?channel=a");
		const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
		cleanups.push(() => {
			process.env.NODE_TLS_REJECT_UNAUTHORIZED = before ?? "1";
		});
		process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
		const own = new WebSocket(`wss://127.0.0.1:${port}/connect?channel=a`);
		await once(own, "open");
		const both = Promise.all([nextOf(client), once(own, "message")]);
		await server.channel("a").publish({ n: 1 });
		const [text, [event]] = (await both) as [string, [MessageEvent<string>]];
		expect([text, event.data]).toEqual([`{"n":1}`, `{"n":1}`]);
		own.close();
	});

	it("answers plain HTTPS", async () => {
		const { origin } = await listen();
		const [response] = await once(get(`${origin}/healthz`, { rejectUnauthorized: false, agent: false }), "response");
		expect(response.statusCode).toBe(200);
		response.resume();
	});

	it.each<[SecureVersion]>([["TLSv1"], ["TLSv1.1"]])("does not speak %s (RFC 8996)", async (version) => {
		const { port, complaints } = await listen();
		const socket = connectTls({
			port,
			host: "127.0.0.1",
			rejectUnauthorized: false,
			minVersion: version,
			maxVersion: version,
			ciphers: "DEFAULT@SECLEVEL=0",
		});
		const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
		expect(error.code).toMatch(/VERSION|PROTOCOL|ECONNRESET/);
		expect(complaints).toEqual([]);
	});

	it("is not disturbed by what is no TLS, nor by those who go away within the handshake, and logs neither", async () => {
		const { server, port, complaints } = await listen();
		for (const bytes of [
			"GET / HTTP/1.1\r\n\r\n",
			"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
			"\x00".repeat(5_000),
		]) {
			const socket = connectTcp(port, "127.0.0.1");
			socket.on("error", () => {});
			socket.end(Buffer.from(bytes, "latin1"));
			socket.resume();
			await once(socket, "close");
		}
		const client = await wss(port, "/connect?channel=a");
		const next = nextOf(client);
		await server.channel("a").publish(1);
		expect(await next).toBe("1");
		expect(complaints).toEqual([]);
	});

	it("refuses to listen with a certificate that cannot be used, with the reason", async () => {
		const { server } = newServer();
		const mixed = { cert: pem("first").cert, key: pem("second").key };
		await expect(server.listen({ port: 0, tls: mixed })).rejects.toMatchObject({
			code: "bad_certificate",
			message: expect.stringContaining("key values mismatch"),
		});
		await expect(server.listen({ port: 0, tls: { cert: "none", key: "none" } })).rejects.toMatchObject({
			code: "bad_certificate",
		});
	});

	it("warns of a certificate that has expired", async () => {
		const { complaints } = await listen({}, pem("expired"));
		expect(complaints).toEqual(["the certificate is not valid today"]);
	});
});

describe("reloadCertificate", () => {
	it("shows new connections the new one and leaves open ones alone, by HTTP/1.1 and HTTP/2", async () => {
		const { server, origin, port } = await listen();
		expect(await shownAt(port)).toBe(fingerprintOf(pem("first")));
		const old = await wss(port, "/connect?channel=a");
		const oldSession = session(origin);
		const oldStream = await oldSession.open("/connect?channel=a");

		server.reloadCertificate(pem("second"));
		expect(await shownAt(port)).toBe(fingerprintOf(pem("second")));
		const fresh = await wss(port, "/connect?channel=a");
		// A session goes on with its old certificate, also for what is new in it.
		const inOldSession = await oldSession.open("/connect?channel=a");

		const all = Promise.all([nextOf(old), nextOf(fresh), oldStream.next(), inOldSession.next()]);
		await server.channel("a").publish({ n: 1 });
		expect(await all).toEqual(Array(4).fill(`{"n":1}`));
	});

	it("keeps the old one where the new one cannot be used, and says why", async () => {
		const { server, port } = await listen();
		const bad: Certificate[] = [
			{ cert: "no certificate", key: pem("second").key },
			{ cert: pem("second").cert, key: pem("first").key },
			{ cert: "", key: "" },
		];
		for (const certificate of bad) {
			expect(() => server.reloadCertificate(certificate)).toThrow(
				expect.objectContaining({ code: "bad_certificate", message: expect.stringContaining("cannot be used") }),
			);
			expect(await shownAt(port)).toBe(fingerprintOf(pem("first")));
		}
	});
});

describe("HTTP/2 on a port of our own (RFC 8441)", () => {
	it("serves several WebSockets in one session, plain and enveloped", async () => {
		const { server, origin } = await listen();
		const client = session(origin);
		const plain = await client.open("/connect?channel=order_123");
		const enveloped = await client.open("/connect", { "sec-websocket-protocol": JSON_PROTOCOL });
		expect(enveloped.headers["sec-websocket-protocol"]).toBe(JSON_PROTOCOL);
		expect(JSON.parse(await enveloped.next())).toMatchObject({ hello: { version: 1 } });
		enveloped.send({ id: 1, action: "subscribe", channel: "order_123" });
		expect(JSON.parse(await enveloped.next())).toMatchObject({ ack: 1 });
		expect(server.connections).toBe(2);

		enveloped.send(`{"id":2,"action":"publish","channel":"order_123","data":{"lat":1.0}}`);
		expect(await plain.next()).toBe(`{"lat":1.0}`);
		expect([await enveloped.next(), await enveloped.next()]).toContainEqual(
			expect.stringMatching(/"data":\{"lat":1\.0\}/),
		);

		plain.close(3001);
		expect(await plain.closed).toEqual([3001, ""]);
		enveloped.send({ id: 3, action: "ping" });
		expect(JSON.parse(await enveloped.next())).toMatchObject({ ack: 3 });
		expect(server.connections).toBe(1);
	});

	it("carries messages of a megabyte both ways", async () => {
		const { origin } = await listen({ limits: { maxMessageBytes: 4 * 1024 * 1024 } });
		const client = session(origin);
		const customer = await client.open("/connect?channel=a");
		const driver = await client.open("/connect", { "sec-websocket-protocol": JSON_PROTOCOL });
		await driver.next();
		const large = `{"text":"${"é".repeat(500_000)}"}`;
		driver.send(`{"id":1,"action":"publish","channel":"a","data":${large}}`);
		expect((await customer.next()) === large).toBe(true);
	});

	it.each([
		["a path of nobody's", "/nothing", {}, 404],
		["another version", "/connect", { "sec-websocket-version": "8" }, 400],
		["subprotocols that nobody knows", "/connect", { "sec-websocket-protocol": "soap" }, 400],
		["a page of another origin (S7)", "/connect", { origin: "https://evil.example" }, 403],
		["a page of http://host, where TLS ends here", "/connect", { origin: "http://127.0.0.1" }, 403],
		["a Host that is not the :authority", "/connect", { host: "evil.example" }, 400],
		["a token that is not valid", "/connect?channel=a&token=wrong", {}, 401],
	])("refuses %s with a status, and the session goes on", async (_, path, fields, status) => {
		const { server, origin } = await listen({ apiKey: API_KEY, authenticate: () => null });
		const client = session(origin);
		expect(await client.answer(path, fields)).toMatchObject({ status, body: expect.stringMatching(/.\n$/) });
		expect(server.connections).toBe(0);
		await client.open("/connect?channel=a", { authorization: `Bearer ${API_KEY}` });
	});

	it("takes :authority for the Host: the page's own server is no stranger, and its cookies count", async () => {
		const seen: unknown[] = [];
		const { origin } = await listen({
			authenticate: ({ cookies, headers, remoteAddress }) => {
				seen.push([{ ...cookies }, headers.host, headers[":path"], headers.cookie, remoteAddress]);
				return { id: "ann" };
			},
		});
		const client = session(origin);
		await client.open("/connect?channel=a", { origin, cookie: "session=1; theme=dark" });
		const { host } = new URL(origin);
		expect(seen).toEqual([[{ session: "1", theme: "dark" }, host, undefined, undefined, "127.0.0.1"]]);
	});

	it("with --dev lets in nobody whose :authority is no name of this machine (DNS rebinding)", async () => {
		const { origin } = await listen({ dev: true });
		const client = session(origin);
		expect(await client.answer("/connect", { ":authority": "evil.example" })).toMatchObject({ status: 403 });
		await client.open("/connect?channel=a");
	});

	it("answers plain requests in the same session", async () => {
		const { origin } = await listen();
		const client = session(origin);
		await client.open("/connect");
		expect(await client.answer("/healthz", { ":method": "GET" })).toMatchObject({ status: 200, body: "ok\n" });
		expect(await client.answer("/connect", { ":method": "GET" })).toMatchObject({
			status: 405,
			headers: { allow: "CONNECT" },
		});
		expect(await client.answer("/nothing", { ":method": "GET" })).toMatchObject({ status: 404 });
		expect(await client.answer("/healthz", { ":method": "POST" })).toMatchObject({ status: 405 });
	});

	it("keeps the session's number of streams, and its connections count one by one", async () => {
		const { origin } = await listen({ limits: { maxStreams: 7, maxConnections: 2 } });
		const client = session(origin);
		await client.open("/connect");
		expect(client.http2.remoteSettings.maxConcurrentStreams).toBe(7);
		await client.open("/connect");
		expect(await client.answer("/connect")).toMatchObject({ status: 429 });
	});

	it("forgets a client that resets its stream while it is asked who it is", async () => {
		const asked = Promise.withResolvers<void>();
		const known = Promise.withResolvers<void>();
		const { server, origin } = await listen({
			authenticate: async () => {
				asked.resolve();
				await known.promise;
				return { id: "ann" };
			},
		});
		const client = session(origin);
		const stream = await client.ask("/connect?channel=a");
		await asked.promise;
		stream.close(8);
		await once(stream, "close");
		known.resolve();
		await client.open("/connect?channel=b");
		expect(server.connections).toBe(1);
	});

	it("rapid reset (CVE-2023-44487): ends a session whose streams ask for work and are reset, and no other", async () => {
		let asked = 0;
		let next = Promise.withResolvers<void>();
		const { server, origin } = await listen({
			authenticate: ({ token }) => {
				if (token === "bystander") {
					return { id: "ann" };
				}
				asked++;
				next.resolve();
				return new Promise(() => {});
			},
		});
		const bystander = await session(origin).open("/connect?channel=a&token=bystander");
		const attacker = session(origin);
		const ended = once(attacker.http2, "goaway");
		let over = false;
		const end = ended.then(() => {
			over = true;
		});
		while (!over && asked < 2_000) {
			next = Promise.withResolvers<void>();
			const stream = await attacker.ask("/connect?channel=a");
			await Promise.race([next.promise, end]);
			stream.close(8);
		}
		expect(asked).toBeLessThan(1_000);
		await attacker.closed;
		await server.channel("a").publish(1);
		expect(await bystander.next()).toBe("1");
	});

	it("one that does not read holds up no sibling in its session, and gets what it missed", async () => {
		const { server, origin } = await listen();
		const client = session(origin);
		const deaf = await client.open("/connect?channel=a");
		const sibling = await client.open("/connect?channel=a");
		deaf.stream.pause();
		const filler = "x".repeat(32 * 1024);
		for (let n = 0; n < 30; n++) {
			await server.channel("a").publish({ n, filler });
			expect(JSON.parse(await sibling.next())).toMatchObject({ n });
		}
		deaf.stream.resume();
		for (let n = 0; n < 30; n++) {
			expect(JSON.parse(await deaf.next())).toMatchObject({ n });
		}
	});

	it("says goodbye to each connection and to the session when it closes", async () => {
		const { server, origin } = await listen();
		const client = session(origin);
		const first = await client.open("/connect?channel=a");
		const second = await client.open("/connect?channel=b");
		const goaway = once(client.http2, "goaway");
		await server.close();
		expect(await Promise.all([first.closed, second.closed])).toEqual([
			[1012, "this node is going away"],
			[1012, "this node is going away"],
		]);
		await goaway;
		await client.closed;
	});
});

describe("an application's HTTP/2 server", () => {
	async function started<S extends Http2Server>(http: S, scheme: string): Promise<string> {
		http.listen(0, "127.0.0.1");
		await once(http, "listening");
		cleanups.push(() => {
			http.close();
			return once(http, "close");
		});
		return `${scheme}://127.0.0.1:${(http.address() as AddressInfo).port}`;
	}

	it("with TLS and allowHTTP1: our paths are ours both ways, all else stays the application's", async () => {
		const { server } = newServer();
		const http = createSecureServer({ ...pem("first"), allowHTTP1: true }, (request, response) => {
			response.end(`page by ${request.httpVersion}`);
		});
		const origin = await started(server.attach(http), "https");
		const client = session(origin);
		const byHttp2 = await client.open("/connect?channel=a");
		const byHttp1 = await wss(Number(new URL(origin).port), "/connect?channel=a");
		const both = Promise.all([byHttp2.next(), nextOf(byHttp1)]);
		await server.channel("a").publish(1);
		expect(await both).toEqual(["1", "1"]);

		expect(await client.answer("/page", { ":method": "GET" })).toMatchObject({ status: 200, body: "page by 2.0" });
		// Node's own answer to a CONNECT that the application does not know.
		expect(await client.answer("/other")).toMatchObject({ status: 405 });
		byHttp1.terminate();
	});

	it("without TLS, with streams of its own: it sees none of ours, and all others", async () => {
		const { server } = newServer();
		const http = createH2cServer();
		const seen: unknown[] = [];
		http.on("stream", (stream, headers) => {
			seen.push(headers[":path"]);
			stream.respond({ ":status": 418 });
			stream.end("mine");
		});
		const client = session(await started(server.attach(http), "http"));
		await client.open("/connect?channel=a");
		expect(await client.answer("/chat")).toMatchObject({ status: 418, body: "mine" });
		expect(seen).toEqual(["/chat"]);
	});

	it("that nobody else listens to: a WebSocket at another path is refused instead of left waiting", async () => {
		const { server } = newServer();
		const client = session(await started(server.attach(createH2cServer()), "http"));
		expect(await client.answer("/chat")).toMatchObject({ status: 404 });
		await client.open("/connect");
	});

	it("is given back when Tidewire closes", async () => {
		const { server } = newServer();
		const http = createH2cServer((_, response) => void response.end("page"));
		const client = session(await started(server.attach(http), "http"));
		await server.close();
		expect(await client.answer("/connect")).toMatchObject({ status: 405 });
		expect(await client.answer("/", { ":method": "GET" })).toMatchObject({ body: "page" });
	});
});
