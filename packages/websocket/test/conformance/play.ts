/**
 * Plays a case against the engine, in memory: bytes in, events and bytes out, close code. And judges what it saw, in the
 * public suite's words.
 */
import { isUtf8 } from "node:buffer";
import { crc32 } from "node:zlib";
import {
	acceptUpgrade,
	Connection,
	type DeflateParameters,
	type Handler,
	messageCompression,
	requestUpgrade,
	resolveCompression,
	resolveLimits,
	verifyUpgrade,
} from "../../src/index.ts";
import { sha1Base64, zlibEngine } from "../../src/node/index.ts";
import type { Answer, Case, Script } from "./case.ts";
import { close } from "./case.ts";
import { chunks, compress, type Direction, decompress, Ear, type Heard, type Role, WireError } from "./peer.ts";

export type Behaviour = "OK" | "NON-STRICT" | "INFORMATIONAL" | "FAILED";

/** One line of expected.json. */
export interface Result {
	readonly behaviour: Behaviour;
	/** The code in our close frame; null: it had none, or there was no close frame. */
	readonly close: number | null;
	/** What the handler was told, repetitions counted. */
	readonly events: readonly string[];
	/** What was fed and what was written: bytes in hexadecimal where they are few, else how many and their CRC-32. */
	readonly in: string;
	readonly out: string;
	/** What was wrong. */
	readonly why?: string;
}

/** What the echo may hold, as `npm run echo` does. */
const LIMITS = resolveLimits({ maxMessageBytes: 64 * 1024 * 1024 });
const OFFER = resolveCompression();
/** The sample of RFC 6455 §1.3. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

interface Stage {
	connection?: Connection<Stage>;
	chunk: number;
	readonly events: string[];
	readonly written: Buffer[];
	readonly ear: Ear;
	ended: boolean;
}

/** Echoes messages as they came, and writes down what it is told. */
const echo: Handler<Stage> = {
	message: (stage, data, text) => {
		stage.events.push(`${text ? "text" : "binary"} ${data.length}`);
		text ? stage.connection?.sendText(data) : stage.connection?.sendBinary(data);
	},
	ping: (stage, payload) => void stage.events.push(`ping ${payload.length}`),
	pong: (stage, payload) => void stage.events.push(`pong ${payload.length}`),
	close: (stage, code, _reason, initiator, clean) =>
		void stage.events.push(`close ${code} ${initiator} ${clean ? "clean" : "unclean"}`),
	write: (stage, bytes) => {
		stage.written.push(Buffer.from(bytes));
		stage.ear.take(bytes, stage.chunk);
	},
	end: (stage) => {
		stage.ended = true;
	},
};

/** The server checks long texts by the platform's means, as the Node shell does; the client by the engine's own. */
const handlers: Readonly<Record<Role, Handler<Stage>>> = { server: { ...echo, isUtf8 }, client: echo };

/** Plays `one` in `role`. It rejects only for what is wrong with the case itself. */
export async function play(one: Case, role: Role): Promise<Result> {
	const script = one.script();
	const parameters = script.deflate === undefined ? undefined : negotiate(role, script.deflate);
	const frames =
		parameters === undefined || script.deflate === undefined
			? script.frames
			: await compress(script.frames, theirs(role, parameters), script.deflate.fragmentBytes);
	const ear = new Ear(role, parameters !== undefined);
	const stage: Stage = { chunk: 0, events: [], written: [], ear, ended: false };
	stage.connection = new Connection(
		role,
		handlers[role],
		stage,
		LIMITS,
		role === "client" ? keys() : undefined,
		parameters === undefined ? undefined : messageCompression(role, parameters, zlibEngine(OFFER), OFFER),
	);
	const fed: Uint8Array[] = [];
	let why: string | undefined;
	let heard: readonly Heard[] = [];
	let failedIn: number | undefined;
	try {
		for (const [index, chunk] of chunks(script, frames, role).entries()) {
			stage.chunk = index;
			fed.push(chunk);
			// The connection unmasks in place.
			stage.connection.receive(Uint8Array.from(chunk));
			if (stage.connection.state !== "open") {
				failedIn ??= index;
			}
		}
		if (stage.connection.state === "open") {
			const [farewell] = chunks({ ...script, chop: "whole" }, [close(1000)], role);
			fed.push(farewell!);
			stage.connection.receive(Uint8Array.from(farewell!));
		}
		stage.connection.receiveEnd();
		heard = parameters === undefined ? ear.all : await decompress(ear.all, ours(role, parameters));
		why = difference(script, heard, stage);
	} catch (error) {
		why = error instanceof WireError || error instanceof RangeError ? error.message : String(error);
		heard = ear.all;
	}
	const compressed = parameters !== undefined;
	return {
		behaviour: judge(script, why, failedIn),
		close: closeCode(heard),
		events: counted(stage.events),
		// What zlib makes of a payload differs with its version; the payloads do not.
		in: digest(compressed ? script.frames.map((each) => each.payload) : fed),
		out: digest(compressed ? heard.map((each) => each.payload) : stage.written),
		...(why === undefined ? {} : { why }),
	};
}

