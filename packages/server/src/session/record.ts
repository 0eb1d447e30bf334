/**
 * A stored session as it stands in the broker's records, under `session:<id>`: 113 bytes, and no secret. Every resume
 * writes it anew with the next generation, so that of two that race only one finds what it expects.
 */
import { createHash } from "node:crypto";
import type { Caller } from "../auth/caller.ts";
import { DIGEST_BYTES } from "./token.ts";

export interface SessionRecord {
	/** How often it has been resumed. */
	readonly generation: number;
	/** The process that has, or had last, its connection. */
	readonly holder: string;
	readonly owner: Uint8Array;
	/** Digests of the token used last, and of its successor. */
	readonly current: Uint8Array;
	readonly next: Uint8Array;
}

const VERSION = 1;
export const HOLDER_BYTES = 12;
const HOLDER_AT = 5;
const OWNER_AT = HOLDER_AT + HOLDER_BYTES;
const CURRENT_AT = OWNER_AT + DIGEST_BYTES;
const NEXT_AT = CURRENT_AT + DIGEST_BYTES;
const LENGTH = NEXT_AT + DIGEST_BYTES;

export function keyOf(session: string): string {
	return `session:${session}`;
}

/** Who a session belongs to: a user, the holders of the API key, or nobody in particular. */
export function ownerOf({ user, full }: Caller): Uint8Array {
	const name = user === null ? (full ? "full" : "nobody") : `user:${user.id}`;
	return createHash("sha256").update(name).digest();
}

export function encodeRecord({ generation, holder, owner, current, next }: SessionRecord): Uint8Array {
	// From Node's pool: all of it is written.
	const bytes = Buffer.allocUnsafe(LENGTH);
	bytes[0] = VERSION;
	bytes.writeUInt32BE(generation >>> 0, 1);
	bytes.write(holder, HOLDER_AT, HOLDER_BYTES, "base64url");
	bytes.set(owner, OWNER_AT);
	bytes.set(current, CURRENT_AT);
	bytes.set(next, NEXT_AT);
	return bytes;
}

/** Undefined for what a later version has written. */
export function decodeRecord(value: Uint8Array): SessionRecord | undefined {
	if (value.length !== LENGTH || value[0] !== VERSION) {
		return undefined;
	}
	const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
	return {
		generation: bytes.readUInt32BE(1),
		holder: bytes.toString("base64url", HOLDER_AT, OWNER_AT),
		owner: bytes.subarray(OWNER_AT, CURRENT_AT),
		current: bytes.subarray(CURRENT_AT, NEXT_AT),
		next: bytes.subarray(NEXT_AT, LENGTH),
	};
}

/** Stands where there is no record, so that the comparison takes as long. */
export const NO_RECORD: SessionRecord = {
	generation: 0,
	holder: "",
	owner: new Uint8Array(DIGEST_BYTES),
	current: new Uint8Array(DIGEST_BYTES),
	next: new Uint8Array(DIGEST_BYTES),
};
