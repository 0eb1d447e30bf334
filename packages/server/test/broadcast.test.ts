/** B10: one message into every channel of a pattern, on all nodes, each in its own log. */
import { BrokerError, type ChannelsOptions, type Publication, type PublishOptions } from "@tidewire/broker";
import { channel, compilePattern, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { broadcast } from "../src/broadcast.ts";
import { as, subscribed, twoNodes } from "./cluster.ts";

const declared = contract({
	channels: {
		"order_{orderId}": channel({ data: z.object({ eta: z.coerce.number() }) }),
		"order:{orderId}:notes": channel(),
		lobby: channel(),
		"@user": channel(),
	},
});
const ALL = {
	may: { subscribe: { "order_{orderId}": true, "order:{orderId}:notes": true, lobby: true } },
} as const;

describe("broadcast", () => {
	it("reaches the channels of the pattern, on all nodes, each as an entry of its own log", async () => {
		const { nodes } = await twoNodes(ALL, declared);
		const { server } = nodes[0];
		const first = await subscribed("ann", nodes[0], "order_1");
		const second = await subscribed("bob", nodes[1], "order_2");
		const others = [await subscribed("bob", nodes[1], "order:1:notes"), await subscribed("bob", nodes[1], "lobby")];
		// Nobody is subscribed to it, but it has a log.
		const since = await server.channel("order_3").publish({ eta: 1 });
		expect(await server.broadcast("order_{orderId}", { eta: "5" as never }, { name: "delay" })).toBe(3);
		expect(await first.next()).toEqual({ channel: "order_1", offset: 1, name: "delay", data: { eta: 5 } });
		expect(await second.next()).toEqual({ channel: "order_2", offset: 1, name: "delay", data: { eta: 5 } });
		for (const other of others) {
			await other.nothingElse();
		}
		const third = await as("ann", nodes[1]);
		expect(await third.ask({ action: "subscribe", channel: "order_3", since })).toMatchObject({ recovered: true });
		expect(await third.next()).toMatchObject({ offset: 2, data: { eta: 5 } });
	});

	it("with an idempotency key is one message in each channel, however often it is repeated", async () => {
		const { nodes } = await twoNodes(ALL, declared);
		const { server } = nodes[0];
		const ann = await subscribed("ann", nodes[0], "order_1");
		for (const node of [nodes[0], nodes[1], nodes[0]]) {
			expect(await node.server.broadcast("order_{orderId}", { eta: 1 }, { idempotencyKey: "k" })).toBe(1);
		}
		await server.channel("order_1").publish({ eta: 2 }, { idempotencyKey: "k" });
		expect([await ann.next(), await ann.next()]).toMatchObject([
			{ offset: 1, data: { eta: 1 } },
			{ offset: 2, data: { eta: 2 } },
		]);
		await ann.nothingElse();
	});

	it("to a channel without parameters is to that one, where it exists", async () => {
		const { nodes } = await twoNodes(ALL, declared);
		expect(await nodes[0].server.broadcast("lobby", 1)).toBe(0);
		const ann = await subscribed("ann", nodes[0], "lobby");
		expect(await nodes[1].server.broadcast("lobby", 1)).toBe(1);
		expect(await ann.next()).toMatchObject({ data: 1 });
	});

	it.each(["order_1", "*", "@user", "@device:{device}", "$report:{x}", "", "constructor", "order_{id}"])(
		"to %j, which is no pattern of the contract, is refused",
		async (pattern) => {
			const { nodes } = await twoNodes(ALL, declared);
			await expect(nodes[0].server.broadcast(pattern as "lobby", 1)).rejects.toMatchObject({ code: "invalid_data" });
		},
	);

	it("of data that does not fit, or with an option that it does not have, reaches nobody", async () => {
		const { nodes } = await twoNodes(ALL, declared);
		const ann = await subscribed("ann", nodes[0], "order_1");
		const { server } = nodes[0];
		await expect(server.broadcast("order_{orderId}", { eta: "soon" as never })).rejects.toMatchObject({
			code: "invalid_data",
		});
		await expect(server.broadcast("lobby", 1, { ifPosition: "e:1" } as object)).rejects.toMatchObject({
			code: "bad_option",
		});
		await ann.nothingElse();
	});

	it("in an open contract takes any pattern, and * for all channels but inboxes and the nodes' own", async () => {
		const { nodes } = await twoNodes({ may: { subscribe: { "*": true }, publish: { "*": true } } });
		const { server } = nodes[0];
		const ann = await subscribed("ann", nodes[0], "@user");
		await ann.ask({ action: "subscribe", channels: { order_1: null, "chat:1": null } });
		await server.channel("order_1").publishAndReport(0);
		expect(await ann.next()).toMatchObject({ data: 0 });
		expect(await server.broadcast("order_{id}", 1)).toBe(1);
		expect(await server.broadcast("*", 2)).toBe(2);
		expect(await ann.next()).toMatchObject({ channel: "order_1", data: 1 });
		expect([(await ann.next()).channel, (await ann.next()).channel].sort()).toEqual(["chat:1", "order_1"]);
		await ann.nothingElse();
		for (const pattern of ["@user", "$report:{x}", "{a}{b}", ""]) {
			await expect(server.broadcast(pattern, 1)).rejects.toThrow();
		}
	});
});

describe("many channels", () => {
	const PUBLICATION: Publication = { data: new Uint8Array(1), encoding: "binary" };
	const OPTIONS: PublishOptions = { retention: { messages: 1, bytes: 1, ageMs: 1 } };

	function names(all: readonly string[], fails: (name: string) => boolean = () => false) {
		const published: string[] = [];
		const asked: ChannelsOptions[] = [];
		const sorted = [...all].sort();
		let underWay = 0;
		const most = { underWay: 0 };
		return {
			published,
			asked,
			most,
			channels: async (options: ChannelsOptions) => {
				asked.push(options);
				const { prefix = "", after = "", limit } = options;
				return sorted.filter((name) => name.startsWith(prefix) && name > after).slice(0, limit);
			},
			publish: async (name: string) => {
				most.underWay = Math.max(most.underWay, ++underWay);
				await Promise.resolve();
				underWay--;
				if (fails(name)) {
					throw new BrokerError("unavailable", "away");
				}
				published.push(name);
				return { status: "accepted", position: { epoch: "e", offset: 1 }, duplicate: false } as const;
			},
		};
	}

	it("are listed page by page, from the pattern's beginning, each once", async () => {
		const wanted = Array.from({ length: 2_500 }, (_, index) => `order_${index}`);
		const broker = names([...wanted, "order_1:notes", "order_", "orders", "@user:order_1", "lobby", "order_\n"]);
		expect(await broadcast(broker, compilePattern("order_{id}"), PUBLICATION, OPTIONS)).toBe(2_500);
		expect([...broker.published].sort()).toEqual([...wanted].sort());
		expect(broker.asked.every(({ prefix, limit }) => prefix === "order_" && limit <= 1_000)).toBe(true);
	});

	it("are published to a bounded number at once", async () => {
		const broker = names(Array.from({ length: 1_000 }, (_, index) => `c${index}`));
		expect(await broadcast(broker, undefined, PUBLICATION, OPTIONS)).toBe(1_000);
		expect(broker.most.underWay).toBeLessThanOrEqual(64);
	});

	it("of which one fails: the rest is not begun, and the failure is told", async () => {
		const broker = names(
			Array.from({ length: 1_000 }, (_, index) => `c${index}`),
			(name) => name === "c1",
		);
		await expect(broadcast(broker, undefined, PUBLICATION, OPTIONS)).rejects.toThrow("away");
		expect(broker.published.length).toBeLessThan(128);
	});

	it("are not looked through for a pattern that is one name", async () => {
		const broker = names(["lobby", ...Array.from({ length: 3_000 }, (_, index) => `lobby${index}`)]);
		expect(await broadcast(broker, compilePattern("lobby"), PUBLICATION, OPTIONS)).toBe(1);
		expect(broker.asked).toHaveLength(1);
	});
});
