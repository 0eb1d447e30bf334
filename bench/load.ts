/**
 * The load client (`load/`, C, so that the server and not the client is what is measured), compiled when it is first
 * needed, and spoken to by lines: it connects, subscribes, publishes, counts and times.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { STAMP_KEY } from "./message.ts";
import { LOAD_CORE, Measured } from "./process.ts";

/** In the order of `load/load.h`. */
const DIALECTS = ["plain", "tidewire", "socketio", "centrifugo", "nats"] as const;
export type Dialect = (typeof DIALECTS)[number];

/** What a client says until it is subscribed. */
export interface Opening {
	readonly dialect: Dialect;
	/** The upgrade request. */
	readonly request: string;
	/** What it sends behind the handshake, each a frame of its own. */
	readonly says?: readonly string[];
	/** It is ready when this has come `replies` times. Default: with the handshake. */
	readonly token?: string;
	readonly replies?: number;
}

/** A message to be published. */
export interface Published {
	/** The payload of the client's frame, in the protocol of the server; its stamp is set when it is sent. */
	readonly payload: string;
	/** Which of the load's publishing connections sends it, in the order in which they were opened. Default 0. */
	readonly publisher?: number;
	/** From the beginning of the script; for `paced`. */
	readonly dueMicros?: number;
	/** How many deliveries it makes; for `paced`. */
	readonly deliveries?: number;
}

export interface Figures {
	readonly deliveries: number;
	/** Expected, and not there in time. */
	readonly lost: number;
	/** Stamped earlier than the one before it on the same connection; means something where a client has one channel. */
	readonly disordered: number;
	/** Announcements of what is not delivered (Tidewire, enveloped). */
	readonly events: number;
	readonly closed: number;
	/** Compressed messages that were decoded. */
	readonly decoded: number;
	/** All that subscribers received. */
	readonly wireBytes: number;
	readonly payloadBytes: number;
	readonly elapsedMs: number;
	/** Of the server. */
	readonly userMicros: number;
	readonly systemMicros: number;
	/** The part of the time in which the load had nothing to do: it was not the limit. */
	readonly loadIdle: number;
	/** The part of the time in which each was ready to run and something else ran on its core. */
	readonly serverWaited: number;
	readonly loadWaited: number;
	/** How late the publisher was, at most: what it cannot blame the server for. */
	readonly lateMs: number;
	/** Deliveries that are in the percentiles. */
	readonly timed: number;
	readonly p50Ms: number;
	readonly p90Ms: number;
	readonly p99Ms: number;
	readonly p999Ms: number;
	readonly maxMs: number;
}

const SOURCES = join(import.meta.dirname, "load");
const CACHE = join(import.meta.dirname, "../node_modules/.cache/tidewire-bench");
const NO_STAMP = 0xffff_ffff;
/** due, publisher, subscribers, place of the stamp, length */
const RECORD_BYTES = 20;

/** Why there can be no load here; undefined where it can. */
export function loadAbsent(): string | undefined {
	if (process.platform !== "linux") {
		return "the load client needs Linux (epoll, /proc)";
	}
	if (spawnSync("gcc", ["--version"]).status !== 0) {
		return "the load client needs gcc";
	}
	// Only preprocessed: whether the header is there.
	const zlib = spawnSync("gcc", ["-E", "-x", "c", "-"], { input: "#include <zlib.h>\n" }).status === 0;
	return zlib ? undefined : "the load client needs zlib's headers (Debian: zlib1g-dev)";
}

/** The compiled client, by what it is compiled from. */
function compiled(): string {
	const files = readdirSync(SOURCES)
		.filter((name) => /\.[ch]$/.test(name))
		.sort();
	const hash = createHash("sha256");
	for (const name of files) {
		hash.update(readFileSync(join(SOURCES, name)));
	}
	const program = join(CACHE, `load-${hash.digest("hex").slice(0, 12)}`);
	if (!existsSync(program)) {
		mkdirSync(CACHE, { recursive: true });
		const sources = files.filter((name) => name.endsWith(".c")).map((name) => join(SOURCES, name));
		const own = `${program}.${process.pid}`;
		const { status, stderr } = spawnSync("gcc", ["-O2", "-Wall", "-Wextra", "-o", own, ...sources, "-lz"], {
			encoding: "utf8",
		});
		if (status !== 0) {
			throw new Error(`the load client does not compile: ${stderr}`);
		}
		renameSync(own, program);
	}
	return program;
}

export class Load {
	readonly #process: Measured;

	/** `serverPid`: whose CPU time is measured. */
	constructor(serverPid: number) {
		this.#process = new Measured(LOAD_CORE, [compiled()]);
		// That it is gone, the next question finds.
		this.#process.ask(`server ${serverPid}\n`).catch(() => {});
	}

