/**
 * The one error class of this package and the closed table of its codes. It is thrown for our caller's mistakes only;
 * what a peer does wrong becomes a close code (RFC 6455 §7.4) and the handler's `close`.
 */

/** Every code of `WebSocketError`, with what it means. */
export const ERROR_CODES = {
	invalid_option: "an option or limit is outside of its range",
	invalid_argument: "an argument has the wrong type",
	invalid_close_code: "a close code that may not be sent (RFC 6455 §7.4)",
	payload_too_large: "a control frame's payload above 125 bytes (RFC 6455 §5.5)",
	message_unfinished: "a message is being sent in fragments, another cannot begin (RFC 6455 §5.4)",
	protocol_not_offered: "a subprotocol was chosen that the client did not offer (RFC 6455 §4.2.2)",
	invalid_header: "a header name or value that HTTP does not allow",
	invalid_url: "not a ws: or wss: URL (RFC 6455 §3)",
	handshake_refused: "the server did not answer with a valid 101 (RFC 6455 §4.1)",
	connection_failed: "the transport failed before the handshake was done",
	timeout: "the handshake took too long",
	aborted: "the caller's signal ended the attempt",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export class WebSocketError extends Error {
	readonly code: ErrorCode;

	constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = "WebSocketError";
		this.code = code;
	}
}
