/**
 * The whole checker against real servers: it must find what a server does wrong on purpose, under load and over the wire,
 * and say nothing of one that does right, whatever the network does to it. Runs are short; how long they take is theirs.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Broker, createMemoryBroker, createMemoryCluster } from "@tidewire/broker";
import { describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "../../src/verify/fault/node-process.ts";
import type { FaultKind } from "../../src/verify/fault/plan.ts";
import type { Verdict } from "../../src/verify/judge/verdict.ts";
import type { RunOptions } from "../../src/verify/run.ts";
import { type Bend, bend, changed, startServer } from "./broken-server.ts";
import { run } from "./short-run.ts";

const NETWORK: readonly FaultKind[] = ["cut", "stall", "acks", "delay", "split"];
const ALL: readonly FaultKind[] = [...NETWORK, "leave"];

/** A bend of channel messages, which leaves everything else alone. */
function ofMessages(change: (text: string, index: number) => readonly string[]): () => Bend {
	return () => {
		let index = 0;
		return (text) => (text.includes('"offset"') ? change(text, index++) : [text]);
	};
}

describe("a right server", () => {
	it("gives no alarm on a quiet network", async () => {
		const verdict = await run(await startServer());
		expect(verdict.examples).toEqual([]);
		expect(verdict).toMatchObject({ clean: true, complete: true });
		const { acknowledged, delivered, published } = verdict.figures;
		expect(acknowledged).toBeGreaterThan(50);
		expect(acknowledged).toBe(published);
		expect(delivered).toBe(acknowledged * 4);
	});

	it.each([11, 12])("gives no alarm while connections are cut, stalled, split and delayed (seed %i)", async (seed) => {
		const verdict = await run(await startServer(), { faults: ALL, seconds: 1.2, seed });
		expect(verdict.examples).toEqual([]);
		expect(Object.keys(verdict.figures.faults)).toEqual([...ALL].sort());
		expect(verdict.figures.recovered).toBeGreaterThan(0);
	});

	it("gives no alarm over a history too short to resume from: what is lost is announced", async () => {
		const broker = createMemoryBroker();
		const short = changed(broker, { publish: shortened(broker) });
		const verdict = await run(await startServer(short), { faults: ["cut"], seconds: 1, seed: 3 });
		expect(verdict.examples).toEqual([]);
		expect(verdict.figures.notRecovered + (verdict.figures.announcements.gap ?? 0)).toBeGreaterThan(0);
	});

	it("gives no alarm while clients come back to any node of a cluster", async () => {
		const cluster = createMemoryCluster();
		onTestFinished(() => cluster.close());
		const port = await freePort();
		const urls = [await startServer(cluster.node(), port), await startServer(cluster.node(), port + 1)];
		const verdict = await run(urls[0]!, { nodes: 2, faults: ["cut", "acks"], seconds: 1.2 });
		expect(verdict.examples).toEqual([]);
		expect(verdict.figures.connectionsLost).toBeGreaterThan(0);
	});

	it("gives no alarm over a log that is gone, where it had promised memory only: subscribers are told", async () => {
		const verdict = await runForgetting(createMemoryBroker());
		expect(verdict.examples).toEqual([]);
		expect(verdict.figures.announcements.reset).toBeGreaterThan(0);
	});

	it("gives no alarm through the SDK", async () => {
		const verdict = await run(await startServer(), { sdk: true, faults: NETWORK, seconds: 1.2 });
		expect(verdict.examples).toEqual([]);
		expect(verdict.figures.delivered).toBeGreaterThanOrEqual(verdict.figures.acknowledged * 4);
	});

	it("is judged by what there is when the run is stopped early", async () => {
		const stop = new AbortController();
		const verdict = await run(await startServer(), {
			seconds: 600,
			stopped: stop.signal,
			progress: () => stop.abort(),
		});
		expect(verdict).toMatchObject({ clean: true, complete: true });
		expect(verdict.figures.acknowledged).toBeGreaterThan(0);
	});
});

