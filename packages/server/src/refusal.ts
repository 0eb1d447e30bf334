/** Why a message is not performed. Its text goes to the peer, so it never holds internals. */
import { ERROR_CODES, type ErrorCode, type WireError } from "@tidewire/protocol";

export class Refusal extends Error {
	readonly wire: WireError;

	constructor(code: ErrorCode, message: string, more: Partial<Omit<WireError, "code" | "message">> = {}) {
		super(message);
		this.name = "Refusal";
		this.wire = { code, message, ...(ERROR_CODES[code].retryable ? { retryable: true } : {}), ...more };
	}
}
