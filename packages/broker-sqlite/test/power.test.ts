/** What is promised of the machine: what waits for the disk, and what is said where the disk may have been too late. */
import { describe, expect, it } from "vitest";
import type { SqliteBrokerOptions } from "../src/index.ts";
import type { Sync } from "../src/wal.ts";
import { makePath } from "./files.ts";
import { json, machine, open, publish, readTexts, refusal } from "./machine.ts";

/** Opens, publishes one entry and leaves the file as a killed process does: open until the test ends, if it must be. */
async function position(options: SqliteBrokerOptions, boot: string): Promise<string> {
	const cluster = open(options, machine(boot));
	const { epoch, offset } = await publish(cluster.node(), "a", json("1"));
	await cluster.close();
	return `${epoch}:${offset}`;
}

/** What the file says as long as nobody closed it in order. */
async function forgetClosing(path: string): Promise<void> {
	const { DatabaseSync } = await import("node:sqlite");
	const file = new DatabaseSync(path);
	file.exec("UPDATE file SET clean = 0");
	file.close();
}

describe("I6: where accepted entries may be missing, the epoch is another", () => {
	it.each([
		["full, another start of the machine", "full", "second", true],
		["normal, the same start of the machine", "normal", "first", true],
		["normal, another start of the machine", "normal", "second", false],
	] as const)("after a crash under %s", async (_what, synchronous, boot, goesOn) => {
		const path = makePath();
		const before = await position({ path, synchronous }, "first");
		await forgetClosing(path);
		const after = await position({ path, synchronous }, boot);
		expect(after.split(":")[0] === before.split(":")[0]).toBe(goesOn);
		expect(after.split(":")[1]).toBe("2");
	});

	it("what counts is how the last owner wrote, not how the next one will", async () => {
		const path = makePath();
		const before = await position({ path, synchronous: "normal" }, "first");
		await forgetClosing(path);
		const after = await position({ path, synchronous: "full" }, "second");
		expect(after.split(":")[0]).not.toBe(before.split(":")[0]);
	});

	it("a file that was closed in order is whole, whichever way it was written", async () => {
		const path = makePath();
		const before = await position({ path, synchronous: "normal" }, "first");
		const after = await position({ path, synchronous: "normal" }, "second");
		expect(after.split(":")[0]).toBe(before.split(":")[0]);
	});

	it("a restored copy goes on under other epochs, with what it holds", async () => {
		const path = makePath();
		const before = await position({ path }, "first");
		const cluster = open({ path, restored: true });
		const page = await cluster.node().read("a", { after: 0, limit: 10 });
		expect(page.epoch).not.toBe(before.split(":")[0]);
		expect([page.head, page.entries.length]).toEqual([1, 1]);
		await cluster.close();
	});

	it("a channel that was only read has its epoch still after a restart, and another one after a loss", async () => {
		const path = makePath();
		const epochs: string[] = [];
		for (const restored of [false, false, true]) {
			const cluster = open({ path, restored });
			epochs.push((await cluster.node().read("quiet", { after: 0, limit: 1 })).epoch);
			await cluster.close();
		}
		expect(epochs[1]).toBe(epochs[0]);
		expect(epochs[2]).not.toBe(epochs[0]);
	});
});

/** A disk that keeps what it is given when the test says so. */
class SlowDisk {
	#waiting: ((error: Error | null) => void)[] = [];
	#asked: (() => void) | undefined;

	readonly sync: Sync = (_descriptor, done) => {
		this.#waiting.push(done);
		this.#asked?.();
	};

	/** Resolves when the disk is asked for something. */
	async isAsked(): Promise<void> {
		while (this.#waiting.length === 0) {
			await new Promise<void>((resolve) => {
				this.#asked = resolve;
			});
		}
	}

	answer(error: Error | null = null): void {
		for (const done of this.#waiting.splice(0)) {
			done(error);
		}
	}
}

