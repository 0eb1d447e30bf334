/**
 * Any bytes, to a connection in either role, with and without permessage-deflate. The first byte of an input chooses
 * how the connection is set up, the second the size of its chunks; the rest is the wire.
 *
 * Promised: nothing is thrown; one `close` with a code that exists, and one `end`; texts are UTF-8; what we write is
 * right by another reader's rules; what is held stays within the limits; and the cuts between chunks change nothing.
 */
import { isUtf8 } from "node:buffer";
import { isDeepStrictEqual } from "node:util";
import {
	Connection,
	type Handler,
	isCloseCode,
	messageCompression,
	resolveCompression,
	resolveLimits,
} from "../../src/index.ts";
import { zlibEngine } from "../../src/node/index.ts";
import { Ear } from "../../test/conformance/peer.ts";
import { promise } from "../finding.ts";
import { retainedBytes } from "../retained.ts";

const AS_CLIENT = 0x01;
const DEFLATE = 0x02;
const NO_TAKEOVER = 0x04;
const PIECES = 0x08;
const CLOSING = 0x10;
const PLATFORM_UTF8 = 0x20;

const MAX_MESSAGE_BYTES = 4_096;
/** A message, a frame cut in two, and two windows of 9 bits with what growing leaves free. */
const MAX_RETAINED_BYTES = 8_192;
/** So many pongs that no ping of an input goes unanswered: only that may depend on the chunks. */
const limits = resolveLimits({
	maxMessageBytes: MAX_MESSAGE_BYTES,
	maxPiecedMessageBytes: 2 * MAX_MESSAGE_BYTES,
	maxPongsPerChunk: 65_536,
});
const options = resolveCompression({ threshold: 8, historyBytes: 512 });
const engine = zlibEngine(options);
const utf8 = new TextDecoder("utf-8", { fatal: true });

interface Witness {
	connection?: Connection<Witness>;
	readonly events: unknown[];
	readonly pieces: Uint8Array[];
	readonly ear: Ear;
	closes: number;
	ends: number;
}

const handler: Handler<Witness> = {
	message: (witness, data, text) => {
		hear(witness, data, text);
		text ? witness.connection?.sendText(data) : witness.connection?.sendBinary(data);
	},
	ping: (witness, payload) => void witness.events.push(["ping", Buffer.from(payload).toString("hex")]),
	pong: (witness, payload) => void witness.events.push(["pong", Buffer.from(payload).toString("hex")]),
	// 1011 comes with what was thrown, which `receive` passes on and is the finding.
	close: (witness, code, reason, initiator, clean) => {
		witness.closes++;
		promise(isCloseCode(code) || code === 1005 || code === 1006, `close code ${code}`);
		promise(Buffer.byteLength(reason) <= 123, "a reason of more than 123 bytes");
		witness.events.push(["close", code, reason, initiator, clean]);
	},
	write: (witness, bytes) => witness.ear.take(bytes, 0),
	end: (witness) => {
		witness.ends++;
	},
};

const inPieces: Handler<Witness> = {
	...handler,
	piece: (witness, data, text, last) => {
		witness.pieces.push(data.slice());
		if (last) {
			hear(witness, Buffer.concat(witness.pieces.splice(0)), text);
		}
	},
};

/** Whole messages or pieces, each with the engine's own check of UTF-8 and the platform's. */
const HANDLERS = [
	[handler, { ...handler, isUtf8 }],
	[inPieces, { ...inPieces, isUtf8 }],
] as const;

function hear(witness: Witness, data: Uint8Array, text: boolean): void {
	promise(witness.closes === 0, "a message after the close");
	promise(data.length <= (limits.maxPiecedMessageBytes ?? 0), `a message of ${data.length} bytes`);
	witness.events.push([text ? utf8.decode(data) : Buffer.from(data).toString("hex"), text]);
}

export function fuzz(input: Uint8Array): void {
	const settings = input[0] ?? 0;
	const wire = input.subarray(2);
	const whole = play(settings, wire, Math.max(1, wire.length));
	const cut = play(settings, wire, 1 + (input[1] ?? 0));
	promise(isDeepStrictEqual(cut.events, whole.events), "other chunks, other events");
	promise(isDeepStrictEqual(spoken(cut), spoken(whole)), "other chunks, other answers");
}

function spoken({ ear }: Witness): unknown {
	return ear.all.map(({ kind, payload }) => [kind, Buffer.from(payload).toString("hex")]);
}

function play(settings: number, wire: Uint8Array, size: number): Witness {
	const role = (settings & AS_CLIENT) !== 0 ? "client" : "server";
	const deflate = (settings & DEFLATE) !== 0;
	const parameters = {
		serverNoContextTakeover: (settings & NO_TAKEOVER) !== 0,
		clientNoContextTakeover: (settings & NO_TAKEOVER) !== 0,
		serverMaxWindowBits: 9,
		clientMaxWindowBits: 9,
	};
	const witness: Witness = { events: [], pieces: [], ear: new Ear(role, deflate), closes: 0, ends: 0 };
	const used = HANDLERS[(settings & PIECES) !== 0 ? 1 : 0][(settings & PLATFORM_UTF8) !== 0 ? 1 : 0];
	const mask = role === "client" ? (): number => 0x1234_5678 : undefined;
	const compression = deflate ? messageCompression(role, parameters, engine, options) : undefined;
	const connection = new Connection(role, used, witness, limits, mask, compression);
	witness.connection = connection;
	if ((settings & CLOSING) !== 0) {
		connection.close(1001, "done");
	}
	for (let at = 0; at < wire.length; at += size) {
		// Its own memory: the connection unmasks in place, and what it keeps of it shows.
		connection.receive(Uint8Array.from(wire.subarray(at, at + size)));
		const held = retainedBytes(connection, [witness, used, limits, options, engine]);
		promise(held <= MAX_RETAINED_BYTES, `${held} bytes are held`);
	}
	connection.receiveEnd();
	promise(connection.state === "closed" && witness.closes === 1 && witness.ends === 1, "it did not end once");
	return witness;
}
