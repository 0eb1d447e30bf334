/**
 * The one error class of the SDK. Its `code` comes from a closed table: the wire's error codes, and the client's own,
 * which say what became of a request that no server answered.
 */
import type { ErrorCode, WireError } from "@tidewire/protocol";

/** Codes that the client itself gives. */
export type ClientErrorCode =
	/**
	 * The client was closed, by `close()` or by a server that does not want it back. Nothing was done; what an outbox
	 * keeps is sent by the next client that has it.
	 */
	| "closed"
	/** It was sent, and whether it was done can no longer be learnt: the session or its window is gone. */
	| "unknown_outcome"
	/** The server broke the protocol's rules, or is not a Tidewire server. */
	| "protocol"
	/** An async iterator was read more slowly than its channel speaks, and its buffer is full. */
	| "reader_too_slow"
	/** Messages were lost or may have been (a gap or a reset), and nobody had asked to be told of that. */
	| "continuity_lost"
	/** The application's token function failed. */
	| "token_failed"
	/** `break` or an `AbortSignal` ended it. */
	| "cancelled"
	/** The outbox could not be read or written. A publish that this rejects was not sent. */
	| "outbox_failed";

export type TidewireErrorCode = ErrorCode | ClientErrorCode;

/** What is wrong where with a value, in the validator's words. */
export interface Issue {
	readonly message: string;
	readonly path?: readonly (string | number)[];
}

export interface TidewireErrorDetails {
	readonly retryable?: boolean | undefined;
	readonly retryAfter?: number | undefined;
	readonly issues?: readonly Issue[] | undefined;
	readonly position?: string | undefined;
	readonly closeCode?: number | undefined;
	readonly data?: unknown;
	readonly cause?: unknown;
}

/** What may go better the next time, where the sender of the error does not say. */
const RETRYABLE: readonly TidewireErrorCode[] = [
	"protocol",
	"rate_limited",
	"reader_too_slow",
	"timeout",
	"token_failed",
	"unavailable",
];

export class TidewireError extends Error {
	declare readonly code: TidewireErrorCode;
	/** Whether the same call may succeed later. */
	declare readonly retryable: boolean;
	/** Seconds to wait before that, where the server named them. */
	declare readonly retryAfter: number | undefined;
	/** With `invalid_data`. */
	declare readonly issues: readonly Issue[] | undefined;
	/** With `conflict`: the channel's present position. With `reader_too_slow`: the last position that was read. */
	declare readonly position: string | undefined;
	/** With `closed`, `unauthenticated`, `forbidden`: the WebSocket close code, where there was one. */
	declare readonly closeCode: number | undefined;
	/** With `conflict` in a state channel: its present value, where it may be read. */
	declare readonly data: unknown;

	constructor(code: TidewireErrorCode, message: string, details: TidewireErrorDetails = {}) {
		super(message, details);
		const { retryable = RETRYABLE.includes(code), retryAfter, issues, position, closeCode, data } = details;
		Object.assign(this, { name: "TidewireError", code, retryable, retryAfter, issues, position, closeCode, data });
	}
}

/** The error that a server sent. */
export function fromWire(error: WireError): TidewireError {
	return new TidewireError(error.code, error.message, error);
}
