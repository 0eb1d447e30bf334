/**
 * Names of sessions, and the tokens that resume them. A session that nothing has been counted in yet is nowhere but in
 * its own token: that is signed with a key which all nodes of a broker share, and says when the session began. A stored
 * session's tokens are random; nodes and broker keep their digests only.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const TIME_BYTES = 4;
const RANDOM_BYTES = 16;
const SECRET_BYTES = 18;
const TOKEN = /^([\w-]{27})\.[\w-]{24}$/;
/** What is hashed of a token that is too long to be one. */
const MAX_LENGTH = 64;

export const KEY_BYTES = 32;
export const DIGEST_BYTES = 32;

/** Names no session. */
const NOWHERE = "-";

/** A session's name: unique, shown to others, opens nothing. It begins with the second in which it was made. */
export function newSessionId(nowMs: number): string {
	const bytes = randomBytes(TIME_BYTES + RANDOM_BYTES);
	bytes.writeUInt32BE(Math.floor(nowMs / 1_000) >>> 0);
	return bytes.toString("base64url");
}

/** When the session began, in milliseconds since 1970. */
export function beganMs(session: string): number {
	return Buffer.from(session, "base64url").readUInt32BE() * 1_000;
}

/** A stored session's next token: 144 random bits. */
export function newToken(session: string): string {
	return `${session}.${randomBytes(SECRET_BYTES).toString("base64url")}`;
}

/** The token of a session that is not stored. `owner`: whose it is; undefined while that is not known. */
export function signedToken(key: Uint8Array, session: string, owner: Uint8Array | undefined): string {
	const hmac = createHmac("sha256", key).update(session);
	if (owner !== undefined) {
		hmac.update(owner);
	}
	return `${session}.${hmac.digest().toString("base64url", 0, SECRET_BYTES)}`;
}

export function digestOf(token: string): Uint8Array {
	return createHash("sha256").update(token).digest();
}

/** In constant time. */
export function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
	return timingSafeEqual(a, b);
}

/** What a token claims: the session, which for what is no token is one that there is not, and the digest to compare. */
export function readToken(token: string): { readonly session: string; readonly digest: Uint8Array } {
	const session = TOKEN.exec(token)?.[1];
	return { session: session ?? NOWHERE, digest: digestOf(token.slice(0, MAX_LENGTH)) };
}
