/** What the handshake needs of a crypto library (RFC 6455 §4.2.2), from Node's. */
import { hash, randomBytes, randomFillSync } from "node:crypto";

export function sha1Base64(text: string): string {
	return hash("sha1", text, "base64");
}

/** A `Sec-WebSocket-Key`: base64 of 16 random bytes (RFC 6455 §4.1). */
export function randomKey(): string {
	return randomBytes(16).toString("base64");
}

const pool = new Uint32Array(2_048);
let used = pool.length;

/** A masking key from a strong source of entropy (RFC 6455 §5.3); filled in bulk, since each frame needs one. */
export function randomMask(): number {
	if (used === pool.length) {
		randomFillSync(pool);
		used = 0;
	}
	return pool[used++]!;
}
