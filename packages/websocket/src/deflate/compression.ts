/**
 * permessage-deflate on one connection (RFC 7692 §6, §7.2): message payloads in, message payloads out. zlib is an
 * argument. No zlib stream is kept: a stream that carries on from message to message is, to its reader, the same as one
 * that begins with the latest bytes as its dictionary, so the bytes themselves are all that a connection holds.
 * Where neither direction carries on, nothing is held and one object serves all connections that agreed so.
 */
import { WebSocketError } from "../errors.ts";
import { frameLength, writeFrameHeader } from "../frame/header.ts";
import type { OPCODE } from "../frame/opcode.ts";
import { History } from "./history.ts";
import type { DeflateParameters } from "./negotiation.ts";
import type { ResolvedCompression } from "./options.ts";

/** Raw DEFLATE (RFC 1951), synchronous. */
export interface DeflateEngine {
	/**
	 * Compresses a payload to a DEFLATE stream that ends in an empty stored block, without the four bytes of that
	 * (RFC 7692 §7.2.1). It refers back at most 2^windowBits bytes, into `dictionary` too.
	 */
	deflate(payload: Uint8Array, windowBits: number, dictionary: Uint8Array | undefined): Uint8Array;
	/** The reverse (§7.2.2). Takes memory by what comes out, and stops at `maxBytes` of it. */
	inflate(payload: Uint8Array, maxBytes: number, dictionary: Uint8Array | undefined): InflateResult;
}

export type InflateResult = Uint8Array | "too_large" | "invalid";

/** Some zlibs answer a window of 8 bits with one of 9, so as much is kept (see `node/zlib.ts`). */
const LEAST_HISTORY_BYTES = 512;

export class MessageCompression {
	readonly parameters: DeflateParameters;
	private readonly engine: DeflateEngine;
	private readonly options: ResolvedCompression;
	private readonly windowBits: number;
	private readonly sent: History | undefined;
	private readonly received: History | undefined;

	/** Use `messageCompression`. */
	constructor(
		role: "server" | "client",
		parameters: DeflateParameters,
		engine: DeflateEngine,
		options: ResolvedCompression,
	) {
		const server = {
			windowBits: parameters.serverMaxWindowBits,
			carriesOn: !parameters.serverNoContextTakeover,
		};
		const client = {
			windowBits: parameters.clientMaxWindowBits,
			carriesOn: !parameters.clientNoContextTakeover,
		};
		const [ours, theirs] = role === "server" ? [server, client] : [client, server];
		this.parameters = parameters;
		this.engine = engine;
		this.options = options;
		this.windowBits = ours.windowBits;
		const sentBytes = Math.min(options.historyBytes, 2 ** ours.windowBits);
		this.sent = ours.carriesOn && sentBytes > 0 ? new History(sentBytes) : undefined;
		this.received = theirs.carriesOn ? new History(Math.max(LEAST_HISTORY_BYTES, 2 ** theirs.windowBits)) : undefined;
	}

	/** Whether nothing is held between two messages, so that connections can share this object. */
	get shareable(): boolean {
		return this.sent === undefined && this.received === undefined;
	}

	/** The payload of a compressed message, or undefined where it is to be sent as it is: too short, too long, no gain. */
	deflate(payload: Uint8Array): Uint8Array | undefined {
		const { length } = payload;
		if (length < this.options.threshold || length > this.options.maxDeflateBytes || length === 0) {
			return undefined;
		}
		const deflated = this.engine.deflate(payload, this.windowBits, this.sent?.latest);
		if (deflated.length >= length) {
			// What is not sent compressed does not enter the peer's window.
			return undefined;
		}
		this.sent?.append(payload);
		return deflated;
	}

	/** A compressed message's payload as it was before. Bounded by `maxBytes`; never throws for what a peer sends. */
	inflate(payload: Uint8Array, maxBytes: number): InflateResult {
		const inflated = payload.length === 0 ? payload : this.engine.inflate(payload, maxBytes, this.received?.latest);
		if (typeof inflated !== "string") {
			this.received?.append(inflated);
		}
		return inflated;
	}

	/**
	 * A whole, unmasked frame with a compressed payload, for a server to send by `sendRaw` to every connection that agreed
	 * on the same; undefined where the message is to be sent as it is. Throws `WebSocketError` (`invalid_argument`) where
	 * our side carries on from message to message: then no two connections can share a frame.
	 */
	frame(opcode: typeof OPCODE.text | typeof OPCODE.binary, payload: Uint8Array): Uint8Array | undefined {
		if (this.sent !== undefined) {
			throw new WebSocketError(
				"invalid_argument",
				"a frame for many needs server_no_context_takeover (RFC 7692 §7.1.1.1)",
			);
		}
		const deflated = this.deflate(payload);
		if (deflated === undefined) {
			return undefined;
		}
		const frame = new Uint8Array(frameLength(deflated.length) + deflated.length);
		frame.set(deflated, writeFrameHeader(frame, 0, opcode, deflated.length, { compressed: true }));
		return frame;
	}
}

/** Those that hold nothing, by engine, options and what was agreed on. */
const shared = new WeakMap<DeflateEngine, WeakMap<ResolvedCompression, Map<string, MessageCompression>>>();

/** The compression of a connection that agreed on `parameters`: its own, or the one that all alike share. */
export function messageCompression(
	role: "server" | "client",
	parameters: DeflateParameters,
	engine: DeflateEngine,
	options: ResolvedCompression,
): MessageCompression {
	const made = new MessageCompression(role, parameters, engine, options);
	if (!made.shareable) {
		return made;
	}
	let byOptions = shared.get(engine);
	if (byOptions === undefined) {
		byOptions = new WeakMap();
		shared.set(engine, byOptions);
	}
	let byKey = byOptions.get(options);
	if (byKey === undefined) {
		byKey = new Map();
		byOptions.set(options, byKey);
	}
	// Two bits and two windows: at most 256 of them for a role.
	const key = `${role} ${Object.values(parameters).join(" ")}`;
	const existing = byKey.get(key);
	if (existing !== undefined) {
		return existing;
	}
	byKey.set(key, made);
	return made;
}
