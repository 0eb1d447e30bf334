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

/** What ended a connection, with its number in WebSocket close frames, and whether the SDK connects again. */
export const CLOSE_REASONS = {
	normal: { code: 1000, reconnect: false },
	going_away: { code: 1001, reconnect: true },
	protocol_error: { code: 1002, reconnect: false },
	unsupported_data: { code: 1003, reconnect: false },
	invalid_utf8: { code: 1007, reconnect: false },
	policy: { code: 1008, reconnect: false },
	message_too_large: { code: 1009, reconnect: false },
	internal_error: { code: 1011, reconnect: true },
	restart: { code: 1012, reconnect: true },
	overload: { code: 1013, reconnect: true },
	heartbeat_lost: { code: 4000, reconnect: true },
	unauthenticated: { code: 4001, reconnect: false },
	token_expired: { code: 4002, reconnect: true },
	forbidden: { code: 4003, reconnect: false },
	/** The client comes back with a new session: resuming the old one would throw out its twin in turn. */
	replaced: { code: 4004, reconnect: true },
	revoked: { code: 4005, reconnect: false },
	slow_consumer: { code: 4008, reconnect: true },
	connection_limit: { code: 4009, reconnect: true },
} as const;

export type CloseReason = keyof typeof CLOSE_REASONS;

/** Whether a client connects again after a close with this code. Codes without a row (1005, 1006, unknown) are accidents: it does. */
export function reconnectsAfter(code: number): boolean {
	for (const reason of Object.values(CLOSE_REASONS)) {
		if (reason.code === code) {
			return reason.reconnect;
		}
	}
	return true;
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
