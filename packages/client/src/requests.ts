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
const RETRY_MS = 5_000;

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

export interface Request {
	readonly id: number;
	readonly kind: RequestKind;
	readonly payload: string | Uint8Array;
	readonly expiresAt: number;
	readonly answer: Answer;
}

/** A request, and when it was written: first in its session, and last to the present socket. */
interface Waiting extends Request {
	firstAt?: number | undefined;
	lastAt?: number | undefined;
}

export interface Requests {
	/** Ids are never used twice by one client, so they are new in each of its sessions. */
	nextId(): number;
	/** Throws `queue_full` where there is no room. The caller then writes what is `due`. */
	add(request: Request): void;
	/** The server's answer, or its refusal. What nobody waits for is nothing to us. */
	answered(id: MessageId, answer: Ack | TidewireError): void;
	/** The caller is no longer interested. True: the server has heard of it. */
	forget(id: number): boolean;
	/** The socket is gone. What was written waits to learn whether its session goes on; streams end. */
	disconnected(): void;
	/** A connection is there, in the same session as before or in a new one. `due` gives what to send. */
	connected(resumed: boolean, windowMs: number, now: number): void;
	/** No later than the moment when `due` has something to do. */
	deadline(): number;
	/**
	 * Gives up what has waited too long. Returns what to write now, in the order of the calls: while `connected`, what was
	 * not written yet and what has waited for its answer; it counts as written.
	 */
	due(now: number, connected: boolean): readonly (string | Uint8Array)[];
	/** The client is closed. */
	close(error: TidewireError): void;
}

export function createRequests(maxRequests: number, maxBytes: number): Requests {
	/** In the order of their ids, which is the order of the calls. */
	const waiting = new Map<MessageId, Waiting>();
	let lastId = 0;
	let bytes = 0;
	let windowMs = 0;
	let deadline = Number.POSITIVE_INFINITY;

	function remove(request: Waiting): void {
		if (waiting.delete(request.id)) {
			bytes -= request.payload.length;
		}
	}

	function fail(request: Waiting, error: TidewireError): void {
		remove(request);
		request.answer.reject(error);
	}

	/** The end of a request that the server may have heard of; `unsent` where it cannot have, or where that is no matter. */
	function giveUp(request: Waiting, why: string, unsent?: TidewireError): void {
		const sent = request.firstAt !== undefined && request.kind !== "again";
		if (sent) {
			fail(request, new TidewireError("unknown_outcome", `it may have been done: ${why}`));
		} else if (unsent) {
			fail(request, unsent);
		}
	}

	const isForgotten = ({ firstAt = 0 }: Waiting, now: number): boolean => now - firstAt >= windowMs * WINDOW_SHARE;
	const dueBy = (at: number): void => {
		deadline = Math.min(deadline, at);
	};
	const all = (): readonly Waiting[] => [...waiting.values()];

	return {
		nextId() {
			lastId += 1;
			return lastId;
		},
		add(request) {
			if (waiting.size >= maxRequests || bytes + request.payload.length > maxBytes) {
				throw new TidewireError("queue_full", "too much waits already (maxRequests, maxRequestBytes)");
			}
			bytes += request.payload.length;
			waiting.set(request.id, { ...request });
			dueBy(request.expiresAt);
		},
		answered(id, answer) {
			const request = waiting.get(id);
			if (request?.lastAt === undefined) {
				return;
			}
			if (answer instanceof TidewireError) {
				fail(request, answer);
			} else {
				remove(request);
				request.answer.resolve(answer);
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
		connected(resumed, newWindowMs, now) {
			for (const request of all()) {
				if (!resumed || isForgotten(request, now)) {
					giveUp(request, "its session is over");
					request.firstAt = undefined;
				}
			}
			windowMs = newWindowMs;
		},
		deadline: () => deadline,
		due(now, connected) {
			const payloads: (string | Uint8Array)[] = [];
			deadline = Number.POSITIVE_INFINITY;
			for (const request of all()) {
				const { expiresAt, kind, lastAt, payload } = request;
				if (expiresAt <= now) {
					giveUp(request, TIMED_OUT, new TidewireError("timeout", TIMED_OUT));
					continue;
				}
				dueBy(expiresAt);
				// When it is too late to ask again, the answer may still come.
				const isFinal = kind === "stream" || (kind === "once" && isForgotten(request, now));
				if (!connected || (lastAt !== undefined && isFinal)) {
					continue;
				}
				if (lastAt === undefined || lastAt + RETRY_MS <= now) {
					request.lastAt = now;
					request.firstAt ??= now;
					payloads.push(payload);
				}
				dueBy((request.lastAt ?? now) + RETRY_MS);
			}
			return payloads;
		},
		close(error) {
			for (const request of all()) {
				giveUp(request, "the client was closed", error);
			}
		},
	};
}

const TIMED_OUT = "no answer in time";
