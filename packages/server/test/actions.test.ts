import { action, channel, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ActionError, type ActionHandlers } from "../src/action-handler.ts";
import type { User } from "../src/auth/caller.ts";
import { SILENT } from "../src/observe/log.ts";
import type { ServerOptions } from "../src/options.ts";
import { createServer } from "../src/server.ts";
import { Client, enveloped, MSGPACK_PROTOCOL, open, plain, type Running, run } from "./client.ts";

function withActions(actions: ActionHandlers<never, User>, more: Partial<ServerOptions> = {}): Promise<Running> {
	const call = Object.fromEntries(Object.keys(actions).map((name) => [name, true]));
	return open({ log: SILENT, ...more, actions: actions as never, may: { call } });
}

describe("an action", () => {
	it("gets all fields but id and action, and answers with an ack when its handler is done", async () => {
		const inputs: unknown[] = [];
		const { url } = await withActions({
			tell: ({ input }) => {
				inputs.push(input);
			},
		});
		const client = await enveloped(`${url}/connect`);
		client.send({ id: "msg_123", action: "tell", message: "hi", n: 1 });
		expect(await client.frame()).toBe('{"ack":"msg_123"}');
		client.send({ id: 2, action: "tell", input: [1], ignored: true });
		expect(await client.frame()).toBe('{"ack":2}');
		expect(inputs).toEqual([{ message: "hi", n: 1 }, [1]]);
	});

	it("answers with what its handler returns", async () => {
		const { url } = await withActions({ add: ({ input }) => ({ sum: (input as { a: number }).a + 1 }) });
		const client = await enveloped(`${url}/connect`);
		expect(await client.ask({ action: "add", a: 1 })).toMatchObject({ data: { sum: 2 } });
	});

	it("does not hold up what comes behind it", async () => {
		const { promise, resolve } = Promise.withResolvers<string>();
		const { url } = await withActions({ slow: () => promise, quick: () => "quick" });
		const client = await enveloped(`${url}/connect`);
		client.send({ id: 1, action: "slow" });
		expect(await client.ask({ id: 2, action: "quick" })).toEqual({ ack: 2, data: "quick" });
		resolve("slow");
		expect(await client.next()).toEqual({ ack: 1, data: "slow" });
	});

	it("is checked against its schema on the way in, and on the way out", async () => {
		const declared = contract({
			channels: { a: channel() },
			actions: {
				double: action({ input: z.object({ n: z.coerce.number() }), output: z.object({ n: z.number() }) }),
				wrong: action({ output: z.object({ n: z.number() }) }),
				big: action({ output: z.number().transform((n) => BigInt(n)) }),
				small: action({ input: z.unknown(), maxMessageBytes: 10 }),
			},
		});
		const logged: string[] = [];
		const { url } = await run(
			createServer(declared, {
				log: { info() {}, warn() {}, error: (text) => logged.push(text) },
				may: { call: { double: true, wrong: true, big: true, small: true } },
				actions: {
					double: ({ input }) => ({ n: input.n * 2 }),
					wrong: () => JSON.parse('{"n":"secret"}') as { n: number },
					big: () => 1,
					small: () => undefined,
				},
			}),
		);
		const client = await enveloped(`${url}/connect`);
		expect(await client.ask({ action: "double", n: "21" })).toMatchObject({ data: { n: 42 } });
		expect(await client.ask({ action: "double", n: {} })).toMatchObject({
			error: { code: "invalid_data", issues: [{ path: ["n"] }] },
		});
		for (const broken of ["wrong", "big"]) {
			const { error } = await client.ask({ action: broken });
			expect(error).toEqual({ code: "internal", message: `action "${broken}" failed` });
		}
		expect(logged).toHaveLength(2);
		expect(await client.ask({ action: "small", input: "x".repeat(20) })).toMatchObject({
			error: { code: "too_large" },
		});
	});

	it("that cannot be answered in JSON costs an error, in every encoding, not the process", async () => {
		const cycle: { self?: unknown } = {};
		cycle.self = cycle;
		const { msgpackClient } = await import("@tidewire/protocol/msgpack");
		const { url } = await withActions({
			cycle: () => cycle,
			bigint: () => ({ n: 1n }),
			function: () => () => {},
			date: () => ({ at: new Date(0), not: undefined, nan: Number.NaN }),
		} as never);
		const json = await enveloped(`${url}/connect`);
		const packed = await new Client(`${url}/connect`, MSGPACK_PROTOCOL).opened();
		await packed.next();
		const call = async (name: string) => {
			packed.send(msgpackClient.encode({ type: "call", id: name, action: name, input: {} }) as Uint8Array);
			return [await json.ask({ id: name, action: name }), await packed.next()];
		};
		for (const name of ["cycle", "bigint", "function"]) {
			const error = { ack: name, error: { code: "internal", message: `action "${name}" failed` } };
			expect(await call(name)).toEqual([error, error]);
		}
		const dated = { ack: "date", data: { at: "1970-01-01T00:00:00.000Z", nan: null } };
		expect(await call("date")).toEqual([dated, dated]);
	});

	it("that fails tells nothing of why; one that refuses tells its reason", async () => {
		const { url } = await withActions({
			fails: () => {
				throw new Error("password of the database");
			},
			failsLater: () => Promise.reject(new Error("password of the database")),
			refuses: () => {
				throw new ActionError("conflict", "the driver is busy", { retryAfter: 3 });
			},
		});
		const client = await enveloped(`${url}/connect`);
		expect((await client.ask({ action: "fails" })).error).toEqual({
			code: "internal",
			message: 'action "fails" failed',
		});
		expect((await client.ask({ action: "failsLater" })).error).toEqual({
			code: "internal",
			message: 'action "failsLater" failed',
		});
		expect((await client.ask({ action: "refuses" })).error).toEqual({
			code: "conflict",
			message: "the driver is busy",
			retryAfter: 3,
		});
	});

	it("without an id answers failures only", async () => {
		const { url } = await withActions({
			fine: () => 1,
			fails: () => {
				throw new Error("x");
			},
		});
		const client = await enveloped(`${url}/connect`);
		client.send({ action: "fine" });
		await client.nothingElse();
		client.send({ action: "fails" });
		expect(await client.next()).toEqual({ error: { code: "internal", message: 'action "fails" failed' } });
	});

	it("that nobody allowed is forbidden to the anonymous, and open to users", async () => {
		const { url } = await open({
			authenticate: ({ token }) => ({ id: token ?? "" }),
			actions: { ring: () => "rung" } as never,
		});
		const user = await enveloped(`${url}/connect?token=ann`);
		expect(await user.ask({ action: "ring" })).toMatchObject({ data: "rung" });
		const { url: other } = await open({ actions: { ring: () => "rung" } as never });
		const anonymous = await enveloped(`${other}/connect`);
		expect(await anonymous.ask({ action: "ring" })).toMatchObject({ error: { code: "forbidden" } });
	});
});

