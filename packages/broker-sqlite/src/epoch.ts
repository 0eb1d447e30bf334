/**
 * Names of epochs, computed instead of stored: a digest of the file's identity, its era, the log's life and the
 * channel. So a quiet channel that was only ever read keeps its epoch over a restart without a row in the file,
 * and one change of the era gives every channel another epoch at once. None of the four comes back once it has
 * passed.
 */
import { createHash } from "node:crypto";

/** 72 bits in base64url, without a colon. */
export function epochOf(file: Uint8Array, era: number, life: number, name: Uint8Array): string {
	return createHash("sha256").update(file).update(`:${era}:${life}:`).update(name).digest("base64url").slice(0, 12);
}
