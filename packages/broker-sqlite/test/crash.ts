/**
 * Kills a publishing process again and again, and holds the file against what the process said was accepted: each entry
 * is there once, at the position that was said, under the epoch that was said, and no key is forgotten.
 *
 * The long form: node --conditions=tidewire-source packages/broker-sqlite/test/crash.ts [ROUNDS] [full|normal] [SEED]
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSqliteBroker, type SqliteBroker, type Synchronous } from "../src/index.ts";

export interface CrashOptions {
	readonly path: string;
	readonly rounds: number;
	readonly synchronous: Synchronous;
	readonly seed: number;
	/** Does something to the file after each death, to see whether that is found. */
	readonly tamper?: (path: string) => void;
	readonly report?: (round: number, accepted: number) => void;
}

interface Accepted {
	readonly channel: string;
	readonly epoch: string;
	readonly offset: number;
	readonly value: string;
}

export interface CrashResult {
	readonly accepted: number;
	/** What was found wrong, in words. */
	readonly faults: readonly string[];
}

const PUBLISHER = join(import.meta.dirname, "crash-publisher.ts");

/** A small generator, so that a run can be repeated: mulberry32. */
function random(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

export async function crash({ path, rounds, synchronous, seed, tamper, report }: CrashOptions): Promise<CrashResult> {
	const next = random(seed);
	const accepted: Accepted[] = [];
	const faults: string[] = [];
	for (let round = 0; round < rounds; round++) {
		// From the first line on, so that the kill falls into the work and not into the start of the process.
		const after = 1 + Math.floor(next() ** 3 * 3_000);
		accepted.push(...(await publishAndDie(path, synchronous, round * 10_000_000, after)));
		tamper?.(path);
		const broker = createSqliteBroker({ path, synchronous });
		faults.push(...(await judge(broker, accepted)).map((fault) => `round ${round}: ${fault}`));
		await broker.close();
		report?.(round, accepted.length);
	}
	return { accepted: accepted.length, faults };
}

/** Lets a process publish until it has said `after` lines, then kills it; gives what it said. */
function publishAndDie(path: string, synchronous: string, from: number, after: number): Promise<readonly Accepted[]> {
	return new Promise((resolve, reject) => {
		const args = ["--conditions=tidewire-source", PUBLISHER, path, synchronous, `${from}`];
		const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
		let said = "";
		let killed = false;
		child.stdout.setEncoding("utf8").on("data", (text: string) => {
			said += text;
			if (!killed && said.split("\n").length > after) {
				killed = child.kill("SIGKILL");
			}
		});
		child.on("error", reject);
		child.on("close", () => {
			const lines = said.split("\n").slice(0, -1);
			if (!killed) {
				reject(new Error(`the publisher ended by itself after ${lines.length} lines`));
				return;
			}
			resolve(
				lines.map((line) => {
					const [channel = "", epoch = "", offset, value = ""] = line.split(" ");
					return { channel, epoch, offset: Number(offset), value };
				}),
			);
		});
	});
}

async function judge(broker: SqliteBroker, accepted: readonly Accepted[]): Promise<readonly string[]> {
	const faults: string[] = [];
	const kept = new Map<string, string>();
	const seen = new Set<string>();
	for (const channel of new Set(accepted.map((each) => each.channel))) {
		let after = 0;
		for (;;) {
			const { epoch, entries } = await broker.read(channel, { after, limit: 1_000 });
			for (const { offset, data } of entries) {
				const value = new TextDecoder().decode(data).trimEnd();
				if (offset !== after + 1) {
					faults.push(`${channel} goes from ${after} to ${offset}`);
				}
				if (seen.has(value)) {
					faults.push(`${value} is there twice`);
				}
				seen.add(value);
				kept.set(`${channel} ${epoch} ${offset}`, value);
				after = offset;
			}
			if (entries.length === 0) {
				break;
			}
		}
	}
	for (const { channel, epoch, offset, value } of accepted) {
		const found = kept.get(`${channel} ${epoch} ${offset}`);
		if (found !== value) {
			faults.push(`${channel} ${epoch}:${offset} was accepted as ${value} and is ${found ?? "gone"}`);
		}
	}
	const keyed = accepted.findLast(({ value }) => Number(value) % 2 === 0);
	if (keyed !== undefined) {
		faults.push(...(await repeat(broker, keyed)));
	}
	return faults;
}

/** A publisher that does not know whether it was heard asks again. */
async function repeat(broker: SqliteBroker, { channel, epoch, offset, value }: Accepted): Promise<readonly string[]> {
	const result = await broker.publish(
		channel,
		{ data: new TextEncoder().encode(value), encoding: "json" },
		{ retention: { messages: 100_000, bytes: 1024 ** 3, ageMs: 3_600_000 }, idempotencyKey: `key-${value}` },
	);
	const isFirst =
		result.status === "accepted" &&
		result.duplicate &&
		result.position.epoch === epoch &&
		result.position.offset === offset;
	return isFirst ? [] : [`the repeat of ${value} came to ${JSON.stringify(result)}`];
}

if (import.meta.main) {
	const [rounds = "200", synchronous = "full", seed = `${Date.now() % 1_000_000}`] = process.argv.slice(2);
	const folder = mkdtempSync(join(tmpdir(), "tidewire-crash-"));
	const result = await crash({
		path: join(folder, "channels.db"),
		rounds: Number(rounds),
		synchronous: synchronous === "normal" ? "normal" : "full",
		seed: Number(seed),
		report: (round, accepted) => console.log(`round ${round + 1}: ${accepted} accepted so far`),
	});
	rmSync(folder, { recursive: true });
	console.log(`seed ${seed}: ${result.accepted} accepted, ${result.faults.length} faults`);
	console.log(result.faults.slice(0, 20).join("\n"));
	process.exitCode = result.faults.length === 0 ? 0 : 1;
}