describe("performed once", () => {
	it("per id: a repeat gets the first reply, also while the first is at work", async () => {
		let calls = 0;
		const { promise, resolve } = Promise.withResolvers<void>();
		const { url } = await withActions({
			count: async () => {
				calls++;
				await promise;
				return calls;
			},
		});
		const client = await enveloped(`${url}/connect`);
		client.send({ id: "x", action: "count" });
		client.send({ id: "x", action: "count" });
		await client.nothingElse();
		resolve();
		expect([await client.next(), await client.next()]).toEqual([
			{ ack: "x", data: 1 },
			{ ack: "x", data: 1 },
		]);
		expect(await client.ask({ id: "x", action: "count" })).toEqual({ ack: "x", data: 1 });
		expect(await client.ask({ id: "y", action: "count" })).toEqual({ ack: "y", data: 2 });
	});

	it("anew after a retryable failure", async () => {
		let calls = 0;
		const { url } = await withActions({
			flaky: () => {
				calls++;
				if (calls === 1) {
					throw new ActionError("unavailable", "later");
				}
				return calls;
			},
		});
		const client = await enveloped(`${url}/connect`);
		expect(await client.ask({ id: 1, action: "flaky" })).toMatchObject({ error: { retryable: true } });
		expect(await client.ask({ id: 1, action: "flaky" })).toEqual({ ack: 1, data: 2 });
	});

	it("S42: who comes back under new sessions all the time fills their own share of what is remembered, not others'", async () => {
		const { url } = await withActions(
			{ big: () => "x".repeat(10_000) },
			{ limits: { maxRememberedBytes: 160_000 }, authenticate: ({ token }) => ({ id: token ?? "nobody" }) },
		);
		const callOnce = async (token: string): Promise<unknown> => {
			const client = await enveloped(`${url}/connect`, { headers: { authorization: `Bearer ${token}` } });
			const reply = await client.ask({ id: 1, action: "big" });
			client.socket.close();
			await client.closed;
			return reply;
		};
		expect(await callOnce("mallory")).toHaveProperty("data");
		expect(await callOnce("mallory")).toHaveProperty("data");
		expect(await callOnce("mallory")).toMatchObject({ error: { code: "rate_limited", retryAfter: 300 } });
		expect(await callOnce("ann")).toHaveProperty("data");
	});

	it("ids of anonymous plain clients are only echoed: two of them may use the same", async () => {
		let calls = 0;
		const { url } = await withActions({ count: () => ++calls });
		const [one, two] = [await plain(`${url}/connect`), await plain(`${url}/connect`)];
		expect(await one.ask({ id: "x", action: "count" })).toEqual({ ack: "x", data: 1 });
		expect(await two.ask({ id: "x", action: "count" })).toEqual({ ack: "x", data: 2 });
	});
});

