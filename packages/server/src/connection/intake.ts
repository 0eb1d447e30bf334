/**
 * What a client says, on its way from frames to messages that are performed: in order, a bounded part of it in each turn
 * of the event loop, and no more of it waiting than is bounded by not reading. It performs nothing itself.
 */
import { type ClientMessage, type CloseReason, type MessageId, type Payload, ProtocolError } from "@tidewire/protocol";
import { Refusal } from "../refusal.ts";
import type { Turn } from "./turn.ts";

/** The connection that it belongs to. */
export interface IntakeOwner {
	readonly closed: boolean;
	readonly encoding: { readonly codec: { decode(bytes: Uint8Array, text: boolean): ClientMessage<Payload> } };
	readonly transport: {
		/** Whether it has been given more to write than it takes. */
		readonly congested: boolean;
		pause(): void;
		resume(): void;
	};
	/** Begins to perform a message; a promise holds up those behind it. Throws or rejects where it is refused. */
	perform(message: ClientMessage<Payload>): Promise<void> | undefined;
	/** Answers with a failure. */
	fail(id: MessageId | undefined, cause: unknown): void;
	close(reason: CloseReason, text: string): void;
}

/** More messages than this behind one that holds them up, and the transport is not read from. */
const MAX_HELD_MESSAGES = 256;
/**
 * What one connection may cost others in one turn of the event loop: what comes beyond it waits for the next turn. A
 * good message costs 1.
 */
const TURN_BUDGET = 256;
/** A message that breaks the protocol costs more to answer (two errors with their stacks) than a good one to perform. */
const FAULT_COST = 8;
/** More such messages than this, less the good ones between them, and the connection ends. */
const MAX_FAULTS = 1_000;

interface Frame {
	readonly bytes: Uint8Array;
	readonly text: boolean;
}

export class Intake {
	readonly #turn: Turn;
	readonly #owner: IntakeOwner;
	/** The turn in which something was last received, and what it has cost so far. */
	#turnNumber = -1;
	#spent = 0;
	#faults = 0;
	/** Frames beyond this turn's budget, copied; undefined while there are none. */
	#postponed: Frame[] | undefined;
	/** Messages that wait for one before them; undefined while none does. */
	#held: ClientMessage<Payload>[] | undefined;
	#paused = false;

	constructor(turn: Turn, owner: IntakeOwner) {
		this.#turn = turn;
		this.#owner = owner;
	}

	/** Takes one frame's payload; `bytes` are valid during this call only. */
	receive(bytes: Uint8Array, text: boolean): void {
		if (this.#owner.closed) {
			return;
		}
		if (this.#postponed !== undefined) {
			this.#postponed.push({ bytes: bytes.slice(), text });
			return;
		}
		const turn = this.#turn.now();
		if (this.#turnNumber !== turn) {
			this.#turnNumber = turn;
			this.#spent = 0;
		}
		if (this.#spent >= TURN_BUDGET) {
			this.#postponed = [{ bytes: bytes.slice(), text }];
			this.#turn.next(() => this.goOn());
			this.#settleReading();
			return;
		}
		this.#take(bytes, text);
	}

	/** Takes what was postponed, as far as this turn's budget reaches: in a new turn, or when the transport takes more. */
	goOn(): void {
		const frames = this.#postponed;
		if (frames === undefined || this.#owner.closed || this.#owner.transport.congested) {
			// Where the transport is congested, `drained` goes on: replies are bounded by what is read.
			return;
		}
		this.#postponed = undefined;
		for (const [index, frame] of frames.entries()) {
			this.receive(frame.bytes, frame.text);
			if (this.#postponed !== undefined) {
				// TypeScript narrows the field to undefined here, but `receive` may have set it.
				(this.#postponed as Frame[]).push(...frames.slice(index + 1));
				break;
			}
		}
		this.#settleReading();
	}

	#take(bytes: Uint8Array, text: boolean): void {
		let message: ClientMessage<Payload>;
		try {
			message = this.#owner.encoding.codec.decode(bytes, text);
		} catch (error) {
			this.#refuse(error);
			return;
		}
		this.#spent++;
		this.#faults = Math.max(0, this.#faults - 1);
		if (this.#held === undefined || message.type === "ping") {
			// A ping is answered at once, whatever is held up.
			this.#perform(message);
		} else {
			this.#held.push(message);
			this.#settleReading();
		}
	}

	/** Answers what is no message. */
	#refuse(error: unknown): void {
		this.#spent += FAULT_COST;
		const { id } = error instanceof ProtocolError ? error : {};
		this.#owner.fail(id, error instanceof ProtocolError ? new Refusal(error.code, error.message) : error);
		if (++this.#faults > MAX_FAULTS) {
			this.#owner.close("policy", "too many messages that break the protocol");
		}
	}

	/** Reads on, or stops, by what waits to be performed. */
	#settleReading(): void {
		const pause = this.#postponed !== undefined || (this.#held?.length ?? 0) >= MAX_HELD_MESSAGES;
		if (pause === this.#paused || this.#owner.closed) {
			return;
		}
		this.#paused = pause;
		if (pause) {
			this.#owner.transport.pause();
		} else {
			this.#owner.transport.resume();
		}
	}

	#perform(message: ClientMessage<Payload>): void {
		let wait: Promise<void> | undefined;
		try {
			wait = this.#owner.perform(message);
		} catch (cause) {
			this.#owner.fail(message.id, cause);
			return;
		}
		if (wait !== undefined && message.type !== "ping") {
			this.#held ??= [];
			void wait.catch((cause) => this.#owner.fail(message.id, cause)).then(() => this.#performHeld());
		}
	}

	/** Performs what was held, up to the next message that holds up the rest. */
	#performHeld(): void {
		const held = this.#held ?? [];
		this.#held = undefined;
		for (const [index, message] of held.entries()) {
			if (this.#owner.closed) {
				return;
			}
			this.#perform(message);
			if (this.#held !== undefined) {
				// TypeScript narrows the field to undefined here, but `#perform` may have set it.
				(this.#held as ClientMessage<Payload>[]).push(...held.slice(index + 1));
				break;
			}
		}
		this.#settleReading();
	}

	/** The connection has ended: nothing more is performed. */
	discard(): void {
		this.#postponed = undefined;
		this.#held = undefined;
	}
}
