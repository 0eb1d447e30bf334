/**
 * Publishes, actions and history calls on their way: from the call until the answer, over reconnects. It decides what
 * is sent, sent again under the same id, or given up, and with which error. Bounded. It knows no socket and no clock.
 *
 * The rule that it keeps: what was written to a socket is never sent as if it were new. Within the same session and
 * its window the server recognises the id; outside them the outcome is unknown, and the caller is told so.
 */
import type { Ack, MessageId } from "@tidewire/protocol";
import { TidewireError } from "./error.ts";

/** Without an answer for so long on a connection that is there, a request is sent again. */
export const RETRY_MS = 5_000;

/** The part of the server's window in which we resend: the rest is for the way there. */
const WINDOW_SHARE = 0.9;

/**
 * `once`: performed once by the server, for as long as it knows the id. `again`: harmless to repeat (history).
 * `stream`: a streaming reply, which does not outlive its connection and is not repeated.
 */
export type RequestKind = "once" | "again" | "stream";

export interface Answer {
	resolve(ack: Ack): void;
	reject(error: TidewireError): void;
}

interface Request {
	readonly id: number;
	readonly kind: RequestKind;
	readonly payload: string | Uint8Array;
	readonly expiresAt: number;
	readonly answer: Answer;
	/** When it was first written in the present session. */
	firstWrittenAt: number | undefined;
	/** When it was last written to the present socket. */
	writtenAt: number | undefined;
}

export interface RequestLimits {
	readonly maxRequests: number;
	readonly maxBytes: number;
}

export class Requests {
	readonly #limits: RequestLimits;
	/** In the order of their ids, which is the order of the calls. */
	readonly #waiting = new Map<MessageId, Request>();
	#lastId = 0;
	#bytes = 0;
	#windowMs = 0;
	#deadline = Number.POSITIVE_INFINITY;

	constructor(limits: RequestLimits) {
		this.#limits = limits;
	}

	/** Ids are never used twice by one client, so they are new in each of its sessions. */
	nextId(): number {
		this.#lastId += 1;
		return this.#lastId;
	}

	/** No later than the moment when `sweep` has something to do. */
	get deadline(): number {
		return this.#deadline;
	}

	/** Throws `queue_full` where there is no room. The caller then writes what `unwritten` gives. */
	add(request: {
		id: number;
		kind: RequestKind;
		payload: string | Uint8Array;
		answer: Answer;
		expiresAt: number;
	}): void {
		const { maxRequests, maxBytes } = this.#limits;
		if (this.#waiting.size >= maxRequests) {
			throw new TidewireError("queue_full", `${maxRequests} requests wait already (maxRequests)`, { retryable: true });
		}
		if (this.#bytes + request.payload.length > maxBytes) {
			const text = `the waiting requests would exceed ${maxBytes} bytes (maxRequestBytes)`;
			throw new TidewireError("queue_full", text, { retryable: true });
		}
		this.#bytes += request.payload.length;
		this.#waiting.set(request.id, { ...request, firstWrittenAt: undefined, writtenAt: undefined });
		this.#deadline = Math.min(this.#deadline, request.expiresAt);
	}

	/** What is to be written now, in order; it counts as written. */
	unwritten(now: number): readonly (string | Uint8Array)[] {
		const payloads: (string | Uint8Array)[] = [];
		for (const request of this.#waiting.values()) {
			if (request.writtenAt === undefined) {
				request.writtenAt = now;
				request.firstWrittenAt ??= now;
				payloads.push(request.payload);
			}
		}
		if (payloads.length > 0) {
			this.#deadline = Math.min(this.#deadline, now + RETRY_MS);
		}
		return payloads;
	}

	/** The server's answer. False: nobody waits for it. */
	answered(ack: Ack): boolean {
		const request = this.#waiting.get(ack.ack);
		if (request === undefined || request.writtenAt === undefined) {
			return false;
		}
		this.#remove(request);
		request.answer.resolve(ack);
		return true;
	}

