/**
 * One WebSocket from its opening to its end, speaking messages instead of frames. What comes after `drop` is not heard.
 * It also keeps the questions that belong to this one socket (auth, resume, subscribe): they die with it.
 */
import type { Ack, ClientCodec, ClientMessage, MessageId, ServerMessage, WireError } from "@tidewire/protocol";
import { TidewireError } from "./error.ts";

export interface LinkEvents {
	opened(): void;
	lost(code: number, reason: string): void;
	/** Anything at all has come: the server lives. */
	heard(): void;
	/** Everything but the answers to questions. */
	message(message: ServerMessage): void;
	/** The server sent what is no message. */
	fault(error: TidewireError): void;
}

export type Answered = (ack: Ack | undefined, error: WireError | undefined) => void;

export class Link {
	readonly #socket: WebSocket;
	readonly #codec: ClientCodec;
	readonly #questions = new Map<MessageId, Answered>();
	#dropped = false;
	/** Resolves when the socket is closed, dropped or not. */
	readonly closed: Promise<void>;

	constructor(url: string, WebSocketClass: typeof WebSocket, codec: ClientCodec, events: LinkEvents) {
		this.#codec = codec;
		const socket = new WebSocketClass(url, codec.subprotocol);
		this.#socket = socket;
		socket.binaryType = "arraybuffer";
		socket.onopen = () => {
			if (!this.#dropped) {
				events.opened();
			}
		};
		socket.onmessage = ({ data }: MessageEvent<unknown>) => {
			if (!this.#dropped) {
				this.#heard(data, events);
			}
		};
		// An error is always followed by a close, which says more.
		socket.onerror = () => {};
		this.closed = new Promise((resolve) => {
			socket.onclose = ({ code, reason }) => {
				resolve();
				if (!this.#dropped) {
					this.#dropped = true;
					events.lost(code, reason);
				}
			};
		});
	}

	/** Sends a message whose answer is for `answered`. */
	ask(message: ClientMessage & { readonly id: MessageId }, answered: Answered): void {
		this.#questions.set(message.id, answered);
		this.send(this.#codec.encode(message));
	}

	send(payload: string | Uint8Array): void {
		// Between the socket's end and its close event, `send` would throw or be silent, as the runtime likes.
		if (!this.#dropped && this.#socket.readyState === 1) {
			this.#socket.send(payload as string | Uint8Array<ArrayBuffer>);
		}
	}

	drop(code: number, reason: string): void {
		this.#dropped = true;
		this.#questions.clear();
		// A reason holds at most 123 bytes, or `close` throws (RFC 6455 §5.5). Ours are ASCII.
		this.#socket.close(code, reason.slice(0, 123));
	}

	#heard(data: unknown, events: LinkEvents): void {
		events.heard();
		let message: ServerMessage;
		try {
			message = this.#codec.decode(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
		} catch (cause) {
			events.fault(new TidewireError("protocol", "the server sent what is no message", { cause }));
			return;
		}
		const answered = "ack" in message && message.ack !== undefined ? this.#questions.get(message.ack) : undefined;
		if (answered === undefined) {
			events.message(message);
			return;
		}
		const answer = message as Ack | { ack: MessageId; error: WireError };
		this.#questions.delete(answer.ack);
		if (answer.error === undefined) {
			answered(answer as Ack, undefined);
		} else {
			answered(undefined, answer.error);
		}
	}
}