describe("a streaming reply", () => {
	it("comes in order, ended by the ack with what the generator returns", async () => {
		const { url } = await withActions({
			async *count() {
				yield "a";
				yield "b";
				return "end";
			},
		} as never);
		const client = await enveloped(`${url}/connect`);
		client.send({ id: 7, action: "count" });
		expect([await client.next(), await client.next(), await client.next()]).toEqual([
			{ reply: 7, seq: 0, data: "a" },
			{ reply: 7, seq: 1, data: "b" },
			{ ack: 7, data: "end" },
		]);
	});

	it("is ended by cancel, also where the generator waits for something else", async () => {
		const aborted = Promise.withResolvers<void>();
		const { url } = await withActions({
			async *ticks({ signal }: { signal: AbortSignal }) {
				signal.addEventListener("abort", () => aborted.resolve());
				yield 1;
				await new Promise(() => {});
			},
		} as never);
		const client = await enveloped(`${url}/connect`);
		client.send({ id: 1, action: "ticks" });
		expect(await client.next()).toMatchObject({ seq: 0 });
		client.send({ id: 2, action: "cancel", of: 1 });
		const both = [await client.next(), await client.next()];
		expect(both).toContainEqual({ ack: 2 });
		expect(both).toContainEqual({ ack: 1 });
		await aborted.promise;
	});

	it("is aborted when its caller is gone", async () => {
		const aborted = Promise.withResolvers<void>();
		const { url } = await withActions({
			async *ticks({ signal }: { signal: AbortSignal }) {
				signal.addEventListener("abort", () => aborted.resolve());
				yield 1;
				await new Promise(() => {});
			},
		} as never);
		const client = await enveloped(`${url}/connect`);
		client.send({ id: 1, action: "ticks" });
		await client.next();
		client.socket.terminate();
		await aborted.promise;
	});

	it("is one of several with its id: cancel ends them all, and so does the end of their caller", async () => {
		const aborted = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
		let begun = 0;
		const { url } = await withActions({
			never: ({ signal }) => {
				const end = aborted[begun++]!;
				return new Promise((resolve) => {
					signal.addEventListener("abort", () => {
						end.resolve();
						resolve("aborted");
					});
				});
			},
		});
		const client = await plain(`${url}/connect`);
		client.send({ id: 1, action: "never" });
		client.send({ id: 1, action: "never" });
		client.send({ id: "1", action: "never" });
		client.send({ action: "cancel", of: 1 });
		const ack = { ack: 1, data: "aborted" };
		expect([await client.next(), await client.next()]).toEqual([ack, ack]);
		await client.nothingElse();
		client.socket.terminate();
		await Promise.all(aborted.map(({ promise }) => promise));
	});
});

