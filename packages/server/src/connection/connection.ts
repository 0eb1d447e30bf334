/**
 * One client's connection, whatever transport carries it: who speaks, what it is subscribed to, and what is still to be
 * written to it. Messages are performed in the order in which they came; what takes its time after it has begun (a
 * broker's answer, an action's handler) does not hold up those behind it.
 */
import type { ClientMessage, CloseReason, Failure, MessageId, Payload, ServerMessage } from "@tidewire/protocol";
import { type Caller, WAITING } from "../auth/caller.ts";
import type { DeflateContext } from "../hub/deflate-context.ts";
import type { Encoding } from "../hub/encoding.ts";
import { type Hub, NO_SUBSCRIPTIONS } from "../hub/hub.ts";
import type { Queue, Subscriber, Subscription } from "../hub/subscription.ts";
import type { Log } from "../observe/log.ts";
import { Refusal } from "../refusal.ts";
import { Intake, type IntakeOwner } from "./intake.ts";
import type { Turn } from "./turn.ts";

/** What carries a connection's bytes. */
export interface Transport {
	/** Whether it takes no more for now. It says `Connection.unblocked` when it does again. */
	readonly blocked: boolean;
	readonly remoteAddress: string | undefined;
	write(bytes: Uint8Array): void;
	/** Ends the connection after what has been written. `text` goes to the peer. */
	close(reason: CloseReason, text: string): void;
	/** Whether it has been given more to write than it takes; part of `blocked`. */
	readonly congested: boolean;
	/** Stop reading, because more has been asked for than is done; and go on. */
	pause(): void;
	resume(): void;
}

/** The path that a client came by: what its parameters are, and what a plain client gets and may publish to there. */
export interface Entrance {
	/** Has no prototype. */
	readonly params: Readonly<Record<string, string>>;
	readonly channels: readonly string[];
	readonly publish: string | undefined;
	/** It enters and watches the presence of these channels, and is told of it in bare words. */
	readonly presence?: "plain" | undefined;
}

/** What a connection needs of the node that it is on. */
export interface Home {
	readonly hub: Hub;
	readonly log: Log;
	readonly turn: Turn;
	/** All connections of the node. */
	readonly connections: Set<Connection>;
	/** What messages are performed by. A promise holds up the messages behind it. */
	readonly perform: (connection: Connection, message: ClientMessage<Payload>) => Promise<void> | undefined;
	/** The connection has ended; its session may go on at another. */
	readonly sessionEnded: (connection: Connection) => void;
	/** The connection takes more again. */
	readonly unblocked: (connection: Connection) => void;
	/** It has ended. `why`: what either side said, or undefined for an accident. */
	readonly departed: (connection: Connection, why: CloseReason | undefined) => void;
}

/** A call whose reply is still to come; ids need not differ. */
export interface CallAtWork {
	readonly id: MessageId | undefined;
	readonly cancel: AbortController;
}

/** More bytes of replies than this behind the next write, and what would add to them waits for that write. */
const MAX_OUTBOX_BYTES = 256 * 1024;
export class Connection implements Subscriber, IntakeOwner {
	// In the order in which a write needs them: with a thousand subscribers each line of the cache counts.
	readonly transport: Transport;
	readonly encoding: Encoding;
	moved: Subscription | undefined;
	queue: Queue = "none";
	closed = false;
	/** Undefined while there is nothing in it. */
	#outbox: Uint8Array[] | undefined;
	context: DeflateContext | undefined;
	readonly #home: Home;
	#outboxBytes = 0;
	subscriptions: readonly Subscription[] = NO_SUBSCRIPTIONS;
	/** Another's from when it is resumed. */
	session: string;
	readonly entrance: Entrance;
	caller: Caller = WAITING;
	/** How many subscriptions are under way. */
	joining = 0;
	/** Calls at work; made at the first. */
	calls: Set<CallAtWork> | undefined;
	readonly #intake: Intake;
	/** Resolvers of `writable()`; made at the first. */
	#waiting: (() => void)[] | undefined;

	constructor(home: Home, transport: Transport, encoding: Encoding, session: string, entrance: Entrance) {
		this.#home = home;
		this.transport = transport;
		this.encoding = encoding;
		this.session = session;
		this.entrance = entrance;
		this.#intake = new Intake(home.turn, this);
	}

	get blocked(): boolean {
		return this.transport.blocked;
	}

	get unwritten(): number {
		return this.#outboxBytes;
	}