describe("a server that is killed and drained", () => {
	const TIDEWIRE = join(import.meta.dirname, "../../../tidewire/bin/tidewire.js");
	const faults: readonly FaultKind[] = ["kill", "drain", "acks"];

	function start(broker: string): Partial<RunOptions> {
		const command = `exec "${process.execPath}" "${TIDEWIRE}" serve --dev --port {port} --drain 0.1 --broker ${broker}`;
		return { start: command, faults, seconds: 3.5, everySeconds: 0.8, rate: 100 };
	}

	it("of memory: every loss was announced", async () => {
		const verdict = await run(new URL("ws://127.0.0.1:0/connect"), start("memory"));
		expect(verdict.examples).toEqual([]);
		expect(verdict.figures.notRecovered).toBeGreaterThan(0);
		expect(verdict.figures.durability).toBe("memory");
	});

	it("of SQLite: nothing is lost", async () => {
		const folder = await mkdtemp(join(tmpdir(), "tidewire-verify-"));
		onTestFinished(() => rm(folder, { recursive: true }));
		const verdict = await run(new URL("ws://127.0.0.1:0/connect"), start(`sqlite:${join(folder, "db")}`));
		expect(verdict.examples).toEqual([]);
		expect(verdict.figures).toMatchObject({ durability: "stored", notRecovered: 0, announcedLosses: {} });
		expect(verdict.figures.recovered).toBeGreaterThan(0);
	});
});

describe("a server that does wrong", () => {
	it("loses one message in 20: found", async () => {
		const lossy = ofMessages((text, index) => (index % 20 === 7 ? [] : [text]));
		const { counts } = await run(await bend(await startServer(), lossy));
		expect(counts.silent_gap).toBeGreaterThan(0);
		expect(counts.lost_acked).toBeGreaterThan(0);
		expect(counts.duplicates + counts.nonmonotonic + counts.phantom).toBe(0);
	});

	it("doubles one message in 20: found", async () => {
		const doubling = ofMessages((text, index) => (index % 20 === 7 ? [text, text] : [text]));
		const { counts } = await run(await bend(await startServer(), doubling));
		expect(counts.duplicates).toBeGreaterThan(0);
		expect(counts.lost_acked + counts.silent_gap + counts.nonmonotonic).toBe(0);
	});

	it("swaps two messages in 20: found", async () => {
		const swapping = (): Bend => {
			const held = new Map<string, string>();
			let index = 0;
			return (text) => {
				const channel = channelOf(text);
				const before = held.get(channel);
				if (before !== undefined) {
					held.delete(channel);
					return [text, before];
				}
				if (text.includes('"offset"') && index++ % 20 === 7) {
					held.set(channel, text);
					return [];
				}
				return [text];
			};
		};
		const { counts } = await run(await bend(await startServer(), swapping));
		expect(counts.nonmonotonic).toBeGreaterThan(0);
		expect(counts.duplicates).toBe(0);
	});

	it("skips the first message after it said that nothing was missed: found", async () => {
		const skipping = (): Bend => {
			const skip = new Set<string>();
			return (text) => {
				if (text.includes('"recovered":true')) {
					skip.add(channelOf(text));
				} else if (text.includes('"offset"') && skip.delete(channelOf(text))) {
					return [];
				}
				return [text];
			};
		};
		const url = await bend(await startServer(), skipping);
		const { counts } = await run(url, { faults: ["cut"], seconds: 1 });
		expect(counts.silent_gap).toBeGreaterThan(0);
		expect(counts.lost_acked).toBeGreaterThan(0);
	});

	it("delivers once more after a subscription has ended: found", async () => {
		const leaking = (): Bend => {
			const last = new Map<string, string>();
			return (text) => {
				if (text.includes('"offset"')) {
					last.set(channelOf(text), text);
				}
				const left = /^\{"ack":"leave (.*?)"/.exec(text)?.[1];
				const more = left === undefined ? undefined : last.get(left);
				return more === undefined ? [text] : [text, more];
			};
		};
		const { counts } = await run(await bend(await startServer(), leaking), { faults: ["leave"] });
		expect(counts.leak).toBeGreaterThan(0);
		expect(counts.lost_acked + counts.silent_gap).toBe(0);
	});

	it("invents a message: found", async () => {
		const inventing = ofMessages((text, index) =>
			index % 20 === 7 ? [text.replace(/"n":\d+/, '"n":999999')] : [text],
		);
		const { counts } = await run(await bend(await startServer(), inventing));
		expect(counts.phantom).toBeGreaterThan(0);
	});

	it("gives one subscriber another message than the others: found", async () => {
		let connections = 0;
		const diverging = (): Bend => {
			const mine = connections++ === 5;
			let last = "";
			return ofMessages((text) => {
				const data = /"data":\{.*?\}/.exec(text)?.[0] ?? "";
				const changed = mine && last !== "" && data.includes(channelOf(text)) && last.includes(channelOf(text));
				const bent = changed ? text.replace(data, last) : text;
				last = data;
				return [bent];
			})();
		};
		const { counts } = await run(await bend(await startServer(), diverging));
		expect(counts.divergence + counts.wrong_ack + counts.offset_reuse).toBeGreaterThan(0);
	});

	it("acknowledges what it has not stored: found", async () => {
		const broker = createMemoryBroker();
		let index = 0;
		const forgetful = changed(broker, {
			publish: async (...args) => {
				const [channel] = args;
				if (index++ % 20 === 7) {
					const { epoch, head } = await broker.read(channel, {
						after: Number.POSITIVE_INFINITY,
						limit: 1,
						reverse: true,
					});
					const position = { epoch, offset: head + 1 };
					return { status: "accepted", position, duplicate: false } as const;
				}
				return broker.publish(...args);
			},
		});
		const { counts } = await run(await startServer(forgetful));
		expect(counts.wrong_ack + counts.offset_reuse + counts.lost_acked).toBeGreaterThan(0);
	});

	it("loses with its log what it had said is stored, and announces it: found", async () => {
		const broker = createMemoryBroker();
		const lying = Object.assign(changed(broker, { durability: "stored" }), {
			forget: (name: string) => broker.forget(name),
		});
		const { counts } = await runForgetting(lying, slowed);
		expect(counts.lost_acked).toBeGreaterThan(0);
		expect(counts.silent_gap + counts.stuck).toBe(0);
	});

	it("stops delivering to some and says nothing: found", async () => {
		const falling = ofMessages((text, index) => (index < 40 ? [text] : []));
		const { counts } = await run(await bend(await startServer(), falling), { settleSeconds: 0.3 });
		expect(counts.lost_acked).toBeGreaterThan(0);
		expect(counts.stuck).toBeGreaterThan(0);
	});

	it("answers no publish any more: found", async () => {
		const mute = (): Bend => {
			let acks = 0;
			return (text) => (text.startsWith('{"ack":"') && text.includes("@") && acks++ > 10 ? [] : [text]);
		};
		const { counts } = await run(await bend(await startServer(), mute), { settleSeconds: 0.3 });
		expect(counts.stuck).toBeGreaterThan(0);
	});
});

describe("a run that cannot be", () => {
	it("says that there is no server", async () => {
		await expect(run(new URL("ws://127.0.0.1:1/connect"))).rejects.toThrow(/^no WebSocket connection to ws:.*127/);
	});

	it("says what the server does not allow", async () => {
		const url = await startServer();
		await expect(run(url, { channelName: "@own_{n}" })).rejects.toThrow(/refuses to subscribe to @own_1: .*not_found/);
	});
});

function channelOf(text: string): string {
	return /"channel":"([^"]*)"/.exec(text)?.[1] ?? "";
}

