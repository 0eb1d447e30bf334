/** Retries within sessions, and logs that come back after a restart: on real servers, right and really broken. */
import { createMemoryBroker } from "@tidewire/broker";
import { describe, expect, it } from "vitest";
import { freePort } from "../../src/verify/fault/node-process.ts";
import { changed, openServer, startServer } from "./broken-server.ts";
import { run } from "./short-run.ts";

describe("a publish whose answer was lost", () => {
	it("is sent again in the resumed session, and performed once by a right server", async () => {
		const { figures, examples } = await run(await startServer(), { faults: ["acks"], seconds: 1.2 });
		expect(examples).toEqual([]);
		expect(figures.resent).toBeGreaterThan(0);
		expect(figures.unknown).toBe(0);
	});

	it("performed twice, by a broker that does not know ids again: found", async () => {
		const broker = createMemoryBroker();
		const forgetful = changed(broker, {
			publish: (channel, publication, { idempotencyKey: _, afterKey: __, ...options }) =>
				broker.publish(channel, publication, options),
		});
		const { counts, figures } = await run(await startServer(forgetful), { faults: ["acks"], seconds: 1.2 });
		expect(figures.resent).toBeGreaterThan(0);
		expect(counts.duplicates + counts.wrong_ack).toBeGreaterThan(0);
		expect(counts.lost_acked + counts.silent_gap).toBe(0);
	});
});

describe("a server that is started again", () => {
	/** Another process in its place, in the middle of the run, with nothing of its log. */
	async function restarted(epoch: () => string): Promise<Awaited<ReturnType<typeof run>>> {
		const port = await freePort();
		const first = await openServer(createMemoryBroker({ epoch }), port);
		let again: Promise<unknown> | undefined;
		const verdict = await run(first.url, {
			seconds: 2.2,
			progress: () => {
				again ??= first.close().then(() => openServer(createMemoryBroker({ epoch }), port));
			},
		});
		await again;
		return verdict;
	}

	it("with a new epoch: no alarm", async () => {
		let epochs = 0;
		const { examples, figures } = await restarted(() => `epoch${++epochs}`);
		expect(examples).toEqual([]);
		expect(figures.notRecovered).toBeGreaterThan(0);
	});

	it("in the old epoch, whose offsets it gives out anew: found", async () => {
		const { counts } = await restarted(() => "the-same");
		expect(counts.offset_reuse).toBeGreaterThan(0);
	});
});
