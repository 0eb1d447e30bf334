/** S46: sockets that break at whatever point leave nothing behind: no subscription, no connection, no open channel. */
import { type Broker, createMemoryBroker } from "@tidewire/broker";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SILENT } from "../src/observe/log.ts";
import type { ServerOptions } from "../src/options.ts";
import { createServer } from "../src/server.ts";
import { open, plain, Raw, type Running, refusal, request, run, textFrame } from "./client.ts";

/** Lets so many turns of the event loop pass. */
async function turns(count: number): Promise<void> {
	for (let turn = 0; turn < count; turn++) {
		await new Promise((resolve) => setImmediate(resolve));
	}
}

/** A broker that takes some turns for each answer, and knows what is subscribed to. */
function slowBroker(): { readonly broker: Broker; readonly subscribed: Set<string> } {
	const memory = createMemoryBroker();
	const subscribed = new Set<string>();
	const broker: Broker = {
		durability: memory.durability,
		records: memory.records,
		listen: (listener) => memory.listen(listener),
		publish: (...all) => memory.publish(...all),
		subscribe: async (channel) => {
			await turns(3);
			if (!channel.startsWith("$session:")) {
				// The node's own, which stays.
				subscribed.add(channel);
			}
			return memory.subscribe(channel);
		},
		unsubscribe: (channel) => {
			subscribed.delete(channel);
			memory.unsubscribe(channel);
		},
		snapshot: (...all) => memory.snapshot(...all),
		channels: (...all) => memory.channels(...all),
		read: async (...all) => {
			await turns(3);
			return memory.read(...all);
		},
		close: () => memory.close(),
	};
	return { broker, subscribed };
}

interface World extends Running {
	readonly subscribed: Set<string>;
	readonly logged: string[];
}

async function slowWorld(): Promise<World> {
	const { broker, subscribed } = slowBroker();
	const logged: string[] = [];
	const options: ServerOptions = {
		broker,
		log: { info() {}, warn() {}, error: (text) => logged.push(text) },
		authenticate: async () => {
			await turns(3);
			return { id: "ann" };
		},
		may: {
			subscribe: {
				"*": async () => {
					await turns(2);
					return true;
				},
			},
		},
	};
	const running = await run(createServer(undefined, options));
	return { ...running, subscribed, logged };
}

async function nothingIsLeft({ server, subscribed, logged }: World): Promise<void> {
	while (server.connections > 0 || subscribed.size > 0) {
		await turns(1);
	}
	await turns(20);
	expect([server.connections, [...subscribed], logged]).toEqual([0, [], []]);
}

describe("S46: a socket that breaks", () => {
	it.each([
		["plain", "/connect?channel=a&channel=b&channel=c", {}, []],
		[
			"enveloped",
			"/connect",
			{ "Sec-WebSocket-Protocol": "tidewire.v1.json" },
			[
				textFrame({ id: 1, action: "auth", token: "x" }),
				textFrame({ id: 2, action: "subscribe", channel: "a", rewind: 5 }),
				textFrame({ id: 3, action: "subscribe", channels: { b: null, c: "e:1" } }),
				textFrame({ id: 4, action: "history", channel: "d" }),
			],
		],
	])("%s, at any point of its upgrade and its subscribes, leaves nothing", async (_, target, fields, frames) => {
		const world = await slowWorld();
		await fc.assert(
			fc.asyncProperty(
				fc.nat({ max: 40 }),
				fc.constantFrom("destroy", "reset", "end"),
				fc.boolean(),
				async (after, how, atOnce) => {
					const raw = new Raw(world.url);
					raw.send(request(target, fields));
					if (!atOnce) {
						await raw.untilText("\r\n\r\n");
					}
					raw.send(Buffer.concat(frames));
					await turns(after);
					if (how === "reset") {
						raw.socket.resetAndDestroy();
					} else if (how === "destroy") {
						raw.socket.destroy();
					} else {
						raw.socket.end();
						await raw.end();
					}
				},
			),
			{ numRuns: 60 },
		);
		await nothingIsLeft(world);
		// And the server is as it was.
		const client = await plain(`${world.url}/connect?channel=a`);
		await world.server.channel("a").publish(1);
		expect(await client.frame()).toBe("1");
	});

	it("while many subscribe to one channel that is being opened leaves it to the others", async () => {
		const world = await slowWorld();
		const breaking = Array.from({ length: 20 }, () => new Raw(world.url).send(request("/connect?channel=a")));
		const staying = plain(`${world.url}/connect?channel=a`);
		await turns(6);
		for (const raw of breaking) {
			raw.socket.destroy();
		}
		const client = await staying;
		while (world.server.connections > 1) {
			await turns(1);
		}
		await world.server.channel("a").publish(1);
		expect(await client.frame()).toBe("1");
		client.socket.terminate();
		await nothingIsLeft(world);
	});
});

describe("a broker that refuses", () => {
	it("is 503 for plain clients, unavailable and retryable for others, and nothing is left of it", async () => {
		const { broker, subscribed } = slowBroker();
		const { BrokerError } = await import("@tidewire/broker");
		let refuses = true;
		const flaky: Broker = {
			...broker,
			subscribe: async (channel) => {
				if (refuses) {
					throw new BrokerError("unavailable", "secret of the broker");
				}
				return broker.subscribe(channel);
			},
		};
		const { url, server } = await open({ broker: flaky, dev: true });
		const refused = await refusal(`${url}/connect?channel=a`);
		expect([refused.status, refused.body.includes("secret")]).toEqual([503, false]);
		const client = await plain(`${url}/connect`);
		expect(await client.ask({ action: "subscribe", channel: "a" })).toMatchObject({
			error: { code: "unavailable", retryable: true },
		});
		expect([...subscribed]).toEqual([]);
		refuses = false;
		expect(await client.ask({ action: "subscribe", channel: "a" })).not.toHaveProperty("error");
		await server.channel("a").publish(1);
		expect(await client.frame()).toBe("1");
	});

	it("whose history cannot be read ends the subscription, in the client's words", async () => {
		const { BrokerError } = await import("@tidewire/broker");
		const { broker } = slowBroker();
		let reads = 0;
		const flaky: Broker = {
			...broker,
			read: async (...all) => {
				reads++;
				if (reads > 1) {
					throw new BrokerError("unavailable", "secret of the broker");
				}
				return broker.read(...all);
			},
		};
		const { url, server } = await open({ broker: flaky, authenticate: () => ({ id: "ann" }), log: SILENT });
		await server.user("ann").publish(1);
		const raw = new Raw(url);
		await raw.upgrade("/connect", { "Sec-WebSocket-Protocol": "tidewire.v1.json" });
		raw.send(textFrame({ id: 1, action: "subscribe", channel: "@user", rewind: 1 }));
		const text = await raw.untilText('"unsubscribed"');
		expect(text).toContain('{"channel":"@user","event":"unsubscribed","error":{"code":"unavailable"');
		expect(text).not.toContain("secret");
	});
});
