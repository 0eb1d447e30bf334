import { channel, contract } from "@tidewire/contract";
import { describe, expect, it, vi } from "vitest";
import type { Credentials } from "../src/auth/credentials.ts";
import { SILENT } from "../src/observe/log.ts";
import type { ServerOptions } from "../src/options.ts";
import { createServer } from "../src/server.ts";
import {
	API_KEY,
	afterwards,
	Client,
	enveloped,
	JSON_PROTOCOL,
	OPEN,
	open,
	plain,
	Raw,
	refusal,
	request,
	run,
} from "./client.ts";

const USERS: Readonly<Record<string, string>> = {
	"token-of-ann": "ann",
	"token-of-bob": "bob",
	"second-of-ann": "ann",
};

function verify({ token, cookies }: Credentials): { readonly id: string } | null {
	const id = USERS[token ?? cookies.session ?? ""];
	return id === undefined ? null : { id };
}

function raise(text: string): never {
	throw new Error(text);
}

const GUARDED: ServerOptions = {
	authenticate: verify,
	may: {
		subscribe: { "*": ({ user, channel: name }) => name === `of_${user?.id}` },
		publish: { "*": ({ user }) => user !== null },
	},
};

describe("the secure default: nobody may do anything", () => {
	it("but whoever holds the API key", async () => {
		const { url } = await open({ apiKey: API_KEY });
		const anybody = await enveloped(`${url}/connect`);
		expect(await anybody.ask({ action: "subscribe", channel: "a" })).toMatchObject({ error: { code: "forbidden" } });
		expect(await anybody.ask({ action: "publish", channel: "a", data: 1 })).toMatchObject({
			error: { code: "forbidden" },
		});
		expect(await anybody.ask({ action: "history", channel: "a" })).toMatchObject({ error: { code: "forbidden" } });
		expect(await refusal(`${url}/connect?channel=a`)).toMatchObject({ status: 403 });

		const backend = await enveloped(`${url}/connect`, { headers: { authorization: `Bearer ${API_KEY}` } });
		expect(await backend.ask({ action: "subscribe", channel: "a" })).not.toHaveProperty("error");
		expect(await backend.ask({ action: "publish", channel: "a", data: 1 })).toHaveProperty("position");
		expect(await anybody.ask({ action: "auth", token: API_KEY })).not.toHaveProperty("error");
		expect(await anybody.ask({ action: "subscribe", channel: "a" })).not.toHaveProperty("error");
	});

	it("nor with a key that is wrong, by a letter or a length", async () => {
		const { url } = await open({ apiKey: API_KEY });
		for (const token of [`${API_KEY}x`, API_KEY.slice(1), "x"]) {
			expect(await refusal(`${url}/connect?token=${encodeURIComponent(token)}`)).toMatchObject({ status: 401 });
		}
	});

	it("and a key that is short is refused at the start", () => {
		expect(() => createServer(undefined, { apiKey: "short" })).toThrow(/apiKey/);
	});
});

