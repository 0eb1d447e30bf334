/** Bounds: what the file may take, who gives way, and what a full disk does. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { FakeClock } from "./fake-clock.ts";
import { makePath } from "./files.ts";
import { json, KEEP, KEEP_ALL, ofSize, open, publish, readTexts, refusal } from "./machine.ts";

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

describe("maxBytes", () => {
	it("gives up the histories used longest ago, whole; a use is a publish or a read", async () => {
		const clock = new FakeClock();
		const path = makePath();
		const cluster = open({ path, maxBytes: MIB, now: clock.now });
		const node = cluster.node();
		const before = new Map<string, string>();
		for (const channel of ["oldest", "older", "newer"]) {
			before.set(channel, (await publish(node, channel, ofSize(300_000), { retention: KEEP_ALL })).epoch);
			clock.advance(MINUTE_MS);
		}
		await node.read("oldest", { after: 0, limit: 1 });
		clock.advance(MINUTE_MS);
		await publish(node, "newest", ofSize(300_000), { retention: KEEP_ALL });
		// Room is made before the next transaction.
		await publish(node, "newest", json("1"), { retention: KEEP_ALL });
		const page = async (channel: string): Promise<readonly [boolean, number]> => {
			const { epoch, entries } = await node.read(channel, { after: 0, limit: 10 });
			return [epoch === before.get(channel), entries.length];
		};
		expect(await page("oldest")).toEqual([true, 1]);
		expect(await page("older")).toEqual([false, 0]);
		expect(await page("newer")).toEqual([true, 1]);
		expect(cluster.stats().evictedLogs).toBe(1);
		await cluster.close();
	});

	it("a channel with subscribers keeps its epoch and head, and nobody is told of a loss that is none", async () => {
		const clock = new FakeClock();
		const cluster = open({ path: makePath(), maxBytes: MIB, now: clock.now });
		const node = cluster.node();
		const resets: string[] = [];
		node.listen({ entries: () => {}, reset: (channel) => resets.push(channel) });
		await node.subscribe("watched");
		const { epoch } = await publish(node, "watched", ofSize(600_000), { retention: KEEP_ALL });
		clock.advance(MINUTE_MS);
		await publish(node, "other", ofSize(600_000), { retention: KEEP_ALL });
		await publish(node, "other", json("1"), { retention: KEEP_ALL });
		expect(await node.read("watched", { after: 0, limit: 1 })).toMatchObject({ epoch, head: 1, tail: 1, entries: [] });
		expect(resets).toEqual([]);
		await cluster.close();
	});

	it("a snapshot goes last, with its epoch, and its subscribers are told", async () => {
		const clock = new FakeClock();
		const cluster = open({ path: makePath(), maxBytes: MIB, now: clock.now });
		const node = cluster.node();
		const resets: string[] = [];
		node.listen({ entries: () => {}, reset: (channel) => resets.push(channel) });
		await node.subscribe("state");
		await publish(node, "state", json("1"), { snapshot: new Uint8Array(900_000) });
		clock.advance(MINUTE_MS);
		for (let count = 0; count < 5; count++) {
			await publish(node, "other", ofSize(200_000), { retention: KEEP_ALL });
		}
		expect(resets).toEqual(["state"]);
		expect((await node.snapshot("state")).data).toBeUndefined();
		await cluster.close();
	});

	it("one endless history gives its own oldest entries, and the file stays within its bound", async () => {
		const path = makePath();
		const cluster = open({ path, maxBytes: 2 * MIB, synchronous: "normal" });
		const node = cluster.node();
		for (let count = 0; count < 200; count++) {
			await Promise.all(Array.from({ length: 10 }, () => publish(node, "a", ofSize(5_000), { retention: KEEP_ALL })));
		}
		const { head, tail, entries } = await node.read("a", { after: 0, limit: 1 });
		expect(head).toBe(2_000);
		expect(tail).toBeGreaterThan(0);
		expect(entries[0]!.offset).toBe(tail + 1);
		await cluster.close();
		expect(statSync(path).size).toBeLessThan(2.5 * MIB);
	});

	it("a flood of channels with one message each stays within the bound", async () => {
		const path = makePath();
		const clock = new FakeClock();
		const cluster = open({ path, maxBytes: MIB, synchronous: "normal", now: clock.now });
		const node = cluster.node();
		for (let round = 0; round < 50; round++) {
			await Promise.all(
				Array.from({ length: 200 }, (_, index) =>
					publish(node, `invented-${round}-${index}`, ofSize(200), { retention: KEEP_ALL }),
				),
			);
			clock.advance(MINUTE_MS);
		}
		expect(cluster.stats().evictedLogs).toBeGreaterThan(1_000);
		expect(cluster.stats().fileBytes).toBeLessThanOrEqual(1.25 * MIB);
		await cluster.close();
	});

	it("a million invented names that are only read leave nothing in the file", async () => {
		const cluster = open({ path: makePath() });
		const node = cluster.node();
		const before = cluster.stats().usedBytes;
		for (let count = 0; count < 30_000; count++) {
			await node.read(`invented-${count}`, { after: 0, limit: 1 });
		}
		expect(cluster.stats().usedBytes).toBe(before);
		expect(await node.channels({ limit: 10 })).toEqual([]);
		await cluster.close();
	});

	it("what ended leaves the file, and the file gives its pages back", async () => {
		const clock = new FakeClock();
		const cluster = open({ path: makePath(), now: clock.now, synchronous: "normal" });
		const node = cluster.node();
		const retention = { ...KEEP_ALL, ageMs: MINUTE_MS };
		for (let count = 0; count < 40; count++) {
			await publish(node, `a-${count}`, ofSize(100_000), { retention, idempotencyKey: "k" });
			await node.records.set(`r-${count}`, new Uint8Array(10_000), MINUTE_MS);
		}
		const { fileBytes } = cluster.stats();
		clock.advance(2 * 24 * 60 * MINUTE_MS);
		await cluster.sweep();
		expect(await node.channels({ limit: 10 })).toEqual([]);
		expect(cluster.stats()).toMatchObject({ records: 0, idempotencyKeys: 0 });
		expect(cluster.stats().fileBytes).toBeLessThan(fileBytes / 2);
		await cluster.close();
	});
});

it("an idempotency-key flood forgets the keys that end first", async () => {
	const cluster = open({ path: makePath(), maxIdempotencyKeys: 100 });
	const node = cluster.node();
	await Promise.all(
		Array.from({ length: 300 }, (_, index) =>
			publish(node, "a", json("1"), { idempotencyKey: `${index}`, idempotencyMs: 60_000 + index }),
		),
	);
	expect(cluster.stats()).toMatchObject({ idempotencyKeys: 100, forgottenKeys: 200 });
	const repeat = (key: string): Promise<unknown> =>
		node.publish("a", json("1"), { retention: KEEP, idempotencyKey: key });
	expect(await repeat("299")).toMatchObject({ duplicate: true });
	expect(await repeat("0")).toMatchObject({ duplicate: false });
	await cluster.close();
});

it("a flood of publishes in one turn is spread over several, in order", async () => {
	const cluster = open({ path: makePath(), synchronous: "normal" });
	const node = cluster.node();
	const { commits } = cluster.stats();
	const positions = await Promise.all(Array.from({ length: 2_500 }, () => publish(node, "a", json("1"))));
	expect(cluster.stats().commits - commits).toBeGreaterThanOrEqual(3);
	expect(positions.map(({ offset }) => offset)).toEqual(positions.map((_, index) => index + 1));
	await cluster.close();
});

it("a page of a long history is bounded, whatever is asked for", async () => {
	const cluster = open({ path: makePath(), synchronous: "normal" });
	const node = cluster.node();
	await Promise.all(Array.from({ length: 1_500 }, () => publish(node, "small", json("1"), { retention: KEEP_ALL })));
	await Promise.all(Array.from({ length: 30 }, () => publish(node, "large", ofSize(100_000), { retention: KEEP_ALL })));
	const page = async (channel: string): Promise<number> =>
		(await node.read(channel, { after: 0, limit: Infinity })).entries.length;
	expect(await page("small")).toBe(1_000);
	expect(await page("large")).toBe(10);
	await cluster.close();
});

describe("F28: a full disk", () => {
	it("refuses what does not fit, tells nobody, keeps what was accepted, and goes on when there is room", async () => {
		const path = makePath();
		const cluster = open({ path, maxBytes: MIB, maxDataBytes: 16 * MIB });
		const node = cluster.node();
		const told: number[] = [];
		node.listen({
			entries: (_channel, _epoch, entries) => told.push(...entries.map(({ offset }) => offset)),
			reset: () => {},
		});
		const { epoch } = await node.subscribe("a");
		await publish(node, "a", json("1"));
		const repeat = { idempotencyKey: "k", retention: KEEP_ALL };
		expect(await refusal(publish(node, "a", ofSize(2 * MIB), repeat))).toMatchObject({
			code: "unavailable",
			message: expect.stringContaining("full"),
		});
		// The offset and the key are free again.
		expect(await publish(node, "a", json("2"), repeat)).toEqual({ epoch, offset: 2 });
		expect(told).toEqual([1, 2]);
		expect(await readTexts(node, "a")).toEqual(["1", "2"]);
		expect(
			await refusal(node.publish("a", ofSize(2 * MIB), { retention: KEEP, atMs: Date.now() + 60_000 })),
		).toMatchObject({
			code: "unavailable",
		});
		expect(cluster.stats()).toMatchObject({ scheduled: 0, idempotencyKeys: 1 });
		await cluster.close();
	});

	const folder = mkdtempSync(join(tmpdir(), "tidewire-tmpfs-"));
	const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tidewire-test", folder]).status === 0;
	if (mounted) {
		spawnSync("umount", [folder]);
	}
	rmSync(folder, { recursive: true });

	it.skipIf(!mounted)("the same on a file system of 4 MiB (needs the right to mount one)", async () => {
		const mount = mkdtempSync(join(tmpdir(), "tidewire-tmpfs-"));
		onTestFinished(() => {
			spawnSync("umount", [mount]);
			rmSync(mount, { recursive: true });
		});
		spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tidewire-test", mount]);
		const path = join(mount, "channels.db");
		const ballast = join(mount, "ballast");
		const cluster = open({ path });
		const node = cluster.node();
		await publish(node, "a", json("1"));
		writeFileSync(ballast, new Uint8Array(2 * MIB));
		let accepted = 1;
		let reason: unknown;
		while (reason === undefined) {
			await publish(node, "a", ofSize(50_000), { retention: KEEP_ALL }).then(
				() => accepted++,
				(error: unknown) => {
					reason = error;
				},
			);
		}
		expect(reason).toMatchObject({ code: "unavailable" });
		expect(accepted).toBeGreaterThan(5);
		// Reading goes on meanwhile.
		expect((await node.read("a", { after: 0, limit: 1_000 })).head).toBe(accepted);
		unlinkSync(ballast);
		expect((await publish(node, "a", json("after"))).offset).toBe(accepted + 1);
		await cluster.close();
		const again = open({ path });
		const page = await again.node().read("a", { after: 0, limit: 1_000 });
		expect([page.head, page.entries.at(-1)?.offset]).toEqual([accepted + 1, accepted + 1]);
		await again.close();
	});
});
