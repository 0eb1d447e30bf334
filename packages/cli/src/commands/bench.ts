/**
 * `tidewire bench URL`: measures a server from outside, as its clients see it, and with `--pid` what it costs. Results go
 * to the standard output, progress to the standard error output. A server that loses, repeats or hangs up fails the run.
 */
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { readUrl, tokenOption } from "../arguments.ts";
import { placeOf } from "../bench/load-client.ts";
import { type Payload, readPayloads, syntheticPayload } from "../bench/payload.ts";
import { isBroken, type Result, resultOf } from "../bench/result.ts";
import { ServerProcess } from "../bench/server-process.ts";
import { type Amounts, type Settings, SUBJECTS, type Subject } from "../bench/settings.ts";
import { measure } from "../bench/subjects.ts";
import { describeResult } from "../bench/text.ts";
import { CliError, wordsOf } from "../error.ts";
import type { Terminal } from "../terminal.ts";

interface BenchOptions extends Amounts {
	readonly subject?: readonly Subject[];
	readonly size?: number;
	readonly seconds: number;
	readonly warmUp: number;
	readonly payload?: string;
	readonly prefix: string;
	readonly workers?: number;
	readonly stalled: number;
	readonly atOnce: number;
	readonly patience: number;
	readonly pid?: number;
	readonly token?: string;
	readonly json?: boolean;
	readonly save?: string;
}

const DEFAULT_SUBJECTS: readonly Subject[] = ["latency", "fanout", "connections"];
const DEFAULT_SIZE = 128;
/** What one load process may have; the files that Node itself opens come on top. */
const MOST_CLIENTS_PER_WORKER = 8_000;
/** One process reads for so many at a pace that a server on another core can keep. */
const CLIENTS_PER_WORKER = 500;

export function benchCommand(terminal: Terminal): Command {
	return new Command("bench")
		.description("measure a server: latency, fan-out, a recording's pace, connections")
		.argument("<url>", "where the server is, such as ws://127.0.0.1:7400/connect", readUrl)
		.option(
			"--subject <names>",
			`what to measure, of ${SUBJECTS.join()} (default: ${DEFAULT_SUBJECTS.join()})`,
			readSubjects,
		)
		.option("--clients <number>", "connections that subscribe (default: 100; fanout, connections: 1000)", readCount)
		.option("--channels <number>", "channels, over which clients are shared out (default: 1; recorded: 16)", readCount)
		.option("--rate <number>", "latency: messages a second in each channel (default: 100)", readAmount)
		.option("--burst <number>", "fanout: messages published at a time (default: 1, then 20)", readCount)
		.option("--speed <number>", "recorded: times the recording's own pace (default: 1)", readAmount)
		.option("--size <bytes>", `length of each message's data, as JSON (default: ${DEFAULT_SIZE})`, readSize)
		.option("--payload <file.jsonl>", "publish the lines of this file instead")
		.option("--seconds <number>", "how long to measure", readAmount, 10)
		.option("--warm-up <number>", "seconds before that, which do not count", readSpan, 2)
		.option("--stalled <number>", "so many of the clients stop reading; the others are measured", readCount, 0)
		.option("--prefix <text>", "what the names of the channels begin with", "bench_")
		.option("--workers <number>", "load processes (default: by clients and cores)", readCount)
		.option("--at-once <number>", "connections that are being opened at a time", readCount, 100)
		.option("--patience <seconds>", "how long a delivery or an answer is waited for before it is lost", readAmount, 10)
		.option("--pid <number>", "the server's process on this machine: measure its CPU and memory, too", readCount)
		.addOption(tokenOption())
		.option("--json", "print each subject's result as one JSON object")
		.option("--save <file>", "write the results there, too, as --json prints them")
		.action((url: URL, options: BenchOptions) => bench(terminal, url, options));
}