describe("credentials", () => {
	it.each([
		["as a bearer token", "", { headers: { authorization: "Bearer token-of-ann" } }],
		["in any case of Bearer", "", { headers: { authorization: "bearer  token-of-ann" } }],
		["in the query", "&token=token-of-ann", {}],
	])("%s", async (_, query, options) => {
		const { url, server } = await open(GUARDED);
		const client = await plain(`${url}/connect?channel=of_ann${query}`, options);
		await server.channel("of_ann").publish(1);
		expect(await client.frame()).toBe("1");
	});

	it("that are missing or wrong: 401 for plain, before the upgrade", async () => {
		const { url, server } = await open(GUARDED);
		expect(await refusal(`${url}/connect`)).toMatchObject({ status: 401 });
		expect(await refusal(`${url}/connect?token=nobody`)).toMatchObject({ status: 401 });
		expect(await refusal(`${url}/connect?channel=of_bob&token=token-of-ann`)).toMatchObject({ status: 403 });
		expect(server.connections).toBe(0);
	});

	it("that are wrong: an upgrade and 4001 for enveloped, since browsers cannot see a status", async () => {
		const { url, server } = await open(GUARDED);
		const client = await new Client(`${url}/connect?token=nobody`, JSON_PROTOCOL).opened();
		expect(await client.closed).toMatchObject({ code: 4001 });
		expect(server.connections).toBe(0);
	});

	it("S28: nothing but auth and ping before them", async () => {
		const { url } = await open(GUARDED);
		const client = await enveloped(`${url}/connect`);
		for (const message of [
			{ action: "subscribe", channel: "of_ann" },
			{ action: "publish", channel: "of_ann", data: 1 },
			{ action: "history", channel: "of_ann" },
			{ action: "resume", token: "x" },
			{ action: "anything" },
		]) {
			expect(await client.ask(message)).toMatchObject({ error: { code: "unauthenticated" } });
		}
		expect(await client.ask({ action: "ping" })).not.toHaveProperty("error");
	});

	it("in band: then all is performed that was sent behind them", async () => {
		const { url, server } = await open(GUARDED);
		const client = await enveloped(`${url}/connect`);
		client.send({ id: 1, action: "auth", token: "token-of-ann" });
		client.send({ id: 2, action: "subscribe", channel: "of_ann" });
		expect(await client.next()).toEqual({ ack: 1, user: "ann" });
		expect(await client.next()).toMatchObject({ ack: 2, channel: "of_ann" });
		await server.channel("of_ann").publish(1);
		expect(await client.next()).toMatchObject({ data: 1 });
	});

	it("in band and wrong: the answer, then 4001", async () => {
		const { url } = await open(GUARDED);
		const client = await enveloped(`${url}/connect`);
		client.send({ id: 1, action: "auth", token: "nobody" });
		expect(await client.next()).toMatchObject({ ack: 1, error: { code: "unauthenticated" } });
		expect(await client.closed).toMatchObject({ code: 4001 });
	});

	it("in band, but never: 4001 after the handshake's time", async () => {
		const { url } = await open({ ...GUARDED, limits: { handshakeTimeoutMs: 30 } });
		const client = await enveloped(`${url}/connect`);
		expect(await client.closed).toMatchObject({ code: 4001 });
	});

	it("refreshed: a good one stays the same user; a bad one changes nothing; another user's is forbidden", async () => {
		const { url } = await open(GUARDED);
		const client = await enveloped(`${url}/connect?token=token-of-ann`);
		expect(await client.ask({ action: "auth", token: "second-of-ann" })).toMatchObject({ user: "ann" });
		expect(await client.ask({ action: "auth", token: "nobody" })).toMatchObject({
			error: { code: "unauthenticated" },
		});
		expect(await client.ask({ action: "auth", token: "token-of-bob" })).toMatchObject({ error: { code: "forbidden" } });
		expect(await client.ask({ action: "subscribe", channel: "of_ann" })).not.toHaveProperty("error");
	});

	it.each([
		["returns a user without an id", () => ({}) as { id: string }],
		["returns a user with an empty id", () => ({ id: "" })],
	])("nobody's, where authenticate %s", async (_, authenticate) => {
		const logged: unknown[] = [];
		const log = { info() {}, warn() {}, error: (...all: unknown[]) => logged.push(all) };
		const { url } = await open({ authenticate, log });
		const { status, body } = await refusal(`${url}/connect?token=x`);
		expect([status, body.includes("secret"), logged.length]).toEqual([401, false, 1]);
	});

	it("that nobody can judge, as authenticate throws: come back later, by status or close code, and not 4001", async () => {
		const log = { ...SILENT, error: vi.fn() };
		const failing = [() => Promise.reject(new Error("secret of the database")), () => raise("secret of the database")];
		for (const authenticate of failing) {
			const { url } = await open({ authenticate, log });
			const { status, retryAfter, body } = await refusal(`${url}/connect?token=x`);
			expect([status, retryAfter, body.includes("secret")]).toEqual([503, "2", false]);
			const client = await new Client(`${url}/connect?token=x`, JSON_PROTOCOL).opened();
			expect(await client.closed).toEqual({ code: 1013, reason: expect.not.stringContaining("secret") });
		}
		expect(log.error).toHaveBeenCalledTimes(4);
	});

	it("in band while authenticate throws: unavailable, and the connection stays what it was", async () => {
		let down = true;
		const authenticate = async (credentials: Credentials) =>
			down && credentials.token !== undefined ? raise("secret of the database") : verify(credentials);
		const { url } = await open({ ...GUARDED, authenticate, log: SILENT });
		const client = await enveloped(`${url}/connect`);
		const unavailable = { error: { code: "unavailable", retryable: true } };
		expect(await client.ask({ action: "auth", token: "token-of-ann" })).toMatchObject(unavailable);
		expect(await client.ask({ action: "subscribe", channel: "of_ann" })).toMatchObject({
			error: { code: "unauthenticated" },
		});
		down = false;
		expect(await client.ask({ action: "auth", token: "token-of-ann" })).toMatchObject({ user: "ann" });
		down = true;
		expect(await client.ask({ action: "auth", token: "second-of-ann" })).toMatchObject(unavailable);
		expect(await client.ask({ action: "subscribe", channel: "of_ann" })).not.toHaveProperty("error");
	});

	it("in band while authenticate throws or hangs: after the handshake's time 1013, for the client did its part", async () => {
		for (const outage of [() => raise("secret"), () => new Promise<never>(() => {})]) {
			const authenticate = async ({ token }: Credentials) => (token === undefined ? null : outage());
			const { url } = await open({ authenticate, log: SILENT, limits: { handshakeTimeoutMs: 30 } });
			const client = await enveloped(`${url}/connect`);
			client.send({ action: "auth", token: "token-of-ann" });
			expect(await client.closed).toMatchObject({ code: 1013 });
		}
	});

	it("the watch over them ends with the connection, and holds nothing that is gone", async () => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		afterwards(() => vi.useRealTimers());
		const { url, server } = await open(GUARDED);
		const raw = new Raw(url);
		await raw.upgrade("/connect", { "Sec-WebSocket-Protocol": JSON_PROTOCOL });
		expect([server.connections, vi.getTimerCount()]).toEqual([1, 1]);
		raw.socket.destroy();
		await vi.waitUntil(() => server.connections === 0, { interval: 1 });
		expect(vi.getTimerCount()).toBe(0);
	});

	it("the user's id stands on what they publish", async () => {
		const { url } = await open(GUARDED);
		const ann = await enveloped(`${url}/connect?token=token-of-ann`);
		await ann.ask({ action: "subscribe", channel: "of_ann" });
		ann.send({ action: "publish", channel: "of_ann", data: 1, from: "bob" });
		const both = [await ann.next()];
		expect(both).toEqual([{ channel: "of_ann", offset: 1, from: "ann", data: 1 }]);
	});
});