describe("synchronous: full", () => {
	it("nobody is told, answered or shown anything before the disk has it", async () => {
		const disk = new SlowDisk();
		const cluster = open({ path: makePath() }, machine("first", disk.sync));
		const node = cluster.node();
		const seen: string[] = [];
		node.listen({ entries: () => seen.push("told"), reset: () => {} });
		await node.subscribe("a");
		void publish(node, "a", json("1")).then(() => seen.push("answered"));
		await disk.isAsked();
		void node.read("a", { after: 0, limit: 1 }).then(({ head }) => seen.push(`read ${head}`));
		const joined = cluster.node();
		joined.listen({ entries: () => seen.push("told twice"), reset: () => {} });
		const joining = joined.subscribe("a");
		await new Promise((resolve) => setImmediate(resolve));
		expect(seen).toEqual([]);
		disk.answer();
		expect((await joining).offset).toBe(1);
		await new Promise((resolve) => setImmediate(resolve));
		expect(seen[0]).toBe("told");
		expect(new Set(seen)).toEqual(new Set(["told", "answered", "read 1"]));
		await cluster.close();
	});

	it("what comes while the disk works shares the next wait", async () => {
		const disk = new SlowDisk();
		const cluster = open({ path: makePath() }, machine("first", disk.sync));
		const node = cluster.node();
		const first = publish(node, "a", json("0"));
		await disk.isAsked();
		const others = Array.from({ length: 100 }, (_, index) => publish(node, "a", json(`${index + 1}`)));
		disk.answer();
		await first;
		await disk.isAsked();
		disk.answer();
		await Promise.all(others);
		expect(cluster.stats().commits).toBe(2);
		await cluster.close();
	});

	it("a disk that stands still holds up a bounded amount: more is refused, and what waits is kept later", async () => {
		const disk = new SlowDisk();
		const cluster = open({ path: makePath(), maxWaitingBytes: 100_000 }, machine("first", disk.sync));
		const node = cluster.node();
		const first = publish(node, "a", json("1"));
		await disk.isAsked();
		const waiting = Array.from({ length: 9 }, () => publish(node, "a", json("x".repeat(10_000))));
		expect(await refusal(publish(node, "a", json("x".repeat(10_000))))).toMatchObject({
			code: "unavailable",
			message: expect.stringContaining("too much waits"),
		});
		disk.answer();
		await first;
		await disk.isAsked();
		disk.answer();
		expect((await Promise.all(waiting)).at(-1)?.offset).toBe(10);
		await cluster.close();
	});

	it("what changes nothing does not ask the disk", async () => {
		const disk = new SlowDisk();
		const cluster = open({ path: makePath() }, machine("first", disk.sync));
		const node = cluster.node();
		await cluster.sweep();
		await node.records.delete("nothing");
		await cluster.close();
	});

	it("after the disk refused once nothing is promised any more, and the unclear publish was no success", async () => {
		const disk = new SlowDisk();
		const cluster = open({ path: makePath() }, machine("first", disk.sync));
		const node = cluster.node();
		const told: number[] = [];
		node.listen({ entries: (_channel, _epoch, entries) => told.push(entries.length), reset: () => {} });
		await node.subscribe("a");
		const publishing = refusal(publish(node, "a", json("1")));
		await disk.isAsked();
		disk.answer(new Error("EIO: i/o error, fdatasync"));
		expect(await publishing).toMatchObject({ code: "unavailable", message: /did not keep .*EIO/ });
		expect(await refusal(publish(node, "a", json("2")))).toMatchObject({ code: "unavailable" });
		expect(await refusal(node.read("a", { after: 0, limit: 1 }))).toMatchObject({ code: "unavailable" });
		expect(told).toEqual([]);
		await node.close();
		await cluster.close();
	});
});

it("checkpoints wait for the disk before and after, hold up commits, and lose nothing", async () => {
	const path = makePath();
	const cluster = open({ path, synchronous: "normal" });
	const node = cluster.node();
	const data = json("x".repeat(50_000));
	await Promise.all(
		Array.from({ length: 1_000 }, () =>
			publish(node, "a", data, { retention: { messages: 5, bytes: 1e9, ageMs: 1e6 } }),
		),
	);
	await publish(node, "b", json("after"));
	await cluster.idle();
	expect(cluster.stats().checkpoints).toBeGreaterThan(0);
	expect(await readTexts(node, "b")).toEqual(["after"]);
	await cluster.close();
	const again = open({ path });
	expect(await again.node().read("a", { after: 0, limit: 10 })).toMatchObject({ head: 1_000, tail: 995 });
	await again.close();
});
