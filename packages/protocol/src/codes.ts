/**
 * The closed tables of wire protocol version 1: error codes and close codes. Whether a client comes back after a close
 * stands here and nowhere else.
 */

/** Why a message failed. `retryable` is the code's default; the sender of an error may know better. */
export const ERROR_CODES = {
	bad_request: { retryable: false },
	unauthenticated: { retryable: false },
	forbidden: { retryable: false },
	not_found: { retryable: false },
	invalid_data: { retryable: false },
	too_large: { retryable: false },
	rate_limited: { retryable: true },
	limit_reached: { retryable: false },
	conflict: { retryable: false },
	timeout: { retryable: true },
	unavailable: { retryable: true },
	internal: { retryable: false },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What ended a connection, as its number in WebSocket close frames. */
const CLOSE_CODES = {
	normal: 1000,
	going_away: 1001,
	protocol_error: 1002,
	unsupported_data: 1003,
	invalid_utf8: 1007,
	policy: 1008,
	message_too_large: 1009,
	internal_error: 1011,
	restart: 1012,
	overload: 1013,
	heartbeat_lost: 4000,
	unauthenticated: 4001,
	token_expired: 4002,
	forbidden: 4003,
	/** The client comes back with a new session: resuming the old one would throw out its twin in turn. */
	replaced: 4004,
	revoked: 4005,
	slow_consumer: 4008,
	connection_limit: 4009,
} as const;

/** After these a client does not come back. After all others it does: codes that nobody knows, and 1005 and 1006, are accidents. */
const FINAL_CODES: readonly number[] = [1000, 1002, 1003, 1007, 1008, 1009, 4001, 4003, 4005];

export type CloseReason = keyof typeof CLOSE_CODES;

/** Whether a client connects again after a close with this code. */
export function reconnectsAfter(code: number): boolean {
	return !FINAL_CODES.includes(code);
}

/** What ended a connection, with its number in WebSocket close frames, and whether the SDK connects again. */
export const CLOSE_REASONS: {
	readonly [Reason in CloseReason]: { readonly code: (typeof CLOSE_CODES)[Reason]; readonly reconnect: boolean };
} = /* @__PURE__ */ closeReasons(); // The SDK's bundle has no use for it, and no room.

function closeReasons(): typeof CLOSE_REASONS {
	const rows = Object.entries(CLOSE_CODES).map(([reason, code]) => [
		reason,
		{ code, reconnect: reconnectsAfter(code) },
	]);
	return Object.fromEntries(rows) as typeof CLOSE_REASONS;
}

/** A message that breaks the protocol's rules: answered with this code and text, never with internals. */
export class ProtocolError extends Error {
	readonly code: ErrorCode;
	/** The message's id, where it could be read, so that the error answers it. */
	readonly id: string | number | undefined;

	constructor(code: ErrorCode, message: string, id?: string | number) {
		super(message);
		this.name = "ProtocolError";
		this.code = code;
		this.id = id;
	}
}