describe("a rule that throws is a no for now, which may be asked again", () => {
	it("subscribe, call, and a plain client's path", async () => {
		const { url } = await open({
			may: { subscribe: { "*": () => raise("secret") }, call: { go: () => raise("secret") } },
			actions: { go: () => 1 },
			log: SILENT,
		});
		const client = await enveloped(`${url}/connect`);
		for (const message of [{ action: "subscribe", channel: "a" }, { action: "go" }]) {
			expect(await client.ask(message)).toMatchObject({
				error: { code: "unavailable", retryable: true, message: expect.not.stringContaining("secret") },
			});
		}
		expect(await refusal(`${url}/connect?channel=a`)).toMatchObject({ status: 503, retryAfter: "2" });
	});
});

describe("S7: cookies count only together with an allowed origin", () => {
	const options: ServerOptions = { ...GUARDED, allowedOrigins: ["https://app.example.com"] };
	const cookie = "session=token-of-ann";

	it("of a listed page, and of the server's own", async () => {
		const { url, listening } = await open(options);
		for (const origin of ["https://app.example.com", listening.url]) {
			await plain(`${url}/connect?channel=of_ann`, { headers: { cookie, origin } });
		}
	});

	it("not without an origin, nor by way of the headers", async () => {
		const seen: Credentials[] = [];
		const authenticate = (credentials: Credentials) => {
			seen.push(credentials);
			return verify(credentials);
		};
		const { url } = await open({ ...options, authenticate });
		expect(await refusal(`${url}/connect`, { headers: { cookie } })).toMatchObject({ status: 401 });
		expect([seen[0]?.cookies.session, seen[0]?.headers.cookie]).toEqual([undefined, undefined]);
	});

	it.each(["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"])(
		"a page of %s may not even connect",
		async (origin) => {
			const { url } = await open(options);
			expect(await refusal(`${url}/connect`, { headers: { cookie, origin } })).toMatchObject({ status: 403 });
			expect(await refusal(`${url}/connect?token=token-of-ann`, { headers: { origin } })).toMatchObject({
				status: 403,
			});
		},
	);

	it("under * any page may connect, but its cookies do not count", async () => {
		const { url } = await open({ ...options, allowedOrigins: "*" });
		const headers = { cookie, origin: "https://evil.example" };
		expect(await refusal(`${url}/connect`, { headers })).toMatchObject({ status: 401 });
		await plain(`${url}/connect?token=token-of-ann`, { headers });
	});

	it("an origin that no browser would send is refused at the start", () => {
		for (const origin of ["null", "https://app.example.com/", "app.example.com", "https://*.example.com"]) {
			expect(() => createServer(undefined, { allowedOrigins: [origin] })).toThrow(/allowedOrigins/);
		}
	});
});

