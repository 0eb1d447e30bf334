import { describe, expect, it } from "vitest";
import { createServer } from "../src/server.ts";
import { Client, enveloped, JSON_PROTOCOL, OPEN, open, plain, Raw, refusal, run } from "./client.ts";

describe("listening", () => {
	it("answers what is not WebSocket, and says whether it is well", async () => {
		const { listening } = await open();
		const get = async (path: string, init?: RequestInit) => (await fetch(`${listening.url}${path}`, init)).status;
		expect([
			await get("/connect"),
			await get("/healthz"),
			await get("/readyz"),
			await get("/nothing"),
			await get("/healthz", { method: "POST" }),
		]).toEqual([426, 200, 200, 404, 405]);
	});

	it("on a port that is taken fails with the port in its words", async () => {
		const { listening } = await open();
		const second = createServer(undefined, OPEN);
		await expect(second.listen({ port: listening.port })).rejects.toMatchObject({
			name: "ServerError",
			code: "cannot_listen",
			message: expect.stringContaining(`:${listening.port}`),
		});
		await second.close();
	});

	it.each([
		["a limit of nothing", { limits: { maxCalls: 0 } }],
		["a limit that is no number", { limits: { maxMessageBytes: Number.NaN } }],
		["a heartbeat that goes backwards", { heartbeat: { intervalMs: -1 } }],
		["a path without its slash", { path: "connect" }],
	])("with %s is refused at the start", (_, options) => {
		expect(() => createServer(undefined, options)).toThrow(expect.objectContaining({ code: "bad_option" }));
	});
});

describe("closing", () => {
	it("says goodbye: a hint to enveloped clients, 1012 to all, and nothing is left", async () => {
		const { server, url } = await open();
		const [bare, full] = [await plain(`${url}/connect?channel=a`), await enveloped(`${url}/connect`)];
		await server.close();
		expect(await full.next()).toEqual({ reconnect: { after: expect.any(Number), reason: "drain" } });
		expect(await full.closed).toMatchObject({ code: 1012 });
		expect(await bare.closed).toMatchObject({ code: 1012 });
		expect(server.connections).toBe(0);
		expect(() => server.channel("a")).toThrow(expect.objectContaining({ code: "closed" }));
		await expect(server.listen({ port: 0 })).rejects.toMatchObject({ code: "closed" });
	});

	it("drained: new clients get 503 and when to come back, those that are here go bit by bit", async () => {
		const { server, url, listening } = await open();
		const clients = await Promise.all(Array.from({ length: 15 }, () => plain(`${url}/connect`)));
		const closing = server.close({ drainMs: 1_000_000 });
		expect((await fetch(`${listening.url}/readyz`)).status).toBe(503);
		const raw = new Raw(url);
		const head = await raw.upgrade();
		expect(head).toMatch(/^HTTP\/1\.1 503 /);
		expect(head).toMatch(/retry-after: \d/);
		expect(await refusal(`${url}/connect`, { protocols: [JSON_PROTOCOL] })).toMatchObject({ status: 503 });
		// Ten at a time; the rest still has its connection.
		expect(server.connections).toBe(5);
		// A second call does not wait any longer.
		void server.close();
		expect(await Promise.all(clients.map(({ closed }) => closed))).toHaveLength(15);
		await closing;
	});

	it("lets in nobody who was still being asked who they are", async () => {
		const asked = Promise.withResolvers<void>();
		const answer = Promise.withResolvers<{ id: string }>();
		const { server, url } = await open({
			authenticate: () => {
				asked.resolve();
				return answer.promise;
			},
		});
		const late = refusal(`${url}/connect?token=x`);
		await asked.promise;
		const closing = server.close();
		answer.resolve({ id: "ann" });
		expect(await late).toMatchObject({ status: 503 });
		await closing;
		expect(server.connections).toBe(0);
	});

	it("writes what was published before it", async () => {
		const { server, url } = await open();
		const client = await plain(`${url}/connect?channel=a`);
		await server.channel("a").publish("last words");
		void server.close();
		expect(await client.frame()).toBe('"last words"');
		expect(await client.closed).toMatchObject({ code: 1012 });
	});

	it("twice, or without ever having listened, is no mistake", async () => {
		const server = createServer(undefined, OPEN);
		await Promise.all([server.close(), server.close()]);
		await server.close();
	});

	it("aborts what actions have at work", async () => {
		const started = Promise.withResolvers<void>();
		const aborted = Promise.withResolvers<void>();
		const { server, url } = await open({
			may: { call: { wait: true } },
			actions: {
				wait: ({ signal }) => {
					started.resolve();
					signal.addEventListener("abort", () => aborted.resolve());
					return aborted.promise;
				},
			},
		});
		const client = await new Client(`${url}/connect`, JSON_PROTOCOL).opened();
		client.send({ id: 1, action: "wait" });
		await started.promise;
		await server.close();
		await aborted.promise;
	});

	it("while listen is under way leaves no port open", async () => {
		const server = createServer(undefined, OPEN);
		const listening = server.listen({ port: 0 });
		const closing = server.close();
		await expect(listening).rejects.toMatchObject({ code: "closed" });
		await closing;
	});
});

describe("publishing from the application", () => {
	it("answers with the position, and knows repeats and conflicts", async () => {
		const { server } = await run(createServer(undefined, OPEN));
		const a = server.channel("a");
		const first = await a.publish(1, { idempotencyKey: "k" });
		expect(await a.publish(1, { idempotencyKey: "k" })).toBe(first);
		const second = await a.publish(2, { ifPosition: first });
		expect(second).toMatch(/:2$/);
		await expect(a.publish(3, { ifPosition: first })).rejects.toMatchObject({ code: "conflict" });
	});

	it.each(["", "@user", "$x", "a\nb", "x".repeat(201)])("refuses the channel %j", async (name) => {
		const { server } = await run(createServer(undefined, OPEN));
		expect(() => server.channel(name)).toThrow(expect.objectContaining({ code: "invalid_data" }));
	});

	it("refuses what has no JSON", async () => {
		const { server } = await run(createServer(undefined, OPEN));
		for (const data of [undefined, 1n, () => {}]) {
			await expect(server.channel("a").publish(data)).rejects.toThrow(TypeError);
		}
	});
});
