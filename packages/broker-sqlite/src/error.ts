/**
 * Why a file could not be opened. What goes wrong later is a `BrokerError` of the seam, mostly `unavailable`.
 * SQLite's own numbers are read here and nowhere else.
 */
import { BrokerError } from "@tidewire/broker";

/**
 * - `locked`: another process owns the file.
 * - `foreign`: not a Tidewire file; it was left as it was.
 * - `newer`: a later version of Tidewire wrote it.
 * - `corrupt`: damaged; it was left as it was.
 * - `unusable`: it cannot be created, read or written.
 * - `bad_option`: the options make no sense.
 */
export type SqliteBrokerErrorCode = "locked" | "foreign" | "newer" | "corrupt" | "unusable" | "bad_option";

export class SqliteBrokerError extends Error {
	readonly code: SqliteBrokerErrorCode;

	constructor(code: SqliteBrokerErrorCode, message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = "SqliteBrokerError";
		this.code = code;
	}
}

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** SQLite's primary result code, or undefined where the error is none of SQLite's. */
function resultCode(error: unknown): number | undefined {
	if (error instanceof Error && "errcode" in error && typeof error.errcode === "number") {
		return error.errcode & 0xff;
	}
	return undefined;
}

function words(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

/** Whether nothing that this file holds can be trusted any more. */
export function isDamage(error: unknown): boolean {
	const code = resultCode(error);
	return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** Names what hindered the opening of `path`. `owner` says who holds it, as far as that is known. */
export function toOpenError(path: string, error: unknown, owner: () => string): SqliteBrokerError {
	if (error instanceof SqliteBrokerError) {
		return error;
	}
	switch (resultCode(error)) {
		case SQLITE_BUSY:
			return new SqliteBrokerError("locked", `${path} is in use by ${owner()}; one process owns it at a time`, {
				cause: error,
			});
		case SQLITE_CORRUPT:
			return new SqliteBrokerError("corrupt", `${path} is damaged (${words(error)}); it was left as it is`, {
				cause: error,
			});
		case SQLITE_NOTADB:
			return new SqliteBrokerError("foreign", `${path} is not a SQLite file; it was left as it is`, { cause: error });
		default:
			return new SqliteBrokerError("unusable", `${path} cannot be opened: ${words(error)}`, { cause: error });
	}
}

/** What a caller of the broker is told of an error in SQLite or in the file system. */
export function toBrokerError(path: string, error: unknown): BrokerError {
	if (error instanceof BrokerError) {
		return error;
	}
	return new BrokerError("unavailable", `${path}: ${words(error)}`, { cause: error });
}
