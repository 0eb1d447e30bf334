/**
 * Publishes, actions and history calls on their way: from the call until the answer, over reconnects. It decides what
 * is sent, sent again under the same id, or given up, and with which error. Bounded. It knows no socket and no clock.
 *
 * The rule that it keeps: what was written to a socket is never sent as if it were new. Within the same session and
 * its window the server recognises the id; outside them the outcome is unknown, and the caller is told so.
 */
import type { Ack, MessageId } from "@tidewire/protocol";
import { TidewireError } from "./error.ts";
import type { Session } from "./machine.ts";

/** Without an answer for so long on a connection that is there, a request is sent again. */
export const RETRY_MS = 5_000;

/** The part of the server's window in which we resend: the rest is for the way there. */
const WINDOW_SHARE = 0.9;

/**
 * `once`: performed once by the server, for as long as it knows the id. `again`: harmless to repeat (history).
 * `stream`: a streaming reply, which does not outlive its connection and is not repeated. `tell`: sent once, and not
 * answered: it is done when it is written.
 */
export type RequestKind = "once" | "again" | "stream" | "tell";

export interface Answer {
	resolve(ack: Ack): void;
	reject(error: TidewireError): void;
}

export interface Request {
	readonly id: number;
	readonly kind: RequestKind;
	readonly payload: string | Uint8Array;
	/** An outbox is asked to keep it (`RequestOptions.keep`), and for how long it may. */
	readonly keep?: boolean | undefined;
	expiresAt: number;
	answer: Answer;
	/** When it was written: first in its session, and last to the present socket. */
	firstAt?: number | undefined;
	lastAt?: number | undefined;
	/** Not to be written yet: an outbox is writing it down. */
	held?: boolean | undefined;
}

export interface Requests {
	/** Ids are never used twice by one client, so they are new in each of its sessions. */
	nextId(): number;
	/** Throws `limit_reached` where there is no room. The caller then writes what is `due`. */
	add(request: Request): void;
	/** The server's answer, or its refusal. What nobody waits for is nothing to us. */
	answered(id: MessageId, answer: Ack | TidewireError): void;
	/** The caller is no longer interested. True: the server has heard of it. */
	forget(id: number): boolean;
	/** The socket is gone. What was written waits to learn whether its session goes on; streams end. */
	disconnected(): void;
	/** A connection is there, in the same session as before or in a new one. `due` gives what to send. */
	connected(resumed: boolean, session: Session, now: number): void;
	/** No later than the moment when `due` has something to do. */
	deadline(): number;
	/**
	 * Gives up what has waited too long. Returns what to write now, in the order of the calls: while `connected`, what was
	 * not written yet and what has waited for its answer; it counts as written.
	 */
	due(now: number, connected: boolean): readonly Pick<Request, "id" | "payload">[];
	/** The client is closed. */
	close(error: TidewireError): void;
}

export function createRequests(maxRequests: number, maxBytes: number): Requests {
	/** In the order of their ids, which is the order of the calls. */
	const waiting = new Map<MessageId, Request>();
	let lastId = 0;
	let bytes = 0;
	let windowMs = 0;
	let deadline = Number.POSITIVE_INFINITY;

	function remove(request: Request): void {
		if (waiting.delete(request.id)) {
			bytes -= request.payload.length;
		}
	}

	function settle(request: Request, answer: Ack | TidewireError): void {
		remove(request);
		if (answer instanceof TidewireError) {
			request.answer.reject(answer);
		} else {
			request.answer.resolve(answer);
		}
	}

	/** The end of a request that the server may have heard of; `unsent` where it cannot have, or where that is no matter. */
	function giveUp(request: Request, why: string, unsent?: TidewireError): void {
		if (request.firstAt !== undefined && request.kind !== "again") {
			settle(request, new TidewireError("unknown_outcome", `it may have been done: ${why}`));
		} else if (unsent) {
			settle(request, unsent);
		}
	}

	const isForgotten = ({ firstAt }: Request, now: number): boolean => now - (firstAt ?? now) >= windowMs * WINDOW_SHARE;
	const dueBy = (at: number): void => {
		deadline = Math.min(deadline, at);
	};
	const all = (): readonly Request[] => [...waiting.values()];

	return {
		nextId() {
			lastId += 1;
			return lastId;
		},
		add(request) {
			if (waiting.size >= maxRequests || bytes + request.payload.length > maxBytes) {
				throw new TidewireError("limit_reached", "maxRequests or maxRequestBytes wait already", { retryable: true });
			}
			bytes += request.payload.length;
			waiting.set(request.id, request);
			dueBy(request.expiresAt);
		},
		answered(id, answer) {
			const request = waiting.get(id);
			if (request?.lastAt !== undefined) {
				settle(request, answer);
			}
		},
		forget(id) {
			const request = waiting.get(id);
			if (request) {
				remove(request);
			}
			return request?.lastAt !== undefined;
		},
		disconnected() {
			for (const request of all()) {
				request.lastAt = undefined;
				if (request.kind === "stream") {
					giveUp(request, "the connection was lost");
				}
			}
		},
		connected(resumed, session, now) {
			({ windowMs } = session);
			for (const request of all()) {
				if (!resumed || isForgotten(request, now)) {
					giveUp(request, "its session is over");
					request.firstAt = undefined;
				}
			}
		},
		deadline: () => deadline,
		due(now, connected) {
			const dueNow: Request[] = [];
			deadline = Number.POSITIVE_INFINITY;
			for (const request of all()) {
				const { expiresAt, held, kind, lastAt } = request;
				if (expiresAt <= now) {
					giveUp(request, TIMED_OUT, new TidewireError("timeout", TIMED_OUT));
					continue;
				}
				dueBy(expiresAt);
				// When it is too late to ask again, the answer may still come.
				const isFinal = kind === "stream" || (kind === "once" && isForgotten(request, now));
				if (!connected || held || (lastAt !== undefined && isFinal)) {
					continue;
				}
				if (lastAt === undefined || lastAt + RETRY_MS <= now) {
					request.lastAt = now;
					request.firstAt ??= now;
					dueNow.push(request);
				}
				if (kind === "tell") {
					settle(request, { ack: request.id });
				}
				dueBy((request.lastAt ?? now) + RETRY_MS);
			}
			return dueNow;
		},
		close(error) {
			for (const request of all()) {
				giveUp(request, "the client was closed", error);
			}
		},
	};
}

const TIMED_OUT = "no answer in time";