	/**
	 * Whether what is asked for should wait, since what was asked for before is not written yet. Not `blocked`: the pong
	 * that ends that may stand behind the very messages that wait.
	 */
	get congested(): boolean {
		return !this.closed && (this.transport.congested || this.#outboxBytes >= MAX_OUTBOX_BYTES);
	}

	/**
	 * What ids count in: the session, or for plain clients the user; undefined where ids are only echoed. What was begun
	 * before the connection ended still counts in it.
	 */
	get idScope(): string | undefined {
		if (this.encoding.codec.enveloped) {
			return `s:${this.session}`;
		}
		return this.caller.user === null ? undefined : `u:${this.caller.user.id}`;
	}

	// What comes in.

	/** Takes one frame's payload; `bytes` are valid during this call only. */
	receive(bytes: Uint8Array, text: boolean): void {
		this.#intake.receive(bytes, text);
	}

	/** Begins to perform a message. Throws or rejects where it is refused. */
	perform(message: ClientMessage<Payload>): Promise<void> | undefined {
		return this.#home.perform(this, message);
	}

	// What goes out.

	reply(message: ServerMessage): void {
		if (this.closed) {
			return;
		}
		const { codec } = this.encoding;
		this.send(this.encoding.frame(codec.encode(message)));
	}

	/** Answers with a failure. Whatever is no `Refusal` is an internal error: logged, and not told. */
	fail(id: MessageId | undefined, cause: unknown): void {
		if (this.closed) {
			return;
		}
		let refusal: Refusal;
		if (cause instanceof Refusal) {
			refusal = cause;
		} else {
			this.#home.log.error("a message could not be performed", { cause, session: this.session });
			refusal = new Refusal("internal", "the server could not perform this");
		}
		const failure: Failure = id === undefined ? { error: refusal.wire } : { ack: id, error: refusal.wire };
		this.reply(failure);
	}

	send(frame: Uint8Array): void {
		if (this.closed) {
			return;
		}
		this.#outboxBytes += frame.length;
		if (this.#outbox === undefined) {
			this.#outbox = [frame];
			this.#home.hub.flush.subscriber(this);
		} else {
			this.#outbox.push(frame);
		}
	}

	/** Writes what was sent and then what the flush has gathered, as one. */
	write(gathered?: Uint8Array): void {
		if (this.closed) {
			return;
		}
		const outbox = this.#outbox;
		if (outbox === undefined) {
			if (gathered !== undefined) {
				this.transport.write(gathered);
			}
			return;
		}
		this.#outbox = undefined;
		this.#outboxBytes = 0;
		if (gathered !== undefined) {
			outbox.push(gathered);
		}
		this.transport.write(outbox.length === 1 ? outbox[0]! : Buffer.concat(outbox));
		this.#release();
	}

	/** The transport is not `blocked` any more. */
	unblocked(): void {
		this.#home.hub.unblocked(this);
		this.#home.unblocked(this);
	}

	/** The transport is not `congested` any more. */
	drained(): void {
		this.#intake.goOn();
		this.#release();
	}

	#release(): void {
		if (this.#waiting === undefined || this.congested) {
			return;
		}
		const waiting = this.#waiting;
		this.#waiting = undefined;
		for (const resolve of waiting) {
			resolve();
		}
	}

	/**
	 * Resolves when the connection is not congested, or has ended. Whoever has waited with others has to ask again: one
	 * before it may have filled it.
	 */
	writable(): Promise<void> {
		if (!this.congested) {
			return Promise.resolve();
		}
		this.#waiting ??= [];
		const waiting = this.#waiting;
		return new Promise((resolve) => waiting.push(resolve));
	}

	/** A subscription cannot go on without a gap, and this client's protocol cannot say so: never a silent hole. */
	lost(_subscription: Subscription, why: "gap" | "reset"): void {
		if (why === "gap") {
			this.close("slow_consumer", "messages were missed");
		} else {
			this.close("restart", "the channel began anew");
		}
	}

	// How it ends.

	/** Ends the connection, after what has been sent. */
	close(reason: CloseReason, text: string): void {
		if (this.closed) {
			return;
		}
		// What was published before goes out before the goodbye.
		this.#home.hub.flush.write(this);
		this.transport.close(reason, text);
		this.ended(reason);
	}

	/** The transport has ended, or is about to: nothing is received or sent any more. `why`: undefined for an accident. */
	ended(why?: CloseReason): void {
		if (this.closed) {
			return;
		}
		this.closed = true;
		this.#home.sessionEnded(this);
		this.#outbox = undefined;
		this.#outboxBytes = 0;
		this.#intake.discard();
		this.#home.hub.leaveAll(this);
		this.#home.departed(this, why);
		this.#home.connections.delete(this);
		for (const call of this.calls ?? []) {
			call.cancel.abort();
		}
		for (const resolve of this.#waiting ?? []) {
			resolve();
		}
		this.#waiting = undefined;
	}
}
