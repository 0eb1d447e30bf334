/** The words that the specifications are written in: frames as a peer would send them, and a peer that takes notes. */
import { Connection, type Handler, type Limits, type MessageCompression, resolveLimits } from "../src/index.ts";

export const TEXT = 1;
export const BINARY = 2;
export const CONTINUATION = 0;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** RFC 6455 §5.7 masks its examples with this. */
export const RFC_KEY = 0x37fa213d;

export interface FrameShape {
	readonly fin?: boolean;
	readonly rsv?: number;
	/** Masking key; null for none. Default: the RFC's. */
	readonly key?: number | null;
}

export function bytes(...parts: readonly (number | string | Uint8Array)[]): Uint8Array {
	return Uint8Array.from(
		parts.flatMap((part) =>
			typeof part === "number" ? [part] : [...(typeof part === "string" ? new TextEncoder().encode(part) : part)],
		),
	);
}

export function hex(text: string): Uint8Array {
	return Uint8Array.from(text.split(" ").filter(Boolean), (byte) => Number.parseInt(byte, 16));
}

/** A frame built by plain means, not by what is under test. */
export function frame(opcode: number, payload: string | Uint8Array = "", shape: FrameShape = {}): Uint8Array {
	const { fin = true, rsv = 0, key = RFC_KEY } = shape;
	const body = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
	const header: number[] = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
	const mask = key === null ? 0 : 0x80;
	if (body.length < 126) {
		header.push(mask | body.length);
	} else if (body.length < 65_536) {
		header.push(mask | 126, body.length >>> 8, body.length & 0xff);
	} else {
		header.push(
			mask | 127,
			0,
			0,
			0,
			0,
			body.length >>> 24,
			(body.length >>> 16) & 0xff,
			(body.length >>> 8) & 0xff,
			body.length & 0xff,
		);
	}
	const masking = key === null ? [] : [key >>> 24, (key >>> 16) & 0xff, (key >>> 8) & 0xff, key & 0xff];
	const out = new Uint8Array(header.length + masking.length + body.length);
	out.set(header);
	out.set(masking, header.length);
	body.forEach((byte, index) => {
		out[header.length + masking.length + index] = byte ^ (masking[index % 4] ?? 0);
	});
	return out;
}

export function closeBody(code: number, reason = ""): Uint8Array {
	return bytes(code >>> 8, code & 0xff, reason);
}

export function join(...frames: readonly Uint8Array[]): Uint8Array {
	return new Uint8Array(Buffer.concat(frames));
}

/** What a connection told its owner, in order and comparable. */
export type Note =
	| readonly ["text", string]
	| readonly ["binary", string]
	| readonly ["ping" | "pong", string]
	| readonly ["close", number, string, "local" | "remote", boolean]
	| readonly ["end"];

export interface Peer {
	readonly connection: Connection<Peer>;
	readonly notes: Note[];
	/** Everything written, joined. */
	readonly written: Uint8Array[];
	readonly feed: (...chunks: readonly Uint8Array[]) => Peer;
}

function latin1(data: Uint8Array): string {
	return Buffer.from(data).toString("latin1");
}

export const recorder: Handler<Peer> = {
	message: (peer, data, text) => {
		peer.notes.push(
			text
				? ["text", new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data)]
				: ["binary", latin1(data)],
		);
	},
	ping: (peer, payload) => void peer.notes.push(["ping", latin1(payload)]),
	pong: (peer, payload) => void peer.notes.push(["pong", latin1(payload)]),
	close: (peer, code, reason, initiator, clean) => void peer.notes.push(["close", code, reason, initiator, clean]),
	write: (peer, data) => void peer.written.push(data),
	end: (peer) => void peer.notes.push(["end"]),
};

/** A connection under test. Chunks are copied before they are fed, since the connection unmasks in place. */
export function peer(
	role: "server" | "client",
	limits: Limits = {},
	handler: Handler<Peer> = recorder,
	compression?: MessageCompression,
): Peer {
	const notes: Note[] = [];
	const written: Uint8Array[] = [];
	const self: Peer = {
		notes,
		written,
		feed: (...chunks) => {
			for (const chunk of chunks) {
				self.connection.receive(chunk.slice());
			}
			return self;
		},
		get connection() {
			return connection;
		},
	};
	const connection = new Connection<Peer>(
		role,
		handler,
		self,
		resolveLimits(limits),
		role === "client" ? () => RFC_KEY : undefined,
		compression,
	);
	return self;
}

export const server = (limits?: Limits): Peer => peer("server", limits);
export const client = (limits?: Limits): Peer => peer("client", limits);

/** The code and text of a connection that failed. */
export function failure(of: Peer): readonly [number, string] | undefined {
	const note = of.notes.find((each) => each[0] === "close");
	return note?.[0] === "close" && note[3] === "local" && !note[4] ? [note[1], note[2]] : undefined;
}
