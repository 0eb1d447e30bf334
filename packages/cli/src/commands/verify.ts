/**
 * `tidewire verify URL`: drives load and faults against a deployment and judges whether it kept its promise: nothing lost
 * without a word, nothing twice, all in order. `tidewire verify --judge FILE` judges a record that an earlier run kept.
 */
import { randomInt } from "node:crypto";
import { Command, InvalidArgumentError } from "commander";
import { readUrl, tokenOption } from "../arguments.ts";
import { CliError } from "../error.ts";
import type { Terminal } from "../terminal.ts";
import { type FaultKind, KINDS, NODE_KINDS, PROXY_KINDS } from "../verify/fault/plan.ts";
import { Judge } from "../verify/judge/judge.ts";
import type { Verdict } from "../verify/judge/verdict.ts";
import { readRecord } from "../verify/record/record-file.ts";
import { describeVerdict, summarize } from "../verify/report.ts";
import { type Progress, type RunOptions, verify } from "../verify/run.ts";

interface VerifyOptions
	extends Pick<RunOptions, "seconds" | "publishers" | "subscribers" | "channels" | "channelName" | "rate" | "nodes"> {
	readonly faults?: readonly FaultKind[];
	readonly every: number;
	readonly start?: string;
	readonly seed?: number;
	readonly record?: string;
	readonly settle: number;
	readonly sdk?: boolean;
	readonly presence: boolean;
	readonly presenceGrace: number;
	readonly presenceLate: number;
	readonly token?: string;
	readonly judge?: string;
	readonly json?: boolean;
}

const MOST_SEED = 2 ** 32 - 1;

export function verifyCommand(terminal: Terminal): Command {
	return new Command("verify")
		.description("drive load and faults against a server, and judge: nothing lost, nothing twice, all in order")
		.argument("[url]", "where the server is, such as ws://127.0.0.1:7400/connect", readUrl)
		.option("--seconds <number>", "how long the load lasts", readPositive, 60)
		.option("--publishers <number>", "clients that publish", readCount, 10)
		.option("--subscribers <number>", "clients that are subscribed to every channel", readCount, 40)
		.option("--channels <number>", "channels that are published to", readCount, 10)
		.option("--channel-name <name>", "their names: {n} is the number, {run} differs each time", "verify_{run}_{n}")
		.option("--rate <number>", "messages a second, of all publishers together", readPositive, 200)
		.option("--faults <kinds>", `of ${KINDS.join(", ")}; none for none (default: all that can be done)`, readFaults)
		.option("--every <seconds>", "how often a fault comes", readPositive, 10)
		.option(
			"--start <command>",
			"start the server with this shell command, and again on the same {port} after kill and drain",
		)
		.option("--nodes <number>", "how many are started, on the URL's port and those after it", readCount, 1)
		.option("--seed <number>", "repeats a run's plan of faults (default: a random one, which is told)", readSeed)
		.option("--record <file>", "keep what was sent, acknowledged and received, as JSON lines")
		.option("--judge <file>", "judge such a record instead of running")
		.option("--settle <seconds>", "how long everything may take to arrive after the faults", readPositive, 15)
		.option("--sdk", "drive the SDK instead of a client of verify's own: judges what an application sees")
		.option("--no-presence", "without the five clients more that enter and watch a presence channel")
		.option(
			"--presence-grace <seconds>",
			"how long the server keeps a member that lost its connection",
			readPositive,
			15,
		)
		.option("--presence-late <seconds>", "how late all may know of a change of presence", readPositive, 5)
		.option("--json", "print the verdict as one JSON object")
		.addOption(tokenOption())
		.action((url: URL | undefined, options: VerifyOptions) => perform(terminal, url, options));
}

async function perform(terminal: Terminal, url: URL | undefined, options: VerifyOptions): Promise<void> {
	if ((url === undefined) === (options.judge === undefined)) {
		throw new CliError("usage", "verify takes either the server's URL or --judge with a record's file");
	}
	const { seed, verdict } = url === undefined ? await judge(options) : await run(terminal, url, options);
	if (options.json === true) {
		terminal.print(JSON.stringify({ seed, ...verdict }));
	} else {
		for (const line of describeVerdict(verdict)) {
			terminal.print(line);
		}
		terminal.print("");
		terminal.print(summarize(verdict));
	}
	if (!verdict.clean) {
		if (url !== undefined && options.record === undefined) {
			terminal.note(
				`--seed ${seed} repeats the plan of faults; --record <file> keeps the lines that are named`,
				"aside",
			);
		}
		const wrong = Object.entries(verdict.counts).filter(([, count]) => count > 0);
		throw new CliError("failure", `violated: ${wrong.map(([name, count]) => `${name} ${count}`).join(", ")}`);
	}
	if (verdict.figures.acknowledged === 0) {
		throw new CliError("failure", "nothing was acknowledged, so nothing is shown");
	}
}

