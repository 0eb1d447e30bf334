import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommanderError } from "commander";
import { describe, expect, it, onTestFinished } from "vitest";
import { verifyCommand } from "../../src/commands/verify.ts";
import { CliError } from "../../src/error.ts";
import type { Terminal } from "../../src/terminal.ts";
import type { RecordEvent } from "../../src/verify/record/event.ts";
import { writeRecord } from "../../src/verify/record/record-file.ts";
import { startServer } from "./broken-server.ts";
import { history } from "./history.ts";

interface Outcome {
	readonly printed: readonly string[];
	readonly noted: string;
	readonly error: unknown;
}

async function call(...args: readonly string[]): Promise<Outcome> {
	const printed: string[] = [];
	const noted: string[] = [];
	const terminal: Terminal = {
		print: (line) => printed.push(line),
		note: (text) => noted.push(text),
		progress: (text) => text === undefined || noted.push(text),
		stopped: new AbortController().signal,
		onHangUp: () => {},
		release: () => {},
	};
	const command = verifyCommand(terminal)
		.exitOverride()
		.configureOutput({ writeErr: (text) => noted.push(text) });
	const error: unknown = await command.parseAsync(args, { from: "user" }).then(
		() => undefined,
		(cause: unknown) => cause,
	);
	return { printed, noted: noted.join("\n"), error };
}

async function recordOf(events: readonly RecordEvent[]): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "tidewire-verify-"));
	onTestFinished(() => rm(folder, { recursive: true }));
	const file = join(folder, "run.jsonl");
	const writer = writeRecord(file, { record: 1, seed: 1, url: "ws://h/", startedAt: "", about: {} });
	for (const event of events) {
		writer.write(event);
	}
	await writer.close();
	return file;
}

describe("tidewire verify", () => {
	it("runs, tells the seed, keeps the record, and judges it the same way again", async () => {
		const url = await startServer();
		const record = await recordOf([]);
		const few = ["--seconds", "0.3", "--publishers", "2", "--subscribers", "2", "--channels", "1", "--faults", "none"];
		const ran = await call(url.href, ...few, "--seed", "5", "--record", record);
		expect(ran.error).toBeUndefined();
		expect(ran.noted).toMatch(/^seed 5: 2 publishers, 2 subscribers, 1 channels/);
		expect(ran.printed.at(-1)).toMatch(/^0 lost, 0 doubled, 0 out of order, of \d+ acknowledged messages in/);
		const judged = await call("--judge", record);
		expect(judged.error).toBeUndefined();
		expect(judged.printed).toEqual(ran.printed);
	});

	it("fails with what was violated, and shows the evidence", async () => {
		const { events } = history(1, "drop one");
		const { printed, error } = await call("--judge", await recordOf(events));
		expect(printed.at(-1)).toMatch(/^1 lost, 0 doubled, 0 out of order, of/);
		expect(error).toMatchObject({ code: "failure", message: expect.stringMatching(/^violated: .*silent_gap 1/) });
		expect(printed.join("\n")).toMatch(/silent_gap: s\d on [ab] passed over e\d+:\d+ \[\d+\]/);
	});

	it("prints the verdict as JSON", async () => {
		const { printed } = await call("--json", "--judge", await recordOf(history(2).events));
		expect(printed).toHaveLength(1);
		expect(JSON.parse(printed[0]!)).toMatchObject({ seed: 1, clean: true, complete: true, counts: { lost_acked: 0 } });
	});

	it("says that a record has no end", async () => {
		const { events } = history(3);
		const { printed } = await call("--judge", await recordOf(events.slice(0, -40)));
		expect(printed.join("\n")).toMatch(/The record has no end/);
	});

	it("fails where nothing was acknowledged: that shows nothing", async () => {
		const { error } = await call("--judge", await recordOf([{ t: 1, event: "end" }]));
		expect(error).toMatchObject({ code: "failure", message: expect.stringMatching(/nothing was acknowledged/) });
	});

	it.each([
		["neither URL nor record", [], /either the server's URL or --judge/],
		["both", ["ws://h/", "--judge", "f"], /either the server's URL or --judge/],
		["kill without a node of its own", ["ws://h/", "--faults", "kill"], /the fault kill needs --start/],
		["nodes without --start", ["ws://h/", "--nodes", "2"], /--nodes and port 0/],
		[
			"cuts with the SDK over TLS",
			["wss://h/", "--sdk", "--faults", "cut"],
			/the fault cut is not possible with --sdk and this URL/,
		],
		["leaving with the SDK", ["ws://h/", "--sdk", "--faults", "leave"], /the fault leave is not possible with --sdk$/],
	])("is called wrongly with %s", async (_what, args, words) => {
		const { error } = await call(...args);
		expect(error).toBeInstanceOf(CliError);
		expect(error).toMatchObject({ code: "usage", message: expect.stringMatching(words) });
	});

	it.each([
		["an unknown fault", ["--faults", "cut,flood"], /"flood" is none of cut, stall/],
		["no number", ["--rate", "many"], /It must be a number above 0/],
		["nobody", ["--subscribers", "0"], /It must be a whole number above 0/],
		["too large a seed", ["--seed", "4294967296"], /from 0 to 4294967295/],
	])("refuses %s", async (_what, args, words) => {
		const { error, noted } = await call("ws://h/", ...args);
		expect(error).toBeInstanceOf(CommanderError);
		expect(noted).toMatch(words);
	});
});
