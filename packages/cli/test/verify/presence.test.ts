/** Presence (I7), driven and judged over the wire: on a right server, and on servers that do not tell all. */
import { createServer, SILENT } from "@tidewire/server";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Bend, bend, startServer } from "./broken-server.ts";
import { run } from "./short-run.ts";

/** Presence and little else; and not so late as a slow deployment may be. */
const PRESENT = { seconds: 4, rate: 20, presenceLateSeconds: 0.5, settleSeconds: 1 };

/** Some of these events, on every connection, are kept back. */
function withholding(event: string): () => Bend {
	return () => (text) => (text.includes(`"event":"${event}"`) ? [] : [text]);
}

describe("presence", () => {
	it("of a right server gives no alarm while connections are cut", async () => {
		const { examples, figures } = await run(await startServer(), {
			...PRESENT,
			faults: ["cut", "delay"],
			everySeconds: 0.3,
		});
		expect(examples).toEqual([]);
		expect(figures.connectionsLost).toBeGreaterThan(0);
		expect(figures.presence.told).toBeGreaterThan(5);
		expect(figures.presence.lists).toBeGreaterThan(5);
	});

	it("whose leaves are not told: found", async () => {
		const { counts } = await run(await bend(await startServer(), withholding("leave")), PRESENT);
		expect(counts.ghost).toBeGreaterThan(0);
		expect(counts.lost_acked + counts.silent_gap).toBe(0);
	});

	it("whose joins are not told: found", async () => {
		const { counts } = await run(await bend(await startServer(), withholding("join")), PRESENT);
		expect(counts.missing_member).toBeGreaterThan(0);
	});

	it("whose lists lack a member: found", async () => {
		const lacking = (): Bend => (text) => [
			text.startsWith('{"ack":"members"') ? text.replace(/(\},)\{"id":.*?\}(?=\])/, "$1").replace(",]", "]") : text,
		];
		const { counts } = await run(await bend(await startServer(), lacking), {
			...PRESENT,
			presenceGraceSeconds: 0.5,
		});
		expect(counts.missing_member + counts.ghost).toBeGreaterThan(0);
	});

	it("that is not allowed is left out, with a note", async () => {
		const server = createServer(undefined, {
			may: { subscribe: { "*": true }, publish: { "*": true }, presence: { "*": false } },
			log: SILENT,
		});
		onTestFinished(() => server.close());
		const { port } = await server.listen({ port: 0 });
		const notes: string[] = [];
		const { examples, figures } = await run(new URL(`ws://127.0.0.1:${port}/connect`), {
			note: (words) => notes.push(words),
		});
		expect(examples).toEqual([]);
		expect(figures.acknowledged).toBeGreaterThan(0);
		expect(figures.presence).toEqual({ told: 0, lists: 0 });
		expect(notes).toEqual([expect.stringMatching(/^presence is not driven: .* on verify_.*_3: .*\(forbidden\)$/)]);
	});

	it("is not driven where it is not wanted", async () => {
		const { figures } = await run(await startServer(), { presence: false });
		expect(figures.presence).toEqual({ told: 0, lists: 0 });
	});
});
