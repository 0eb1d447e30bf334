/**
 * A connection after its handshake. This file is its receiving half: bytes in, handler calls out (RFC 6455 §5–§7);
 * `sender.ts` is the other. It does no I/O, knows no clock, and decides no policy beyond the RFC's and the limits it is
 * given.
 *
 * Hot file: whole frames are parsed and unmasked in the received chunk and handed on as views of it, without a copy.
 * Only what a chunk's end cuts in two, and fragmented messages, are kept (`partial`, `message`), and no longer than that:
 * an idle connection is this one object.
 */
import type { MessageCompression } from "./deflate/compression.ts";
import { WebSocketError } from "./errors.ts";
import { CLOSE, parseCloseBody } from "./frame/close.ts";
import { type FrameHeader, headerSize, readHeader } from "./frame/header.ts";
import { applyMask } from "./frame/mask.ts";
import { OPCODE, RSV1 } from "./frame/opcode.ts";
import { PartialFrame } from "./frame/partial.ts";
import { headerViolation, type Violation } from "./frame/rules.ts";
import type { Handler } from "./handler.ts";
import type { ResolvedLimits } from "./limits.ts";
import { Assembly, tooLarge } from "./message/assembly.ts";
import { Passage } from "./message/passage.ts";
import { checkUtf8, type IsUtf8, isUtf8, UTF8_BOUNDARY } from "./message/utf8.ts";
import { type MaskSource, Sender } from "./sender.ts";

export type Role = "server" | "client";

/** The header under inspection. Read into locals before any handler is called, so one for all. */
const header: FrameHeader = { first: 0, masked: false, shortLength: 0, length: 0, topBit: false, key: 0 };

export class Connection<Context> extends Sender<Context> {
	private readonly limits: ResolvedLimits;
	private partial: PartialFrame | undefined = undefined;
	private message: Assembly | Passage | undefined = undefined;
	private deadlineMs: number | undefined = undefined;

	/**
	 * `handler` and `limits` are shared by all connections that are alike. The client role needs `mask`. `compression` is
	 * there where permessage-deflate was negotiated.
	 */
	constructor(
		role: Role,
		handler: Handler<Context>,
		context: Context,
		limits: ResolvedLimits,
		mask?: MaskSource,
		compression?: MessageCompression,
	) {
		if ((role === "client") !== (mask !== undefined)) {
			throw new WebSocketError("invalid_argument", "a client needs a source of masking keys, a server has none");
		}
		super(handler, context, mask, compression);
		this.limits = limits;
	}

	/** When `checkDeadlines` will give the peer up; undefined while nothing is waited for. */
	get deadline(): number | undefined {
		return this.deadlineMs;
	}

	/**
	 * Takes bytes from the peer and calls the handler for what they complete. The chunk becomes ours: it is unmasked in
	 * place, and kept where it is part of a longer message. A handler that throws ends the connection with 1011, and what
	 * it threw goes on to the caller.
	 */
	receive(chunk: Uint8Array): void {
		let handled = false;
		try {
			this.parse(chunk);
			handled = true;
		} finally {
			if (!handled) {
				this.fail(CLOSE.internal, "");
			}
		}
	}

	/** The peer closed its half of the transport, or the transport is gone. */
	receiveEnd(): void {
		const phase = this.phase;
		if (!this.move("transport-ended")) {
			return;
		}
		this.drop();
		if (phase === "open" || phase === "closing") {
			this.handler.close(this.context, CLOSE.abnormal, "", phase === "open" ? "remote" : "local", false);
		}
		if (phase !== "ended") {
			this.handler.end(this.context);
		}
	}

	/**
	 * To be called now and then once the connection has left `open`, with a clock that does not jump. The first call
	 * starts the peer's time. True: that time is up, and the transport is to be destroyed where there still is one: a peer
	 * that has closed its half may not take what was written to it.
	 */
	checkDeadlines(nowMs: number): boolean {
		if (this.phase === "open") {
			return false;
		}
		this.deadlineMs ??= nowMs + this.limits.closeTimeoutMs;
		if (nowMs < this.deadlineMs) {
			return false;
		}
		this.receiveEnd();
		return true;
	}

