/**
 * What a connection tells its owner. One handler object serves all connections: each call carries the connection's
 * context, so that a connection needs no closure and no emitter of its own.
 *
 * Calls come synchronously from within `receive`, `receiveEnd`, the sending methods and `checkDeadlines`.
 */

/** Who began to end the connection. A transport that breaks counts as the remote side's doing. */
export type Initiator = "local" | "remote";

export interface Handler<Context> {
	/**
	 * A whole message. `data` is valid during this call only (it may be a view of the received chunk): copy what is
	 * to be kept. It may be sent on, handed over. `text` data is checked UTF-8.
	 */
	message(context: Context, data: Uint8Array, text: boolean): void;
	/**
	 * Opt-in: messages of any length, piece by piece as they arrive; `message` is not called then. `data` as above; a
	 * text's pieces are UTF-8 taken together, and one may end inside of a character. `last` may come with an empty piece.
	 */
	piece?(context: Context, data: Uint8Array, text: boolean, last: boolean): void;
	/** A ping; its pong is already on its way. `payload` is valid during this call only. */
	ping(context: Context, payload: Uint8Array): void;
	/** A pong, asked for or not. `payload` is valid during this call only. */
	pong(context: Context, payload: Uint8Array): void;
	/**
	 * How the connection ended; exactly once, and nothing but `end` comes after it. `code` is that of the peer's close
	 * frame (1005 where it has none), or the one that we failed the connection with, or 1006 where neither was sent in
	 * time. `clean` says whether close frames went both ways.
	 */
	close(context: Context, code: number, reason: string, initiator: Initiator, clean: boolean): void;
	/** Bytes for the transport. They belong to the callee. */
	write(context: Context, bytes: Uint8Array): void;
	/** Close our half of the transport now, after what was written; at most once. */
	end(context: Context): void;
	/** The connection has left `open`: call `checkDeadlines` now and then until it, or the transport, is done. */
	closing?(context: Context): void;
	/** Memory for an outgoing frame; every byte of it will be written. Default: `new Uint8Array(length)`. */
	allocate?(length: number): Uint8Array;
	/** Whether bytes are one valid UTF-8 text, by a means of the platform. Default: a check in JavaScript. */
	isUtf8?(bytes: Uint8Array): boolean;
}
