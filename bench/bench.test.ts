/** The subjects run, count right, and leave what the report reads. What the figures are is no test's business. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadAbsent } from "./load.ts";
import type { Result } from "./result.ts";

const PROGRAM = join(import.meta.dirname, "run.ts");
const results = mkdtempSync(join(tmpdir(), "tidewire-bench-"));
afterAll(() => rmSync(results, { recursive: true }));

function run(...args: readonly string[]): Promise<{ readonly code: number; readonly printed: string }> {
	const command = ["--conditions=tidewire-source", PROGRAM, ...args, "--results", results];
	return new Promise((resolve) => {
		execFile(process.execPath, command, (error, stdout, stderr) => {
			resolve({
				code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1,
				printed: stdout + stderr,
			});
		});
	});
}

/** The shortest that still goes through everything. */
async function measured(subject: string, ...options: readonly string[]): Promise<Result> {
	const short = ["--quick", "--seconds", "0.1", "--warmUp", "0.05", "--systems", "tidewire,tidewire-enveloped,ws"];
	const { code, printed } = await run(subject, ...short, ...options);
	expect(printed).not.toContain("failed: ");
	expect({ code, printed }).toMatchObject({ code: 0 });
	return JSON.parse(readFileSync(join(results, `${subject}.json`), "utf8")) as Result;
}

const systemsOf = ({ rows }: Result, name: string): readonly string[] =>
	rows.filter((row) => row.case === name).map(({ system }) => system);

it("lists the subjects with their options", async () => {
	const { code, printed } = await run("--list");
	expect(printed).toMatch(/^npm run bench -- fanout .*\n +--rounds 5 /m);
	expect(code).toBe(0);
});

it.each(["nothing", "fanout --systems nobody", "fanout --rounds many"])("refuses %s", async (command) => {
	expect(await run(...command.split(" "))).toMatchObject({ code: 2 });
});

describe.skipIf(loadAbsent() !== undefined)(`subjects${loadAbsent() ? `: skipped, ${loadAbsent()}` : ""}`, () => {
	it("fanout: CPU per delivery of every system, and names those that are absent", { timeout: 120_000 }, async () => {
		const result = await measured("fanout", "--clients", "20");
		expect(result).toMatchObject({ subject: "fanout", options: { clients: 20 }, date: expect.any(String) });
		expect(systemsOf(result, "1 message a turn")).toEqual(["tidewire", "tidewire-enveloped", "ws"]);
		expect(systemsOf(result, "bursts of 20")).toEqual(["tidewire", "tidewire-enveloped", "ws"]);
		for (const row of result.rows) {
			expect(row).toMatchObject({ lost: 0, "cpu µs": expect.any(Number) });
			expect(Number(row.deliveries) % 20).toBe(0);
		}
		expect(result.absent).toContainEqual({ system: "socket.io", reason: "left out by --systems" });
		expect(result.goals).toContainEqual({
			name: "1 message a turn: CPU of Socket.IO",
			limit: 0.65,
			figure: null,
			met: null,
		});
	});

	it("channels16: every client gets every message of the recorded pace", { timeout: 120_000 }, async () => {
		const result = await measured("channels16", "--clients", "16", "--seconds", "0.3");
		const { messagesPerSecond } = result.options;
		expect(systemsOf(result, "16 clients")).toEqual(["tidewire", "ws"]);
		for (const row of result.rows) {
			expect(row).toMatchObject({
				lost: 0,
				"in time %": 100,
				deliveries: Math.round(Number(messagesPerSecond) * 0.3) * 16,
			});
		}
	});

	it("latency: percentiles, and nothing lost", { timeout: 120_000 }, async () => {
		const result = await measured("latency", "--clients", "20", "--seconds", "0.2");
		expect(systemsOf(result, "10 channels × 2")).toEqual(["tidewire", "ws"]);
		for (const row of result.rows) {
			expect(row).toMatchObject({ lost: 0, "p50 ms": expect.any(Number), "p99 / ws": expect.any(Number) });
			// 20 clients with 100 messages a second each for 0.2 s, and what was under way when it began.
			expect(Number(row.deliveries)).toBeGreaterThanOrEqual(400);
		}
	});

	it("crowd: the percentiles are of one message to all", { timeout: 120_000 }, async () => {
		const result = await measured("crowd", "--clients", "50", "--seconds", "1", "--warmUp", "0");
		for (const row of result.rows) {
			expect(row).toMatchObject({ deliveries: 50, lost: 0 });
		}
	});

	it("compression: both ways decode to what was published", { timeout: 120_000 }, async () => {
		const result = await measured("compression", "--clients", "10");
		for (const name of ["alone", "shared context"]) {
			const row = result.rows.find((one) => one.system === "tidewire" && one.case === name);
			expect(Number(row?.decoded)).toBeGreaterThan(0);
			expect(Number(row?.["saved %"])).toBeGreaterThan(0);
		}
	});

	it("memory: bytes of a connection", { timeout: 120_000 }, async () => {
		const result = await measured("memory", "--clients", "200");
		expect(systemsOf(result, "200 connections")).toEqual(["tidewire", "ws"]);
		expect(result.goals).toContainEqual(expect.objectContaining({ limit: 4_500, figure: expect.any(Number) }));
	});

	it("many-channels: cost of a publish, and bytes of a channel", { timeout: 120_000 }, async () => {
		const result = await measured("many-channels", "--channels", "2000", "--messages", "3000");
		expect(result.rows).toHaveLength(2);
		expect(result.rows[1]).toMatchObject({ "bytes a channel": expect.any(Number), "cpu µs": expect.any(Number) });
	});

	it("scale: one row for each size", { timeout: 120_000 }, async () => {
		const result = await measured("scale", "--clients", "100");
		expect(systemsOf(result, "1 subscriber")).toEqual(["tidewire", "ws"]);
		expect(systemsOf(result, "100 subscribers")).toEqual(["tidewire", "ws"]);
	});

	it("stalled: the healthy ones get everything, and memory is a line over time", { timeout: 120_000 }, async () => {
		const sizes = [
			"--clients",
			"20",
			"--stalled",
			"5",
			"--megabytes",
			"0.2",
			"--minuteSeconds",
			"2",
			"--seconds",
			"0.5",
		];
		const result = await measured("stalled", ...sizes);
		expect(result.rows[0]).toMatchObject({ system: "tidewire-enveloped", deliveries: 200 * 15, lost: 0 });
		expect(result.series?.map(({ unit }) => unit)).toEqual(Array.from({ length: 6 }, () => "MB"));
		for (const { x, y } of result.series ?? []) {
			expect(x.length).toBe(y.length);
		}
	});

	it("heartbeat: with connections, and the wheel alone", { timeout: 120_000 }, async () => {
		const result = await measured("heartbeat", "--clients", "20");
		expect(result.rows.map(({ system }) => system)).toEqual(["tidewire", "tidewire"]);
	});
});