	private parse(chunk: Uint8Array): void {
		const end = chunk.length;
		let at = 0;
		let pongs = 0;
		let unanswered: Uint8Array | undefined;
		while (at < end && (this.phase === "open" || this.phase === "closing")) {
			let partial = this.partial;
			let from = at;
			let due = 0;
			if (partial !== undefined && partial.remaining >= 0) {
				// In mid-payload: take what there is of it.
				header.first = partial.first;
				header.key = partial.key;
				at = Math.min(end, at + partial.remaining);
				partial.advance(at - from);
				due = partial.remaining;
			} else {
				if (partial !== undefined) {
					at = partial.fill(chunk, at);
					if (!partial.complete) {
						break;
					}
					readHeader(partial.header, 0, header);
				} else {
					const size = end - at < 2 ? 2 : headerSize(chunk[at + 1]!);
					if (end - at < size) {
						this.partial = new PartialFrame();
						this.partial.fill(chunk, at);
						break;
					}
					readHeader(chunk, at, header);
					at += size;
				}
				const violation = this.admit();
				if (violation !== undefined) {
					this.fail(violation.code, violation.text);
					break;
				}
				if (end - at < header.length) {
					this.begin(partial);
					continue;
				}
				partial = undefined;
				from = at;
				at += header.length;
			}
			const { first, key } = header;
			const opcode = first & 0x0f;
			// Non-zero where bytes above 0x7f were seen, or none were looked at.
			const high = key === 0 ? 0x80 : applyMask(chunk, from, at, key);
			if (due === 0) {
				this.partial = undefined;
			}
			if ((opcode & 0x08) !== 0) {
				let payload: Uint8Array | undefined = view(chunk, from, at);
				if (partial !== undefined) {
					payload = partial.keep(payload);
				}
				if (payload === undefined) {
					continue;
				}
				// RFC 6455 §5.5.3: of several pings it is enough to answer the latest. That bounds what a flood gets written.
				const answer = opcode === OPCODE.ping && pongs++ < this.limits.maxPongsPerChunk;
				if (opcode === OPCODE.ping) {
					unanswered = answer ? undefined : payload;
				}
				this.receiveControl(opcode, payload, answer);
			} else if (this.message === undefined) {
				const text = opcode === OPCODE.text;
				if ((first & RSV1) !== 0) {
					this.inflate(view(chunk, from, at), text);
				} else if (text && high !== 0 && !isText(chunk, from, at, this.handler.isUtf8)) {
					this.fail(CLOSE.invalidUtf8, NOT_UTF8);
				} else if (this.phase === "open") {
					this.deliver(view(chunk, from, at), text);
				}
			} else {
				this.assemble(this.message, chunk, from, at, due, high === 0, (first & 0x80) !== 0);
			}
		}
		if (unanswered !== undefined && this.phase === "open") {
			this.send(OPCODE.pong, unanswered);
		}
	}

	/** Checks the header under inspection; for a fragment, makes its message ready to take it. */
	private admit(): Violation | undefined {
		const { first, length } = header;
		const fromClient = this.mask === undefined;
		const violation = headerViolation(header, fromClient, this.message !== undefined, this.compression !== undefined);
		if (violation !== undefined || (first & 0x08) !== 0) {
			return violation;
		}
		if ((first & 0x80) !== 0 && (first & 0x0f) !== OPCODE.continuation) {
			const most = this.longest(first);
			return length > most ? tooLarge(length, most) : undefined;
		}
		this.message ??= this.newMessage(first);
		return this.message.admit(length, true);
	}

	/** The longest payload, over all of its frames, of a message whose first frame begins with this byte. */
	private longest(first: number): number {
		const { maxMessageBytes, maxPiecedMessageBytes } = this.limits;
		if ((first & RSV1) !== 0) {
			// Where nothing can be gained DEFLATE adds some bytes; the inflated message is held to the limit itself.
			return maxMessageBytes + (maxMessageBytes >>> 10) + 64;
		}
		return this.handler.piece === undefined ? maxMessageBytes : maxPiecedMessageBytes;
	}

	private newMessage(first: number): Assembly | Passage {
		const text = (first & 0x0f) === OPCODE.text;
		const compressed = (first & RSV1) !== 0;
		return this.handler.piece === undefined || compressed
			? new Assembly(text, compressed, this.longest(first))
			: new Passage(text, this.longest(first));
	}

	/** The frame under inspection ends in a later chunk. */
	private begin(held: PartialFrame | undefined): void {
		const partial = held ?? new PartialFrame();
		partial.begin(header);
		this.partial = partial;
		if ((header.first & 0x08) === 0) {
			this.message ??= this.newMessage(header.first);
		}
	}