	/** The server's refusal. False: nobody waits for it. */
	refused(id: MessageId, error: TidewireError): boolean {
		const request = this.#waiting.get(id);
		if (request === undefined || request.writtenAt === undefined) {
			return false;
		}
		this.#fail(request, error);
		return true;
	}

	/** The caller is no longer interested. True: the server has heard of it. */
	forget(id: number): boolean {
		const request = this.#waiting.get(id);
		if (request !== undefined) {
			this.#remove(request);
		}
		return request?.writtenAt !== undefined;
	}

	/** The socket is gone. What was written waits to learn whether its session goes on; streams end. */
	disconnected(): void {
		for (const request of [...this.#waiting.values()]) {
			request.writtenAt = undefined;
			if (request.kind === "stream" && request.firstWrittenAt !== undefined) {
				this.#fail(request, unknownOutcome("the connection was lost while the reply was streaming"));
			}
		}
	}

	/** A connection is there, in the same session as before or in a new one. `unwritten` gives what to send. */
	connected(resumed: boolean, windowMs: number, now: number): void {
		for (const request of [...this.#waiting.values()]) {
			if (request.firstWrittenAt === undefined) {
				continue;
			}
			if (request.kind === "again") {
				request.firstWrittenAt = undefined;
			} else if (!resumed) {
				this.#fail(request, unknownOutcome("the session in which it was sent is gone"));
			} else if (now - request.firstWrittenAt >= this.#windowMs * WINDOW_SHARE) {
				this.#fail(request, unknownOutcome("the server no longer remembers what was sent so long ago"));
			}
		}
		this.#windowMs = windowMs;
	}

	/** Gives up what has waited too long; returns what to write again, while `connected`. */
	sweep(now: number, connected: boolean): readonly (string | Uint8Array)[] {
		const again: (string | Uint8Array)[] = [];
		this.#deadline = Number.POSITIVE_INFINITY;
		for (const request of [...this.#waiting.values()]) {
			const { firstWrittenAt, kind } = request;
			if (request.expiresAt <= now) {
				this.#fail(request, firstWrittenAt === undefined || kind === "again" ? TIMED_OUT() : NO_ANSWER());
				continue;
			}
			this.#deadline = Math.min(this.#deadline, request.expiresAt);
			if (!connected || kind === "stream" || request.writtenAt === undefined) {
				continue;
			}
			if (request.writtenAt + RETRY_MS <= now) {
				if (kind === "once" && firstWrittenAt !== undefined && now - firstWrittenAt >= this.#windowMs * WINDOW_SHARE) {
					// Too late to ask again; the answer may still come.
					request.writtenAt = Number.POSITIVE_INFINITY;
					continue;
				}
				request.writtenAt = now;
				again.push(request.payload);
			}
			this.#deadline = Math.min(this.#deadline, request.writtenAt + RETRY_MS);
		}
		return again;
	}

	/** The client is closed. */
	close(error: TidewireError): void {
		for (const request of [...this.#waiting.values()]) {
			const sent = request.kind !== "again" && request.firstWrittenAt !== undefined;
			this.#fail(request, sent ? unknownOutcome("the client was closed before the answer came", error) : error);
		}
	}

	#fail(request: Request, error: TidewireError): void {
		this.#remove(request);
		request.answer.reject(error);
	}

	#remove(request: Request): void {
		if (this.#waiting.delete(request.id)) {
			this.#bytes -= request.payload.length;
		}
	}
}

function unknownOutcome(why: string, cause?: TidewireError): TidewireError {
	return new TidewireError("unknown_outcome", `whether it was done is unknown: ${why}`, { cause });
}

const NO_ANSWER = (): TidewireError => unknownOutcome("no answer came in time");

const TIMED_OUT = (): TidewireError =>
	new TidewireError("timeout", "it could not be sent, or was not answered, in time", { retryable: true });
