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
		if (this.#waiting.size >= maxRequests || this.#bytes + request.payload.length > maxBytes) {
			const text = `more than ${maxRequests} requests or ${maxBytes} bytes would wait (maxRequests, maxRequestBytes)`;
			throw new TidewireError("queue_full", text);
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

	/** The server's answer, or its refusal. What nobody waits for is nothing to us. */
	answered(id: MessageId, answer: Ack | TidewireError): void {
		const request = this.#waiting.get(id);
		if (request?.writtenAt === undefined) {
			return;
		}
		if (answer instanceof TidewireError) {
			this.#fail(request, answer);
		} else {
			this.#remove(request);
			request.answer.resolve(answer);
		}
	}

	/** The caller is no longer interested. True: the server has heard of it. */
	forget(id: number): boolean {
		const request = this.#waiting.get(id);
		if (request) {
			this.#remove(request);
		}
		return request?.writtenAt !== undefined;
	}

	/** The socket is gone. What was written waits to learn whether its session goes on; streams end. */
	disconnected(): void {
		for (const request of [...this.#waiting.values()]) {
			request.writtenAt = undefined;
			if (request.kind === "stream" && request.firstWrittenAt !== undefined) {
				this.#fail(request, unknownOutcome("the connection was lost"));
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
				this.#fail(request, unknownOutcome("its session is gone"));
			} else if (now - request.firstWrittenAt >= this.#windowMs * WINDOW_SHARE) {
				this.#fail(request, unknownOutcome("it was sent too long ago"));
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
				const sent = firstWrittenAt !== undefined && kind !== "again";
				const late = "no answer in time";
				this.#fail(request, sent ? unknownOutcome(late) : new TidewireError("timeout", late));
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
			this.#fail(request, sent ? unknownOutcome("the client was closed", error) : error);
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
