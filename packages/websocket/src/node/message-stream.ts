/**
 * Messages of any length as streams of bytes, in both directions, with the socket's backpressure: what is held for one
 * is bounded, however long it is. Receiving is opt-in by the handler. Compressed messages are inflated as a whole before
 * they become a stream of one piece, so `maxMessageBytes` bounds those.
 */
import type { Duplex } from "node:stream";
import type { Connection } from "../connection.ts";
import { WebSocketError } from "../errors.ts";
import { CLOSE } from "../frame/close.ts";
import type { Handler } from "../handler.ts";
import { holdReading, releaseReading, type SocketContext, type SocketEvents, socketHandler } from "./drive.ts";

/** Above this many bytes that a consumer has not taken, its socket is not read from. What one read brings comes on top. */
const HOLD_BYTES = 64 * 1024;
/** What a message counts for beside its bytes, so that a flood of empty ones is held up as well. */
const MESSAGE_BYTES = 256;
/** The longest fragment that is sent. */
const FRAGMENT_BYTES = 64 * 1024;

const EMPTY = new Uint8Array(0);
const kInbox = Symbol("tidewire.inbox");

interface ReceivingSocket extends Duplex {
	[kInbox]?: Inbox | undefined;
}

/**
 * A message under way. Iterate it once; leaving the loop early discards the rest of the message. One that nobody iterates
 * holds up its connection.
 */
export interface MessageStream extends AsyncIterable<Uint8Array> {
	/** Its bytes are UTF-8 taken together (a piece may end inside of a character); else binary. */
	readonly text: boolean;
}

export interface StreamEvents<Context extends SocketContext> extends Omit<SocketEvents<Context>, "message"> {
	/**
	 * A message has begun. A connection that breaks inside of it makes its iteration throw `WebSocketError`
	 * (`connection_failed`).
	 */
	message(context: Context, stream: MessageStream): void;
}

/** As `socketHandler`, with every message a stream. Make it once and share it. */
export function streamHandler<Context extends SocketContext>(events: StreamEvents<Context>): Handler<Context> {
	return {
		...socketHandler<Context>({
			message() {},
			ping: (context, payload) => events.ping(context, payload),
			pong: (context, payload) => events.pong(context, payload),
			close: (context, code, reason, initiator, clean) => {
				const socket: ReceivingSocket = context.socket;
				socket[kInbox]?.break();
				events.close(context, code, reason, initiator, clean);
			},
		}),
		piece: (context, data, text, last) => {
			const socket: ReceivingSocket = context.socket;
			socket[kInbox] ??= new Inbox(socket);
			const begun = socket[kInbox].take(data, text, last);
			if (begun !== undefined) {
				events.message(context, begun);
			}
		},
	};
}

/** What one socket's consumers have not taken yet. */
class Inbox {
	private readonly socket: ReceivingSocket;
	private current: Incoming | undefined = undefined;
	private bytes = 0;

	constructor(socket: ReceivingSocket) {
		this.socket = socket;
	}

	/** Adds a piece to the message under way. The message, where it begins with this one. */
	take(data: Uint8Array, text: boolean, last: boolean): Incoming | undefined {
		const begun = this.current === undefined ? new Incoming(this, text) : undefined;
		const message = begun ?? this.current!;
		this.count(begun === undefined ? 0 : MESSAGE_BYTES);
		// The piece is a view of the received chunk, which is not ours to keep.
		message.push(data.length === 0 ? EMPTY : data.slice(), last);
		this.current = last ? undefined : message;
		this.count(0);
		return begun;
	}

	count(bytes: number): void {
		const before = this.bytes;
		this.bytes += bytes;
		if (before < HOLD_BYTES && this.bytes >= HOLD_BYTES) {
			holdReading(this.socket);
		} else if (before >= HOLD_BYTES && this.bytes < HOLD_BYTES) {
			releaseReading(this.socket);
		}
		if (this.bytes === 0 && this.current === undefined) {
			this.socket[kInbox] = undefined;
		}
	}

	/** The connection has ended. */
	break(): void {
		this.current?.break();
		this.current = undefined;
	}
}

class Incoming implements MessageStream, AsyncIterator<Uint8Array, undefined> {
	readonly text: boolean;
	private readonly inbox: Inbox;
	private pieces: Uint8Array[] = [];
	private state: "arriving" | "whole" | "broken" | "discarded" = "arriving";
	private counted = MESSAGE_BYTES;
	private waiting: (() => void) | undefined = undefined;

	constructor(inbox: Inbox, text: boolean) {
		this.inbox = inbox;
		this.text = text;
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	push(piece: Uint8Array, last: boolean): void {
		if (this.state === "arriving") {
			if (piece.length > 0) {
				this.pieces.push(piece);
				this.counted += piece.length;
				this.inbox.count(piece.length);
			}
			this.state = last ? "whole" : "arriving";
			this.wake();
		}
	}

	break(): void {
		if (this.state === "arriving") {
			this.state = "broken";
			this.wake();
		}
	}

	async next(): Promise<IteratorResult<Uint8Array, undefined>> {
		while (this.pieces.length === 0 && this.state === "arriving") {
			await new Promise<void>((resolve) => {
				this.waiting = resolve;
			});
		}
		const pieces = this.pieces;
		if (pieces.length > 0) {
			// As one: a consumer that is behind catches up in one step, and there is no queue to shift.
			this.pieces = [];
			const piece = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
			this.uncount(piece.length);
			return { done: false, value: piece };
		}
		this.uncount(this.counted);
		if (this.state === "broken") {
			throw new WebSocketError("connection_failed", "the connection ended inside of a message");
		}
		return { done: true, value: undefined };
	}

	return(): Promise<IteratorResult<Uint8Array, undefined>> {
		this.state = "discarded";
		this.pieces = [];
		this.uncount(this.counted);
		return Promise.resolve({ done: true, value: undefined });
	}

	private uncount(bytes: number): void {
		this.counted -= bytes;
		this.inbox.count(-bytes);
	}

	private wake(): void {
		const { waiting } = this;
		this.waiting = undefined;
		waiting?.();
	}
}

/**
 * Sends one message in fragments as `source` yields them, no faster than the socket takes them. Until it is done other
 * messages on this connection throw `WebSocketError` (`message_unfinished`); pings and pongs go between. A text's pieces
 * must be UTF-8 taken together. Resolves to whether the message was sent whole: false where the connection ended before.
 * A source that throws ends the connection with 1011, since half a message cannot be taken back, and rejects with what
 * was thrown.
 */
export async function sendStream(
	connection: Connection<SocketContext>,
	source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
	{ text = false }: { readonly text?: boolean } = {},
): Promise<boolean> {
	if (!connection.beginMessage(text)) {
		return false;
	}
	const { socket } = connection.context;
	let done = false;
	try {
		for await (const piece of source) {
			for (let at = 0; at < piece.length; at += FRAGMENT_BYTES) {
				if (!connection.sendFragment(piece.subarray(at, at + FRAGMENT_BYTES), false)) {
					done = true;
					return false;
				}
				if (socket.writableNeedDrain) {
					await drained(socket);
				}
			}
		}
		done = true;
		return connection.sendFragment(EMPTY, true);
	} finally {
		if (!done) {
			connection.fail(CLOSE.internal, "");
		}
	}
}

/** Resolves when the socket takes more, or is gone. */
function drained(socket: Duplex): Promise<void> {
	return new Promise((resolve) => {
		const done = (): void => {
			socket.off("drain", done).off("close", done);
			resolve();
		};
		socket.on("drain", done).on("close", done);
		if (socket.destroyed) {
			done();
		}
	});
}
