/**
 * The sending half of a connection: calls in, bytes out, and how it is ended from our side (RFC 6455 §5–§7). It holds
 * the state that both halves share; `connection.ts` is the whole, and receives. One object, not two that know each
 * other: there is one per socket, and most are idle.
 */
import type { MessageCompression } from "./deflate/compression.ts";
import { WebSocketError } from "./errors.ts";
import { assertPayload, buildFragment, buildFrame, buildHeader, controlPayload, utf8 } from "./frame/build.ts";
import { CLOSE, closeBody } from "./frame/close.ts";
import { OPCODE, type Opcode } from "./frame/opcode.ts";
import type { Handler, Initiator } from "./handler.ts";
import { after, type Phase, type State, stateOf, type Transition } from "./state.ts";

/** A fresh, unpredictable masking key: any 32 bits (RFC 6455 §5.3). */
export type MaskSource = () => number;

const EMPTY = new Uint8Array(0);
const AS_IS_FROM = 16 * 1024;

export abstract class Sender<Context> {
	readonly context: Context;
	protected readonly handler: Handler<Context>;
	/** The client's source of masking keys; its absence is the server role. */
	protected readonly mask: MaskSource | undefined;
	protected readonly compression: MessageCompression | undefined;
	protected phase: Phase = "open";
	/** What the next fragment of a message that is being sent is; undefined while there is none. */
	private sending: Opcode | undefined = undefined;

	protected constructor(
		handler: Handler<Context>,
		context: Context,
		mask: MaskSource | undefined,
		compression: MessageCompression | undefined,
	) {
		this.context = context;
		this.handler = handler;
		this.mask = mask;
		this.compression = compression;
	}

	get state(): State {
		return stateOf(this.phase);
	}

	/**
	 * Sends a text message. Bytes must be UTF-8 and are not checked. They are copied, unless they are handed over: then
	 * they must not change any more, and long ones go to the transport as they are. False: no longer open, nothing was
	 * sent.
	 */
	sendText(text: string | Uint8Array, handOver = false): boolean {
		assertPayload(text);
		return this.sendMessage(OPCODE.text, text, handOver);
	}

	/** Sends a binary message, as `sendText` does. */
	sendBinary(bytes: Uint8Array, handOver = false): boolean {
		if (!(bytes instanceof Uint8Array)) {
			throw new WebSocketError("invalid_argument", `a binary message is a Uint8Array, not ${typeof bytes}`);
		}
		return this.sendMessage(OPCODE.binary, bytes, handOver);
	}

	/**
	 * Begins a message that is sent in fragments as its data comes; `sendFragment` goes on with it. Until its last, other
	 * messages throw `WebSocketError` (`message_unfinished`); control frames go between. It is not compressed. False: no
	 * longer open.
	 */
	beginMessage(text: boolean): boolean {
		this.assertFinished();
		if (this.phase !== "open") {
			return false;
		}
		this.sending = text ? OPCODE.text : OPCODE.binary;
		return true;
	}

	/**
	 * Sends the next fragment of the message begun last; the bytes are copied, and a text's must be UTF-8 taken together.
	 * False: no longer open, nothing was sent.
	 */
	sendFragment(bytes: Uint8Array, last: boolean): boolean {
		const opcode = this.sending;
		if (!(bytes instanceof Uint8Array) || opcode === undefined) {
			throw new WebSocketError("invalid_argument", "a fragment is a Uint8Array, after beginMessage");
		}
		if (this.phase !== "open") {
			return false;
		}
		this.sending = last ? undefined : OPCODE.continuation;
		const shape = { fin: last, compressed: false };
		this.handler.write(this.context, buildFragment(opcode, bytes, shape, this.mask?.(), this.handler.allocate));
		return true;
	}

	/**
	 * Writes frames that were built before (`writeFrameHeader`, `MessageCompression.frame`), as they are: whole messages,
	 * for a server to send to many. False: no longer open, nothing was sent.
	 */
	sendRaw(frames: Uint8Array): boolean {
		this.assertFinished();
		if (this.phase !== "open") {
			return false;
		}
		this.handler.write(this.context, frames);
		return true;
	}