interface Judged {
	readonly seed: number;
	readonly verdict: Verdict;
}

async function judge({ judge: file = "", presenceGrace, presenceLate }: VerifyOptions): Promise<Judged> {
	const judge = new Judge({ presenceGraceMs: presenceGrace * 1_000, presenceLateMs: presenceLate * 1_000 });
	let seed = 0;
	await readRecord(
		file,
		(event) => judge.see(event),
		(header) => {
			seed = header.seed;
		},
	);
	return { seed, verdict: judge.finish() };
}

async function run(terminal: Terminal, url: URL, options: VerifyOptions): Promise<Judged> {
	const { start, sdk = false, every, settle, token, record, seed = randomInt(MOST_SEED) } = options;
	const faults = options.faults ?? KINDS.filter((kind) => canDo(kind, url, options));
	const impossible = faults.find((kind) => !canDo(kind, url, options));
	if (impossible !== undefined) {
		throw new CliError(
			"usage",
			NODE_KINDS.includes(impossible)
				? `the fault ${impossible} needs --start: verify stops only nodes that it started itself`
				: `the fault ${impossible} is not possible with --sdk${PROXY_KINDS.includes(impossible) ? " and this URL" : ""}`,
		);
	}
	if (start === undefined && (options.nodes > 1 || url.port === "0")) {
		throw new CliError("usage", "--nodes and port 0 are for nodes that verify starts itself: they need --start");
	}
	const { seconds, publishers, subscribers, channels, channelName, rate, nodes } = options;
	const { presence, presenceGrace, presenceLate } = options;
	const about = `${publishers} publishers, ${subscribers} subscribers, ${channels} channels, ${rate} messages/s`;
	terminal.note(`seed ${seed}: ${about}, ${seconds} s, faults: ${faults.join(", ") || "none"}`, "aside");
	try {
		const verdict = await verify({
			...{ url, seconds, publishers, subscribers, channels, channelName, rate, nodes },
			...{ faults, everySeconds: every, settleSeconds: settle, start, token, record, seed, sdk },
			...{ presence, presenceGraceSeconds: presenceGrace, presenceLateSeconds: presenceLate },
			note: (words) => terminal.note(words, "aside"),
			stopped: terminal.stopped,
			progress: tell(terminal),
		});
		return { seed, verdict };
	} finally {
		terminal.progress(undefined);
	}
}

/** Nodes are stopped only where they were started by this run; the SDK takes a proxy only without TLS. */
function canDo(kind: FaultKind, url: URL, { start, sdk }: VerifyOptions): boolean {
	if (NODE_KINDS.includes(kind)) {
		return start !== undefined;
	}
	return sdk !== true || (PROXY_KINDS.includes(kind) && url.protocol === "ws:");
}

function tell(terminal: Terminal): (progress: Progress) => void {
	return ({ phase, seconds, acked, delivered, faults, anomalies }) => {
		const wrong = anomalies === 0 ? "" : `, ${anomalies} VIOLATIONS`;
		const waiting = phase === "settling" ? ", waiting for the rest" : "";
		terminal.progress(
			`${seconds} s: ${acked} acknowledged, ${delivered} delivered, ${faults} faults${wrong}${waiting}`,
		);
	};
}

function readPositive(text: string): number {
	const value = Number(text);
	if (!/^\d{1,9}(\.\d{1,3})?$/.test(text) || value <= 0) {
		throw new InvalidArgumentError("It must be a number above 0.");
	}
	return value;
}

function readCount(text: string): number {
	const value = Number(text);
	if (!/^\d{1,6}$/.test(text) || value === 0) {
		throw new InvalidArgumentError("It must be a whole number above 0.");
	}
	return value;
}

function readSeed(text: string): number {
	const value = Number(text);
	if (!/^\d{1,10}$/.test(text) || value > MOST_SEED) {
		throw new InvalidArgumentError(`It must be a whole number from 0 to ${MOST_SEED}.`);
	}
	return value;
}

function readFaults(text: string): readonly FaultKind[] {
	const names = text === "none" ? [] : text.split(",");
	const unknown = names.find((name) => !(KINDS as readonly string[]).includes(name));
	if (unknown !== undefined) {
		throw new InvalidArgumentError(`"${unknown}" is none of ${KINDS.join(", ")}.`);
	}
	return KINDS.filter((kind) => names.includes(kind));
}