	/** Opens connections, `parallel` at a time, and resolves when all are subscribed. */
	async open(port: number, count: number, role: "subscriber" | "publisher", opening: Opening): Promise<void> {
		const request = Buffer.from(opening.request);
		const opcode = opening.dialect === "nats" ? BINARY : TEXT;
		const frames = Buffer.concat((opening.says ?? []).map((text) => frame(opcode, Buffer.from(text))));
		const token = Buffer.from(opening.token ?? "");
		const head = [
			"open",
			port,
			count,
			DIALECTS.indexOf(opening.dialect),
			role === "subscriber" ? "s" : "p",
			request.length,
			frames.length,
			token.length,
			opening.replies ?? (opening.token === undefined ? 0 : 1),
			PARALLEL,
		];
		await this.#ask(Buffer.concat([Buffer.from(`${head.join(" ")}\n`), request, frames, token]));
	}

	/** What is to be published by `closed` and `paced`. */
	async script(messages: readonly Published[], dialect: Dialect): Promise<void> {
		const opcode = dialect === "nats" ? BINARY : TEXT;
		const records = messages.map(({ payload, publisher = 0, dueMicros = 0, deliveries = 0 }) => {
			const bytes = frame(opcode, Buffer.from(payload));
			const key = bytes.lastIndexOf(STAMP_KEY);
			const record = Buffer.alloc((RECORD_BYTES + bytes.length + 3) & ~3);
			const fields = [dueMicros, publisher, deliveries, key < 0 ? NO_STAMP : key + STAMP_KEY.length, bytes.length];
			for (const [index, field] of fields.entries()) {
				record.writeUInt32LE(field, 4 * index);
			}
			bytes.copy(record, RECORD_BYTES);
			return record;
		});
		const all = Buffer.concat(records);
		await this.#ask(Buffer.concat([Buffer.from(`script ${messages.length} ${all.length}\n`), all]));
	}

	/**
	 * Closed loop: `burst` messages in one write, the next when every subscriber has them. Ends after so much CPU time of
	 * the server, so that other work on the machine makes it longer and not shorter, or after so many messages.
	 */
	async closed(
		burst: number,
		until: { readonly warmMs: number; readonly measureMs: number } | { readonly messages: number },
	): Promise<Figures> {
		const { warmMs, measureMs, messages } = { warmMs: 0, measureMs: 0, messages: 0, ...until };
		return this.#figures(`closed ${burst} ${Math.round(warmMs)} ${Math.round(measureMs)} ${messages}\n`);
	}

	/** Open loop: each message when it is due, whatever became of those before. */
	async paced({
		warmMs,
		patienceMs = 10_000,
	}: {
		readonly warmMs: number;
		readonly patienceMs?: number;
	}): Promise<Figures> {
		return this.#figures(`paced ${Math.round(warmMs)} ${Math.round(patienceMs)}\n`);
	}

	/** Counts while somebody else publishes: `begin` is called when it does, and so many deliveries end it. */
	async expect(
		deliveries: number,
		{ warmMs = 0, patienceMs }: { readonly warmMs?: number; readonly patienceMs: number },
		begin: () => void,
	): Promise<Figures> {
		await this.#ask(`expect ${deliveries} ${Math.round(warmMs)} ${Math.round(patienceMs)}\n`);
		begin();
		return JSON.parse(await this.#process.line()) as Figures;
	}

	/** The first `count` subscribers are not read any more. */
	async stall(count: number): Promise<void> {
		await this.#ask(`stall ${count}\n`);
	}

	/** Reads them again. */
	async resume(): Promise<void> {
		await this.#ask("resume\n");
	}

	/** Of each subscriber since it was opened, the least and the most. */
	async totals(): Promise<{ readonly least: number; readonly most: number; readonly events: number }> {
		return JSON.parse(await this.#ask("totals\n")) as { least: number; most: number; events: number };
	}

	async end(): Promise<void> {
		await this.#process.kill();
	}

	#ask(command: string | Uint8Array): Promise<string> {
		return this.#process.ask(command);
	}

	async #figures(command: string): Promise<Figures> {
		return JSON.parse(await this.#ask(command)) as Figures;
	}
}

const TEXT = 1;
const BINARY = 2;
/** Handshakes under way at once. */
const PARALLEL = 64;

/** A client's frame. Its mask is zero, which changes nothing. */
function frame(opcode: number, payload: Buffer): Buffer {
	const { length } = payload;
	const head = Buffer.from(
		length < 126
			? [0x80 | opcode, 0x80 | length, 0, 0, 0, 0]
			: length < 65_536
				? [0x80 | opcode, 0x80 | 126, length >> 8, length & 0xff, 0, 0, 0, 0]
				: [
						0x80 | opcode,
						0x80 | 127,
						0,
						0,
						0,
						0,
						length >>> 24,
						(length >> 16) & 0xff,
						(length >> 8) & 0xff,
						length & 0xff,
						0,
						0,
						0,
						0,
					],
	);
	return Buffer.concat([head, payload]);
}
