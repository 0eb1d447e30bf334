/**
 * The seam of the wire protocols: each is a pure pair of translations between messages and the payloads of transport
 * frames. A codec knows no socket and keeps no state.
 */
import type { Ack, ClientMessage, Payload, ServerMessage } from "./message.ts";

/**
 * A frame's payload in three parts, so that whoever adds the transport's header can lay all of it out in one
 * allocation: `head` and `tail` are written as UTF-8, `data` is copied as it is.
 */
export interface Outbound {
	/** Whether the payload needs a binary frame. */
	readonly binary: boolean;
	readonly head: string;
	readonly data: Uint8Array;
	readonly tail: string;
}

/** What a codec needs of a log entry; the broker's `Entry` fits. */
export interface OutboundEntry {
	readonly offset: number;
	readonly previous?: number;
	readonly data: Uint8Array;
	readonly encoding: "json" | "binary";
	readonly name?: string;
	readonly key?: string;
	readonly from?: string;
	/** `data` is an RFC 7396 patch of the value before it. */
	readonly patch?: true;
}

/** The server's half of a wire protocol. */
export interface ServerCodec {
	/** The WebSocket subprotocol, or undefined where none is offered (plain). */
	readonly subprotocol: string | undefined;
	/** Whether channel messages carry channel and offset, and events and `hello` are sent. */
	readonly enveloped: boolean;
	/**
	 * Reads one frame's payload. `text`: whether it came in a text frame (its UTF-8 is already checked).
	 * Throws `ProtocolError` and nothing else; its `id` is set where the message had a usable one.
	 */
	decode(bytes: Uint8Array, text: boolean): ClientMessage<Payload>;
	/** Any message but a channel message. */
	encode(message: ServerMessage): Outbound;
	/** A channel message; JSON data goes through untouched. */
	encodeEntry(channel: string, entry: OutboundEntry): Outbound;
	/** The reply to `history`: `ack` with the entries as its `messages`, in the order given; JSON data goes through untouched. */
	encodeHistory(ack: Ack, entries: readonly OutboundEntry[]): Outbound;
}

/** The client's half. */
export interface ClientCodec {
	readonly subprotocol: string;
	encode(message: ClientMessage): string | Uint8Array;
	/** Throws `ProtocolError` where the payload is no server message. Unknown fields are ignored. */
	decode(payload: string | Uint8Array): ServerMessage;
}

export const EMPTY: Uint8Array = new Uint8Array(0);
