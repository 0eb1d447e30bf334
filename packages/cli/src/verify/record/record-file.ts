/**
 * A record as JSON lines: the header, then one event a line. What is read is checked field by field, because a record
 * may come from another version or another program; fields that are not known are ignored.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { finished } from "node:stream/promises";
import { CliError, wordsOf } from "../../error.ts";
import type { EventName, RecordEvent, RecordHeader } from "./event.ts";

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === "string";
const flag: Check = (value) => typeof value === "boolean";
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const time: Check = (value) => typeof value === "number" && value >= 0;
const id: Check = (value) => text(value) || count(value);
const texts: Check = (value) => Array.isArray(value) && value.every(text);
const position: Check = (value) =>
	typeof value === "object" && value !== null && "epoch" in value && text(value.epoch) && isOffset(value);
const isOffset = (value: object): boolean => "offset" in value && count(value.offset);
const optional =
	(check: Check): Check =>
	(value) =>
		value === undefined || check(value);

const client = { client: text };
const channel = { ...client, channel: text };
const message = { ...channel, n: (value: unknown) => count(value) && value !== 0 };
const ofMember = { ...channel, member: text };
const at = { epoch: text, offset: count };
const range = { from: count, to: count };

/** What each event must have besides `t`. A record, so that the type checker misses none. */
const FIELDS: Readonly<Record<EventName, Readonly<Record<string, Check>>>> = {
	connected: { ...client, session: text, resumed: flag, durability: text, node: text },
	lost: { ...client, code: count, reason: text },
	publish: { ...message, id },
	ack: { ...message, ...at },
	refused: { ...message, code: text },
	unknown: message,
	subscribe: { ...channel, since: optional(position) },
	subscribed: { ...channel, ...at, recovered: optional(flag) },
	"not-subscribed": { ...channel, code: text },
	message: { ...channel, ...at, prev: optional(count), value: text },
	gap: { ...channel, ...range, reason: text },
	conflated: { ...channel, ...range },
	reset: { ...channel, ...at },
	unsubscribe: channel,
	unsubscribed: { ...channel, by: (value) => value === "client" || value === "server", code: optional(text) },
	revoked: channel,
	enter: ofMember,
	entered: ofMember,
	"not-entered": { ...channel, code: text },
	exit: channel,
	exited: channel,
	join: ofMember,
	leave: ofMember,
	update: ofMember,
	count: { ...channel, count, anew: optional(flag) },
	members: { ...channel, asked: time, members: texts, more: optional(flag) },
	fault: { kind: text, target: text },
	heal: { channels: texts },
	end: {},
};

const HEADER = { record: (value: unknown) => value === 1, seed: count, url: text, startedAt: text };

/** Throws `CliError` for a line that is no event; `number` is the line's, from 1. */
export function parseEvent(line: string, number: number): RecordEvent {
	const value = parseObject(line, number);
	const fields = Object.hasOwn(FIELDS, String(value.event)) ? FIELDS[value.event as EventName] : undefined;
	if (fields === undefined) {
		throw new CliError("failure", `line ${number} of the record has no known event`);
	}
	check(value, { t: time, ...fields }, number);
	return value as unknown as RecordEvent;
}

function parseHeader(line: string): RecordHeader {
	const value = parseObject(line, 1);
	check(value, HEADER, 1);
	return value as unknown as RecordHeader;
}

function parseObject(line: string, number: number): Readonly<Record<string, unknown>> {
	try {
		const value: unknown = JSON.parse(line);
		if (typeof value === "object" && value !== null) {
			return value as Readonly<Record<string, unknown>>;
		}
	} catch {
		// Falls through: no JSON is no object.
	}
	throw new CliError("failure", `line ${number} of the record is no JSON object`);
}

function check(value: Readonly<Record<string, unknown>>, fields: Readonly<Record<string, Check>>, line: number): void {
	for (const [name, accepts] of Object.entries(fields)) {
		if (!accepts(value[name])) {
			const words = JSON.stringify(value[name]) ?? "missing";
			throw new CliError("failure", `line ${line} of the record: its "${name}" cannot be ${words}`);
		}
	}
}

/**
 * Reads a record from a file, event by event. A last line without its end was cut off with the process that wrote it, and
 * is left out.
 */
export async function readRecord(
	file: string,
	see: (event: RecordEvent) => void,
	start: (header: RecordHeader) => void = () => {},
): Promise<void> {
	const stream = createReadStream(file, { encoding: "utf8" });
	let whole = true;
	stream.on("data", (chunk) => {
		whole = chunk.at(-1) === "\n";
	});
	let held: string | undefined;
	let number = 0;
	const take = (line: string): void => {
		number++;
		if (number === 1) {
			start(parseHeader(line));
		} else {
			see(parseEvent(line, number));
		}
	};
	try {
		for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
			if (held !== undefined) {
				take(held);
			}
			held = line;
		}
	} catch (cause) {
		throw cause instanceof CliError
			? cause
			: new CliError("failure", `the record cannot be read: ${wordsOf(cause)}`, { cause });
	}
	if (held !== undefined && whole) {
		take(held);
	}
	if (number === 0) {
		throw new CliError("failure", `${file} holds no record`);
	}
}

export interface RecordWriter {
	write(event: RecordEvent): void;
	/** Rejects with `CliError` where the file could not be written. A second call changes nothing. */
	close(): Promise<void>;
}

/** Lines are handed to the file in pieces of about this many characters. */
const PIECE = 64 * 1024;

/** The file holds the header once this returns, or the error comes with `close`. */
export function writeRecord(file: string, header: RecordHeader): RecordWriter {
	const stream = createWriteStream(file);
	const done = finished(stream).catch((cause) => {
		throw new CliError("failure", `the record cannot be written: ${wordsOf(cause)}`, { cause });
	});
	done.catch(() => {});
	let held = `${JSON.stringify(header)}\n`;
	const flush = (): void => {
		if (!stream.destroyed) {
			stream.write(held);
		}
		held = "";
	};
	return {
		write(event) {
			held += `${JSON.stringify(event)}\n`;
			if (held.length >= PIECE) {
				flush();
			}
		},
		close() {
			if (!stream.writableEnded) {
				flush();
				stream.end();
			}
			return done;
		},
	};
}