describe("dev mode: anybody on this machine may do everything, and nobody else anything", () => {
	it("without credentials", async () => {
		const { url } = await open({ dev: true, actions: { add: ({ input }) => (input as { a: number }).a + 1 } });
		const client = await enveloped(`${url}/connect`);
		await client.ask({ action: "subscribe", channel: "a" });
		client.send({ action: "publish", channel: "a", data: 1 });
		expect(await client.next()).toMatchObject({ data: 1 });
		expect(await client.ask({ action: "add", a: 1 })).toMatchObject({ data: 2 });
	});

	it.each(["http://localhost:5173", "http://127.0.0.1", "https://[::1]:8080"])("a page of %s may", async (origin) => {
		const { url } = await open({ dev: true });
		await plain(`${url}/connect`, { headers: { origin } });
	});

	it.each(["https://evil.example", "null", "http://localhost.evil.example", "file://"])(
		"a page of %s may not",
		async (origin) => {
			const { url } = await open({ dev: true, allowedOrigins: "*" });
			expect(await refusal(`${url}/connect`, { headers: { origin } })).toMatchObject({ status: 403 });
		},
	);

	it.each(["evil.example", "evil.example:7400", "localhost.evil.example", ""])(
		"nor one that came by the name %j (DNS rebinding)",
		async (host) => {
			const { url } = await open({ dev: true });
			const raw = new Raw(url).send(request("/connect", { Host: host }));
			expect(await raw.end()).toMatch(/^HTTP\/1\.1 403 /);
		},
	);

	it.each(["0.0.0.0", "::", "192.0.2.1", "example.com"])("it does not listen on %s", async (host) => {
		await expect(createServer(undefined, { dev: true }).listen({ host, port: 0 })).rejects.toMatchObject({
			code: "cannot_listen",
		});
	});
});

describe("limits on who is here", () => {
	it("connections beyond the limit: 429 for plain, 4009 for enveloped, until one goes", async () => {
		const { url } = await open({ ...OPEN, limits: { maxConnections: 2 } });
		const [first] = [await plain(`${url}/connect`), await plain(`${url}/connect`)];
		expect(await refusal(`${url}/connect`)).toMatchObject({ status: 429 });
		const third = await new Client(`${url}/connect`, JSON_PROTOCOL).opened();
		expect(await third.closed).toMatchObject({ code: 4009 });
		first.socket.close();
		await first.closed;
		await plain(`${url}/connect`);
	});

	it("a rule's parameters are those of the pattern", async () => {
		const asked: unknown[] = [];
		const { url } = await run(
			createServer(contract({ channels: { "chat:{room}": channel() } }), {
				authenticate: verify,
				may: {
					subscribe: {
						"chat:{room}": ({ user, params, channel: name }) => {
							asked.push([user?.id, params.room, name]);
							return true;
						},
					},
				},
			}),
		);
		await plain(`${url}/connect?channel=chat:lobby&token=token-of-ann`);
		expect(asked).toEqual([["ann", "lobby", "chat:lobby"]]);
	});
});