	/** Throws `WebSocketError` (`payload_too_large`) above 125 bytes. False: no longer open, nothing was sent. */
	ping(payload: string | Uint8Array = EMPTY): boolean {
		return this.send(OPCODE.ping, controlPayload(payload));
	}

	/** A pong that nobody asked for (RFC 6455 §5.5.3); pings are answered without it. As `ping`. */
	pong(payload: string | Uint8Array = EMPTY): boolean {
		return this.send(OPCODE.pong, controlPayload(payload));
	}

	/**
	 * Begins the closing handshake (RFC 6455 §7.1.2). Messages that the peer sent before it knew are not delivered any
	 * more. Throws `WebSocketError` for a code that may not be sent or a reason above 123 bytes. Nothing happens where
	 * the connection is no longer open.
	 */
	close(code: number = CLOSE.normal, reason = ""): void {
		const body = closeBody(code, reason);
		if (this.phase === "open") {
			this.send(OPCODE.close, body);
			this.move("close-sent");
		}
	}

	/**
	 * Ends the connection without waiting for the peer's close frame (RFC 6455 §7.1.7): for a policy that was broken.
	 * Throws as `close` does.
	 */
	fail(code: number, reason: string): void {
		const phase = this.phase;
		const body = closeBody(code, reason);
		if (phase !== "open" && phase !== "closing") {
			return;
		}
		if (phase === "open") {
			this.send(OPCODE.close, body);
		}
		this.settle("failed", code, reason, "local", false);
	}

	/** Forgets what has been received of a frame or a message that will not be delivered any more. */
	protected abstract drop(): void;

	/** It is known now how the connection ended. */
	protected settle(transition: Transition, code: number, reason: string, initiator: Initiator, clean: boolean): void {
		this.move(transition);
		this.drop();
		if (this.phase === "ended") {
			this.handler.end(this.context);
		}
		this.handler.close(this.context, code, reason, initiator, clean);
	}

	protected move(transition: Transition): boolean {
		const before = this.phase;
		const next = after(before, transition);
		if (next === undefined) {
			return false;
		}
		this.phase = next;
		if (before === "open" && next !== "gone") {
			this.handler.closing?.(this.context);
		}
		return true;
	}

	/** Throws in the midst of a message that is sent in fragments. */
	private assertFinished(): void {
		if (this.sending !== undefined && this.phase === "open") {
			throw new WebSocketError("message_unfinished", "another message is being sent in fragments (RFC 6455 §5.4)");
		}
	}

	/** Sends a whole message, compressed where that was agreed on and gains something. */
	private sendMessage(opcode: Opcode, payload: string | Uint8Array, handOver: boolean): boolean {
		this.assertFinished();
		const { compression } = this;
		if (this.phase !== "open") {
			return false;
		}
		if (compression === undefined) {
			return handOver && typeof payload !== "string" ? this.sendAsIs(opcode, payload) : this.send(opcode, payload);
		}
		const bytes = typeof payload === "string" ? utf8(payload) : payload;
		const deflated = compression.deflate(bytes);
		if (deflated === undefined) {
			return handOver ? this.sendAsIs(opcode, bytes) : this.send(opcode, bytes);
		}
		const shape = { fin: true, compressed: true };
		this.handler.write(this.context, buildFragment(opcode, deflated, shape, this.mask?.(), this.handler.allocate));
		return true;
	}

	/** Sends a frame whose payload is ours: without a copy, where that is dearer than a write of two pieces. */
	private sendAsIs(opcode: Opcode, payload: Uint8Array): boolean {
		if (payload.length < AS_IS_FROM || this.mask !== undefined) {
			return this.send(opcode, payload);
		}
		this.handler.write(this.context, buildHeader(opcode, payload.length, this.handler.allocate));
		this.handler.write(this.context, payload);
		return true;
	}

	/** Sends a frame where the connection is open. */
	protected send(opcode: Opcode, payload: string | Uint8Array): boolean {
		if (this.phase !== "open") {
			return false;
		}
		this.handler.write(this.context, buildFrame(opcode, payload, this.mask?.(), this.handler.allocate));
		return true;
	}
}
