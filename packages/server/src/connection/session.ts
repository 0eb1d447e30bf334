/** Names and tokens that nobody can guess. */
import { randomBytes } from "node:crypto";

/** A session's name: unique, shown to others, opens nothing. */
export function newSessionId(): string {
	return randomBytes(12).toString("base64url");
}

/** What resumes a session: 144 random bits, never logged. */
export function newResumeToken(): string {
	return randomBytes(18).toString("base64url");
}