	/** Adds a piece of a frame to the message under way, and delivers it where that was the last. */
	private assemble(
		message: Assembly | Passage,
		chunk: Uint8Array,
		from: number,
		until: number,
		due: number,
		ascii: boolean,
		fin: boolean,
	): void {
		const last = due === 0 && fin;
		if (message instanceof Passage) {
			this.pass(message, chunk, from, until, ascii, last);
			return;
		}
		if (!message.append(chunk, from, until, ascii, this.handler.isUtf8)) {
			this.fail(CLOSE.invalidUtf8, NOT_UTF8);
			return;
		}
		if (!last) {
			return;
		}
		this.message = undefined;
		const data = message.finish(this.handler.allocate);
		if (data === undefined) {
			this.fail(CLOSE.invalidUtf8, NOT_UTF8);
		} else if (message.compressed) {
			this.inflate(data, message.text);
		} else if (this.phase === "open") {
			this.deliver(data, message.text);
		}
	}

	/** Hands on a piece of a message as it comes. */
	private pass(message: Passage, chunk: Uint8Array, from: number, until: number, ascii: boolean, last: boolean): void {
		if (!message.check(chunk, from, until, ascii, last, this.handler.isUtf8)) {
			this.fail(CLOSE.invalidUtf8, NOT_UTF8);
			return;
		}
		if (last) {
			this.message = undefined;
		}
		if (this.phase === "open" && (last || until > from)) {
			this.handler.piece?.(this.context, view(chunk, from, until), message.text, last);
		}
	}

	/** A compressed message has come whole (RFC 7692 §6.2). */
	private inflate(payload: Uint8Array, text: boolean): void {
		const { compression } = this;
		if (this.phase !== "open" || compression === undefined) {
			return;
		}
		const { maxMessageBytes } = this.limits;
		const data = compression.inflate(payload, maxMessageBytes);
		if (data === "too_large") {
			this.fail(CLOSE.tooLarge, `a message inflates to more than ${maxMessageBytes} bytes (RFC 6455 §7.4.1)`);
		} else if (data === "invalid") {
			this.fail(CLOSE.invalidUtf8, "a compressed message is not valid DEFLATE data (RFC 7692 §7.2.2)");
		} else if (text && !isUtf8(data, this.handler.isUtf8)) {
			this.fail(CLOSE.invalidUtf8, NOT_UTF8);
		} else {
			this.deliver(data, text);
		}
	}

	private deliver(data: Uint8Array, text: boolean): void {
		const { handler } = this;
		if (handler.piece === undefined) {
			handler.message(this.context, data, text);
		} else {
			handler.piece(this.context, data, text, true);
		}
	}

	private receiveControl(opcode: number, payload: Uint8Array, answer: boolean): void {
		if (opcode === OPCODE.close) {
			this.receiveClose(payload);
		} else if (this.phase !== "open") {
			return;
		} else if (opcode === OPCODE.pong) {
			this.handler.pong(this.context, payload);
		} else {
			if (answer) {
				this.send(OPCODE.pong, payload);
			}
			this.handler.ping(this.context, payload);
		}
	}

	private receiveClose(payload: Uint8Array): void {
		const body = parseCloseBody(payload);
		if ("text" in body) {
			this.fail(body.code, body.text);
			return;
		}
		const initiator = this.phase === "open" ? "remote" : "local";
		if (this.phase === "open") {
			// §5.5.1: answer with a close frame, typically with the same code.
			this.send(OPCODE.close, payload);
		}
		const transition = this.mask === undefined ? "handshake-done-as-server" : "handshake-done-as-client";
		this.settle(transition, body.code, body.reason, initiator, true);
	}

	protected override drop(): void {
		this.partial = undefined;
		this.message = undefined;
	}
}

const NOT_UTF8 = "a text message is not UTF-8 (RFC 6455 §8.1)";

function isText(bytes: Uint8Array, from: number, until: number, quick: IsUtf8 | undefined): boolean {
	return checkUtf8(UTF8_BOUNDARY, bytes, from, until, quick) === UTF8_BOUNDARY;
}

/** Always a plain `Uint8Array`, whatever the chunk's class. */
function view(chunk: Uint8Array, from: number, until: number): Uint8Array {
	return new Uint8Array(chunk.buffer, chunk.byteOffset + from, until - from);
}
