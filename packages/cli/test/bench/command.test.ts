/** `tidewire bench` as a person starts it. What the figures are is no test's business; that they are there is. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { start } from "../../../tidewire/test/running.ts";
import type { Result } from "../../src/bench/result.ts";
import { type Fault, fakeServer } from "./fake-server.ts";

const SHORT = ["--seconds", "0.3", "--warm-up", "0.1", "--clients", "4", "--patience", "1"];

const bench = (url: string, ...args: readonly string[]) => start(["bench", url, ...SHORT, ...args]).ended;

async function newFolder(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "tidewire-bench-"));
	onTestFinished(() => rm(folder, { recursive: true }));
	return folder;
}

/** What `--json` prints. */
function results(stdout: string): readonly Result[] {
	return stdout
		.trimEnd()
		.split("\n")
		.map((line) => JSON.parse(line) as Result);
}

describe("tidewire bench", () => {
	it("prints percentiles, CPU and memory, that each offset came once and in order, and whether the load was the limit", async () => {
		const { code, stdout } = await bench(
			await fakeServer("none"),
			"--subject",
			"latency",
			"--pid",
			String(process.pid),
		);
		expect(stdout).toMatch(/^latency \(clients 4, channels 1, rate 100, payload 128 bytes, seconds 0\.3, /);
		expect(stdout).toMatch(
			/^ {2}case +deliveries +deliveries\/s +p50 ms +p90 ms +p99 ms .*cpu µs +cpu user µs +resident MB$/m,
		);
		// 100 messages a second for 0.3 s to 4 clients; the warm-up counts for continuity only.
		expect(stdout).toMatch(/^ {2}100 messages\/s in 1 channel +120 /m);
		expect(stdout).toMatch(/^ {2}continuity: each offset once and in order: 160 deliveries to 4 subscriptions$/m);
		expect(stdout).toMatch(/^ {2}load: 1 process, the busiest at \d+ % of a core/m);
		expect(code).toBe(0);
	});

	it("measures latency, fan-out alone and in bursts, and connections where it is told nothing else", async () => {
		const { code, stdout } = await bench(await fakeServer("none"));
		expect(stdout.match(/^\w+(?= \()/gm)).toEqual(["latency", "fanout", "connections"]);
		expect(stdout).toMatch(/^ {2}1 message at a time +\d+ /m);
		expect(stdout).toMatch(/^ {2}20 messages at a time +\d+ /m);
		expect(stdout).toMatch(/^ {2}connections with a subscription +\d+ /m);
		expect(code).toBe(0);
	});

	it("shares clients out over channels and processes", async () => {
		const url = await fakeServer("none");
		const { code, stdout } = await bench(url, "--subject", "latency", "--channels", "2", "--workers", "3", "--json");
		const [result] = results(stdout);
		// Two clients in each of two channels, which have 30 messages each in the measured time.
		expect(result?.rows[0]).toMatchObject({ deliveries: 120 });
		expect(result).toMatchObject({
			load: [{ processes: 3 }],
			continuity: [{ subscriptions: 4, lost: 0, repeated: 0 }],
		});
		expect(code).toBe(0);
	});

	it("replays a recording, each client on all channels", async () => {
		const file = join(await newFolder(), "ticks.jsonl");
		const ticks = [1, 1.1, 1.2, 1.3].map((at, index) => ({ at, stream: `s${index % 2}`, data: { index } }));
		await writeFile(file, ticks.map((tick) => JSON.stringify(tick)).join("\n"));
		const replay = ["--subject", "recorded", "--payload", file, "--channels", "2", "--speed", "10"];
		const { code, stdout } = await bench(await fakeServer("none"), ...replay, "--json");
		const [result] = results(stdout);
		// A message each 10 ms, 40 in all, each to four clients on each of the channels.
		expect(result?.continuity[0]).toMatchObject({ subscriptions: 8, delivered: 160, lost: 0 });
		expect(result?.options).toMatchObject({ payload: "ticks.jsonl", speed: 10 });
		expect(code).toBe(0);
	});

	it("measures those who read while others have stopped to", async () => {
		const stalled = ["--subject", "latency,fanout", "--stalled", "1"];
		const { code, stdout } = await bench(await fakeServer("none"), ...stalled);
		expect(stdout).toMatch(/each offset once and in order: 120 deliveries to 3 subscriptions$/m);
		expect(code).toBe(0);
	});

	it("reads servers that write their messages otherwise", async () => {
		const { code, stdout } = await bench(await fakeServer("writes-otherwise"), "--subject", "latency");
		expect(stdout).toMatch(/each offset once and in order: 160 deliveries to 4/);
		expect(code).toBe(0);
	});

	it("prints and saves a JSON object for each subject, without the URL's query", async () => {
		const file = join(await newFolder(), "results.jsonl");
		const { stdout } = await bench(await fakeServer("none"), "--subject", "latency,fanout", "--json", "--save", file);
		expect(await readFile(file, "utf8")).toBe(stdout);
		expect(stdout).not.toContain("secret");
		expect(results(stdout)).toMatchObject([
			{ subject: "latency", url: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+\/connect$/), goals: [], absent: [] },
			{ subject: "fanout", rows: [{ case: "1 message at a time" }, { case: "20 messages at a time" }] },
		]);
	});

	it("tells how far it is, on the standard error output only", async () => {
		const { stderr, stdout } = await start([
			"bench",
			await fakeServer("none"),
			"--subject",
			"latency",
			"--seconds",
			"1",
		]).ended;
		expect(stderr).toMatch(/messages\/s in 1 channel: \d of 3 s, \d+ deliveries\/s/);
		expect(stdout).not.toContain(" of 3 s");
	});

	it("prints what it has by then when it is stopped, and ends cleanly", async () => {
		const running = start(["bench", await fakeServer("none"), "--seconds", "60", "--warm-up", "0", "--clients", "4"]);
		await running.says(/ [1-9]\d* deliveries\/s$/m, "stderr");
		const { code, stdout, stderr } = await running.kill("SIGINT");
		expect(stdout).toMatch(/^latency, stopped before its time \(/);
		expect(stdout).toMatch(/^ {2}100 messages\/s in 1 channel +[1-9]\d* /m);
		expect(stdout).toMatch(/each offset once and in order/);
		expect(stdout).not.toMatch(/^fanout/m);
		expect(stderr).toMatch(/^stopped$/m);
		expect(code).toBe(0);
	});
});

describe("tidewire bench finds", () => {
	it.each<[Fault, string, RegExp]>([
		["loses", "latency", /^ {2}continuity BROKEN: 16 lost; 144 deliveries to 4 subscriptions$/m],
		["repeats", "latency", /^ {2}continuity BROKEN: 16 repeated or out of order; 176 deliveries/m],
		["reorders", "latency", /^ {2}continuity BROKEN: .* repeated or out of order; /m],
		["loses", "fanout", /continuity BROKEN: .* lost; /],
		["stalls", "fanout", /continuity BROKEN: 4 lost; 40 deliveries/],
		["hangs-up", "latency", /4 connections ended by the server \(code 4008, slow consumer\)/],
	])("that a server %s (%s), and fails", async (fault, subject, words) => {
		const { code, stdout, stderr } = await bench(await fakeServer(fault), "--subject", subject);
		expect(stdout).toMatch(words);
		expect(stderr).toMatch(/did not deliver each message once and in order, or hung up/);
		expect(code).toBe(1);
	});

	it("that what is not delivered was announced, which is no failure", async () => {
		const { code, stdout } = await bench(await fakeServer("announces"), "--subject", "latency,fanout");
		expect(stdout).toMatch(/^ {2}continuity: no silent hole, 16 announced as not delivered: 144 deliveries/m);
		expect(code).toBe(0);
	});

	it("that publishes are refused for now, and counts them", async () => {
		const { code, stdout } = await bench(await fakeServer("limits-rate"), "--subject", "latency");
		expect(stdout).toMatch(/^ {2}refused by the server: \d+ publishes \(rate_limited\)$/m);
		expect(code).toBe(0);
	});
});

describe("tidewire bench says what is wrong, and with which exit code", () => {
	it.each<[string, Fault, RegExp]>([
		[
			"a subscription that is refused",
			"forbids-subscribe",
			/does not let this subscribe to bench_\w+: not here \(forbidden\)$/m,
		],
		["a publish that is refused", "forbids-publish", /refuses a publish: not here \(forbidden\)$/m],
		["a credential that is refused", "closes-at-once", /closed the connection: code 4001, no such token$/m],
	])("%s", async (_what, fault, words) => {
		const { code, stdout, stderr } = await bench(await fakeServer(fault), "--subject", "fanout");
		expect(stderr).toMatch(words);
		expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
	});

	it.each([
		["nothing listens", "ws://127.0.0.1:1/connect", [], /no WebSocket connection to .*nothing listens there/],
		["no such process", "ws://127.0.0.1:1/connect", ["--pid", "99999999"], /nothing is known of process 99999999/],
		[
			"no such file",
			"ws://127.0.0.1:1/connect",
			["--payload", "nowhere.jsonl"],
			/nowhere\.jsonl cannot be read: ENOENT/,
		],
	])("%s: 1", async (_what, url, args, words) => {
		const { code, stdout, stderr } = await bench(url, ...args);
		expect(stderr).toMatch(words);
		expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
	});

	it.each([
		["a URL of another kind", ["http://127.0.0.1:1"], /It must be a ws:\/\/ or wss:\/\/ URL/],
		["no URL", [], /missing required argument 'url'/],
		["an unknown subject", ["ws://x", "--subject", "speed"], /"speed" is not one of latency, fanout/],
		["an unknown option", ["ws://x", "--fast"], /unknown option '--fast'/],
		["a number that is none", ["ws://x", "--clients", "0"], /It must be a whole number from 1/],
		["a rate that is none", ["ws://x", "--rate", "-1"], /It must be a number above 0/],
		["options that exclude each other", ["ws://x", "--size", "9", "--payload", "x"], /--size and --payload exclude/],
		["nobody who reads", ["ws://x", "--clients", "2", "--stalled", "2"], /of 2 clients 2 cannot stall/],
		["a recording that is missing", ["ws://x", "--subject", "recorded"], /needs --payload with a recording/],
	])("%s: 2", async (_what, args, words) => {
		const { code, stdout, stderr } = await start(["bench", ...args]).ended;
		expect(stderr).toMatch(words);
		expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
	});
});

it("tidewire bench measures a real gateway", { timeout: 60_000 }, async () => {
	const gateway = start(["serve", "--port", "0", "--dev"]);
	const [, url = ""] = await gateway.says(/^Clients connect to (\S+)$/m);
	const { code, stdout } = await bench(url);
	expect(stdout.match(/continuity: each offset once and in order/g)).toHaveLength(4);
	expect(code).toBe(0);
});