async function bench(terminal: Terminal, url: URL, options: BenchOptions): Promise<void> {
	const subjects = options.subject ?? DEFAULT_SUBJECTS;
	if (options.size !== undefined && options.payload !== undefined) {
		throw new CliError("usage", "--size and --payload exclude each other");
	}
	const payloads = await readPayload(options);
	const settings = settle(terminal, url, options, payloads);
	const results: Result[] = [];
	try {
		for (const subject of new Set(subjects)) {
			const measurement = terminal.stopped.aborted
				? undefined
				: await measure(subject, sized(settings, subject, options));
			if (measurement === undefined) {
				break;
			}
			const result = resultOf(measurement, placeOf(url.href));
			results.push(result);
			terminal.progress(undefined);
			for (const line of options.json === true ? [JSON.stringify(result)] : describeResult(result)) {
				terminal.print(line);
			}
		}
	} finally {
		terminal.progress(undefined);
		await save(options.save, results);
	}
	if (terminal.stopped.aborted) {
		terminal.note(results.length === 0 ? "stopped before anything was measured" : "stopped");
	}
	if (results.some(({ continuity }) => continuity.some(isBroken))) {
		throw new CliError("failure", "the server did not deliver each message once and in order, or hung up");
	}
}

function settle(terminal: Terminal, url: URL, options: BenchOptions, payloads: readonly Payload[]): Settings {
	const { clients, channels, rate, burst, speed, seconds, warmUp, prefix, stalled, atOnce, patience, pid, token } =
		options;
	return {
		target: { url: url.href, token },
		clients,
		channels,
		rate,
		burst,
		speed,
		seconds,
		warmUp,
		payloads,
		payloadName: options.payload === undefined ? `${options.size ?? DEFAULT_SIZE} bytes` : basename(options.payload),
		stalled,
		workers: 1,
		atOnce,
		patienceMs: patience * 1_000,
		process: pid === undefined ? undefined : new ServerProcess(pid),
		// Unguessable, so that runs do not meet.
		newNames: () => ({ prefix: `${prefix}${randomBytes(4).toString("hex")}_` }),
		stopped: terminal.stopped,
		progress: (text) => terminal.progress(text),
	};
}

/** As many processes as the subject's clients need: one core is left to the publisher, and to the server where it is here. */
function sized(settings: Settings, subject: Subject, { workers }: BenchOptions): Settings {
	const clients = settings.clients ?? (subject === "fanout" || subject === "connections" ? 1_000 : 100);
	const wanted = Math.min(Math.max(1, availableParallelism() - 1), Math.ceil(clients / CLIENTS_PER_WORKER));
	const least = Math.ceil(clients / MOST_CLIENTS_PER_WORKER);
	if (subject !== "connections" && settings.stalled >= clients) {
		throw new CliError("usage", `of ${clients} clients ${settings.stalled} cannot stall: one at least must read`);
	}
	return { ...settings, clients, workers: workers ?? Math.max(wanted, least) };
}

async function readPayload({ payload, size = DEFAULT_SIZE }: BenchOptions): Promise<readonly Payload[]> {
	if (payload === undefined) {
		return [syntheticPayload(size)];
	}
	try {
		return readPayloads(payload, await readFile(payload, "utf8"));
	} catch (cause) {
		throw cause instanceof CliError
			? cause
			: new CliError("failure", `${payload} cannot be read: ${wordsOf(cause)}`, { cause });
	}
}

async function save(file: string | undefined, results: readonly Result[]): Promise<void> {
	if (file === undefined || results.length === 0) {
		return;
	}
	try {
		await writeFile(file, results.map((result) => `${JSON.stringify(result)}\n`).join(""));
	} catch (cause) {
		throw new CliError("failure", `the results cannot be written: ${wordsOf(cause)}`, { cause });
	}
}

function readSubjects(text: string): readonly Subject[] {
	return text.split(",").map((name) => {
		const subject = SUBJECTS.find((known) => known === name);
		if (subject === undefined) {
			throw new InvalidArgumentError(`"${name}" is not one of ${SUBJECTS.join(", ")}.`);
		}
		return subject;
	});
}

function readCount(text: string): number {
	if (!/^[1-9]\d{0,7}$/.test(text)) {
		throw new InvalidArgumentError("It must be a whole number from 1.");
	}
	return Number(text);
}

function readAmount(text: string): number {
	const amount = Number(text);
	if (!/^\d{1,7}(\.\d{1,3})?$/.test(text) || amount === 0) {
		throw new InvalidArgumentError("It must be a number above 0.");
	}
	return amount;
}

function readSpan(text: string): number {
	if (!/^\d{1,6}(\.\d{1,3})?$/.test(text)) {
		throw new InvalidArgumentError("It must be a number of seconds.");
	}
	return Number(text);
}

function readSize(text: string): number {
	const bytes = readCount(text);
	if (bytes < 2) {
		throw new InvalidArgumentError("The shortest data is 2 bytes.");
	}
	return bytes;
}