describe("S42: calls at work", () => {
	it.each([
		["have one id", '{"id":"same","action":"never"}'],
		["have none", '{"action":"never"}'],
	])(
		"are no more than a connection may have, also where all %s, as an anonymous plain client's may",
		async (_, one) => {
			let calls = 0;
			const { url } = await withActions(
				{
					never: () => {
						calls++;
						return new Promise(() => {});
					},
				},
				{ limits: { maxCalls: 3 } },
			);
			const client = await plain(`${url}/connect`);
			for (let count = 0; count < 50; count++) {
				client.send(one);
			}
			for (let count = 0; count < 47; count++) {
				expect(await client.next()).toMatchObject({ error: { code: "limit_reached", retryable: true } });
			}
			expect(calls).toBe(3);
		},
	);

	it("are also repeats of one: each waits for its reply, and a flood of them is refused, retryable", async () => {
		let calls = 0;
		const { promise, resolve } = Promise.withResolvers<void>();
		const { url } = await withActions(
			{
				slow: async () => {
					calls++;
					await promise;
					return "x".repeat(1_000);
				},
			},
			{ limits: { maxCalls: 3 } },
		);
		const client = await enveloped(`${url}/connect`);
		for (let count = 0; count < 1_000; count++) {
			client.send({ id: 1, action: "slow" });
		}
		for (let count = 0; count < 997; count++) {
			expect(await client.next()).toMatchObject({ ack: 1, error: { code: "limit_reached", retryable: true } });
		}
		resolve();
		const ack = { ack: 1, data: "x".repeat(1_000) };
		expect([await client.next(), await client.next(), await client.next()]).toEqual([ack, ack, ack]);
		await client.nothingElse();
		expect(calls).toBe(1);
	});

	it("do not keep a repeat of one that is done from its reply", async () => {
		const { url } = await withActions(
			{ never: () => new Promise(() => {}), done: () => "done" },
			{ limits: { maxCalls: 1 } },
		);
		const client = await enveloped(`${url}/connect`);
		const ack = await client.ask({ id: 1, action: "done" });
		client.send({ id: 2, action: "never" });
		expect(await client.ask({ id: 1, action: "done" })).toEqual(ack);
	});

	it("beyond the limit are refused, retryable", async () => {
		const { url } = await withActions({ never: () => new Promise(() => {}) }, { limits: { maxCalls: 3 } });
		const client = await enveloped(`${url}/connect`);
		for (const id of [1, 2, 3]) {
			client.send({ id, action: "never" });
		}
		expect(await client.ask({ id: 4, action: "never" })).toMatchObject({
			error: { code: "limit_reached", retryable: true },
		});
		client.send({ id: 5, action: "cancel", of: 99 });
		expect(await client.next()).toEqual({ ack: 5 });
	});
});

describe("handlers and declarations are held against each other at the start", () => {
	const declared = contract({ channels: {}, actions: { ring: action() } });

	it("a declared action without a handler", () => {
		expect(() => createServer(declared, { actions: {} as never })).toThrow(/"ring"/);
	});

	it("a handler that the contract does not declare", () => {
		expect(() => createServer(declared, { actions: { ring() {}, sing() {} } as never })).toThrow(/"sing"/);
	});
});
