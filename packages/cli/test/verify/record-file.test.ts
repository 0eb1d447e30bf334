import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RecordEvent, RecordHeader } from "../../src/verify/record/event.ts";
import { parseEvent, readRecord, writeRecord } from "../../src/verify/record/record-file.ts";
import { history } from "./history.ts";

const HEADER: RecordHeader = { record: 1, seed: 7, url: "ws://h/connect", startedAt: "2026-01-01", about: {} };

let folder: string;
let file: string;

beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "tidewire-record-"));
	file = join(folder, "run.jsonl");
});

afterEach(() => rm(folder, { recursive: true }));

async function write(events: readonly RecordEvent[]): Promise<void> {
	const writer = writeRecord(file, HEADER);
	for (const event of events) {
		writer.write(event);
	}
	await writer.close();
}

async function read(): Promise<readonly RecordEvent[]> {
	const events: RecordEvent[] = [];
	await readRecord(file, (event) => events.push(event));
	return events;
}

describe("a record", () => {
	it("is read as it was written, header first", async () => {
		const { events } = history(1);
		await write(events);
		expect(await read()).toEqual(events);
		const headers: RecordHeader[] = [];
		await readRecord(
			file,
			() => {},
			(header) => headers.push(header),
		);
		expect(headers).toEqual([HEADER]);
	});

	it("is one line an event, so that lines can be pointed at", async () => {
		const { events } = history(2);
		await write(events);
		const lines = (await readFile(file, "utf8")).split("\n");
		expect(lines).toHaveLength(events.length + 2);
		expect(JSON.parse(lines[5]!)).toEqual(events[4]);
	});

	it("may end in the middle of a line, where its writer was killed", async () => {
		const { events } = history(3);
		await write(events);
		await appendFile(file, '{"event":"ack","cli');
		expect(await read()).toEqual(events);
	});

	it.each([
		["no JSON", "nonsense", /line 2 of the record is no JSON object/],
		["an unknown event", '{"t":1,"event":"toString"}', /line 2 of the record has no known event/],
		[
			"a missing field",
			'{"t":1,"event":"gap","client":"s","channel":"c","from":1,"to":2}',
			/"reason" cannot be missing/,
		],
		["a wrong field", '{"t":1,"event":"lost","client":"s","code":-1,"reason":""}', /"code" cannot be -1/],
	])("is refused with %s, by its line", async (_what, line, words) => {
		await writeFile(file, `${JSON.stringify(HEADER)}\n${line}\n{"t":1,"event":"end"}\n`);
		await expect(read()).rejects.toThrow(words);
	});

	it("is refused without a header, and where there is no file", async () => {
		await writeFile(file, '{"t":1,"event":"end"}\n');
		await expect(read()).rejects.toThrow(/line 1 .* "record" cannot be missing/);
		await writeFile(file, "");
		await expect(read()).rejects.toThrow(/holds no record/);
		await expect(readRecord(join(folder, "none"), () => {})).rejects.toThrow(/cannot be read/);
	});

	it("that cannot be written says so when it is closed", async () => {
		const writer = writeRecord(join(folder, "none", "run.jsonl"), HEADER);
		writer.write({ t: 1, event: "end" });
		await expect(writer.close()).rejects.toThrow(/cannot be written/);
	});

	it("ignores fields that it does not know", () => {
		expect(parseEvent('{"t":1,"event":"end","more":true}', 2)).toEqual({ t: 1, event: "end", more: true });
	});
});