/** A run during which the broker forgets the channels' logs once. */
async function runForgetting(
	broker: Broker & { readonly forget: (channel: string) => void },
	bent: (url: URL) => Promise<URL> = (url) => Promise.resolve(url),
): Promise<Verdict> {
	return run(await bent(await startServer(broker)), {
		seconds: 1.4,
		channelName: "gone_{n}",
		progress: () => ["gone_1", "gone_2"].forEach(broker.forget),
	});
}

/** Each channel's messages wait until four more have come; at a reset, what waits is gone, and nothing waits any more. */
function slowed(url: URL): Promise<URL> {
	return bend(url, () => {
		const held = new Map<string, string[]>();
		const open = new Set<string>();
		return (text) => {
			const channel = channelOf(text);
			if (text.includes('"reset"')) {
				open.add(channel);
			}
			if (open.has(channel) || !text.includes('"offset"')) {
				return [text];
			}
			const waiting = [...(held.get(channel) ?? []), text];
			const ready = waiting.splice(0, waiting.length - 4);
			held.set(channel, waiting);
			return ready;
		};
	});
}

/** Keeps two messages of each channel and no more. */
function shortened(broker: Broker): Broker["publish"] {
	return (channel, publication, options) =>
		broker.publish(channel, publication, { ...options, retention: { ...options.retention, messages: 2 } });
}
