/**
 * One WebSocket from its opening to its end, speaking messages instead of frames. What comes after `drop` is not heard.
 * It also keeps the questions that belong to this one socket (auth, resume, subscribe): they die with it.
 */
import type { Ack, ClientCodec, ClientMessage, MessageId, ServerMessage, WireError } from "@tidewire/protocol";
import { TidewireError } from "./error.ts";

export type LinkEvent =
	| { readonly type: "opened" }
	/** Anything at all has come: the server lives. */
	| { readonly type: "heard" }
	/** The server sent what is no message. */
	| { readonly type: "fault"; readonly error: TidewireError }
	| { readonly type: "lost"; readonly code: number; readonly reason: string };

/** A message that can be answered, before it has its id. */
export type Question = ClientMessage extends infer M
	? M extends { readonly type: "bare" }
		? never
		: Omit<M, "id">
	: never;

export type Answered = (ack: Ack | undefined, error: WireError | undefined) => void;

export interface Link {
	/** Resolves when the socket is closed, dropped or not. */
	readonly closed: Promise<void>;
	/** Sends a message whose answer is for `answered`. */
	ask(message: ClientMessage & { readonly id: MessageId }, answered: Answered): void;
	send(payload: string | Uint8Array): void;
	/** Closes the socket with 1000. */
	drop(): void;
}

/** `onMessage` gets everything but the answers to questions. */
export function openLink(
	url: string,
	WebSocketClass: typeof WebSocket,
	codec: ClientCodec,
	onEvent: (event: LinkEvent) => void,
	onMessage: (message: ServerMessage) => void,
): Link {
	const questions = new Map<MessageId | undefined, Answered>();
	const socket = new WebSocketClass(url, codec.subprotocol);
	let dropped = false;

	function send(payload: string | Uint8Array): void {
		// Between the socket's end and its close event, `send` would throw or be silent, as the runtime likes.
		if (!dropped && socket.readyState === 1) {
			socket.send(payload as string | Uint8Array<ArrayBuffer>);
		}
	}

	function hear(event: LinkEvent): void {
		if (!dropped) {
			onEvent(event);
		}
	}

	function receive(data: unknown): void {
		hear({ type: "heard" });
		let message: ServerMessage;
		try {
			message = codec.decode(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
		} catch (cause) {
			hear({
				type: "fault",
				error: new TidewireError("protocol", "the server sent something that is no message", { cause }),
			});
			return;
		}
		const id = "ack" in message ? message.ack : undefined;
		const answered = questions.get(id);
		if (answered === undefined) {
			onMessage(message);
			return;
		}
		questions.delete(id);
		const answer = message as Ack | { readonly error: WireError };
		answered(answer.error ? undefined : (answer as Ack), answer.error);
	}

	socket.binaryType = "arraybuffer";
	socket.onopen = () => hear({ type: "opened" });
	socket.onmessage = ({ data }: MessageEvent<unknown>) => {
		if (!dropped) {
			receive(data);
		}
	};
	// An error is always followed by a close, which says more.
	socket.onerror = () => {};
	const closed = new Promise<void>((resolve) => {
		socket.onclose = ({ code, reason }) => {
			resolve();
			hear({ type: "lost", code, reason });
		};
	});

	return {
		closed,
		send,
		ask(message, answered) {
			questions.set(message.id, answered);
			send(codec.encode(message));
		},
		drop() {
			dropped = true;
			socket.close(1000);
		},
	};
}