/** How the two sides agree: our own handshake code on the one side, the case's words on the other. */
function negotiate(role: Role, { offer, answer }: NonNullable<Script["deflate"]>): DeflateParameters {
	const common = { upgrade: "websocket", connection: "Upgrade" };
	const verdict =
		role === "server"
			? acceptUpgrade(
					{
						method: "GET",
						httpVersion: "1.1",
						headers: {
							...common,
							host: "localhost",
							"sec-websocket-version": "13",
							"sec-websocket-key": KEY,
							"sec-websocket-extensions": offer,
						},
					},
					{ sha1: sha1Base64, compression: OFFER },
				)
			: verifyUpgrade(
					{
						status: 101,
						headers: {
							...common,
							"sec-websocket-accept": sha1Base64(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`),
							"sec-websocket-extensions": answer,
						},
					},
					{ key: KEY, sha1: sha1Base64, compression: OFFER },
				);
	if (
		role === "client" &&
		!requestUpgrade({ host: "localhost", path: "/", key: KEY, compression: OFFER }).includes("permessage-deflate")
	) {
		throw new Error("the client offers no compression");
	}
	if (!verdict.ok || verdict.compression === undefined) {
		throw new Error(`no compression was agreed on: ${verdict.ok ? offer : verdict.reason}`);
	}
	return verdict.compression;
}

const server = (agreed: DeflateParameters): Direction => ({
	windowBits: agreed.serverMaxWindowBits,
	takeover: !agreed.serverNoContextTakeover,
});

const client = (agreed: DeflateParameters): Direction => ({
	windowBits: agreed.clientMaxWindowBits,
	takeover: !agreed.clientNoContextTakeover,
});

const ours = (role: Role, agreed: DeflateParameters): Direction => (role === "server" ? server : client)(agreed);
const theirs = (role: Role, agreed: DeflateParameters): Direction => (role === "server" ? client : server)(agreed);

/** Masking keys that are the same in every run. */
function keys(): () => number {
	let count = 0;
	return () => Math.imul(++count, 0x9e3779b9);
}

/** What is not as it must be; undefined: nothing. */
function difference(script: Script, heard: readonly Heard[], stage: Stage): string | undefined {
	const answers = heard.filter((each) => each.kind !== "close");
	for (const [index, answer] of script.answers.entries()) {
		const got = answers[index];
		if (got === undefined || got.kind !== answer.kind || Buffer.compare(got.payload, answer.payload) !== 0) {
			return `answer ${index + 1} is ${describe(got)}, not ${describe(answer)}`;
		}
		if (answer.chunk !== undefined && got.chunk !== answer.chunk) {
			return `answer ${index + 1} comes with chunk ${got.chunk + 1}, not ${answer.chunk + 1}`;
		}
	}
	if (answers.length > script.answers.length) {
		return `answer ${script.answers.length + 1} is ${describe(answers[script.answers.length])}, but nothing was due`;
	}
	const code = heard.some((each) => each.kind === "close") ? String(closeCode(heard)) : "missing";
	if (code !== String(script.close)) {
		return `our close is ${code}, not ${script.close}`;
	}
	if (stage.events.filter((event) => event.startsWith("close")).length !== 1 || !stage.ended) {
		return "the connection did not end once";
	}
	return undefined;
}

function describe(of: (Pick<Answer, "payload"> & { readonly kind: string }) | undefined): string {
	return of === undefined ? "missing" : `${of.kind} ${digest([of.payload])}`;
}

function judge(script: Script, why: string | undefined, failedIn: number | undefined): Behaviour {
	if (script.informational === true) {
		return "INFORMATIONAL";
	}
	if (why !== undefined) {
		return "FAILED";
	}
	if (script.failsIn === undefined || script.failsIn === failedIn) {
		return "OK";
	}
	return failedIn === undefined || failedIn < script.failsIn ? "FAILED" : "NON-STRICT";
}

function closeCode(heard: readonly Heard[]): number | null {
	const body = heard.find((each) => each.kind === "close")?.payload;
	return body === undefined || body.length < 2 ? null : (body[0]! << 8) | body[1]!;
}

function counted(events: readonly string[]): readonly string[] {
	const runs: { readonly event: string; count: number }[] = [];
	for (const event of events) {
		const last = runs.at(-1);
		if (last?.event === event) {
			last.count++;
		} else {
			runs.push({ event, count: 1 });
		}
	}
	return runs.map(({ event, count }) => (count === 1 ? event : `${count} × ${event}`));
}

function digest(pieces: readonly Uint8Array[]): string {
	const length = pieces.reduce((sum, each) => sum + each.length, 0);
	if (length <= 24) {
		return Buffer.concat(pieces).toString("hex");
	}
	const sum = pieces.reduce((crc, each) => crc32(each, crc), 0);
	return `${length} bytes, ${sum.toString(16).padStart(8, "0")}`;
}
