/**
 * What the broker's records hold of a durable consumer: how far it has received its channel, and under which key. A
 * consumer is a (user, channel, name); which of them a user has is not to be read from the records, only how many.
 */
import { createHash } from "node:crypto";
import type { Position } from "@tidewire/broker";
import { formatPosition, parsePosition } from "@tidewire/protocol";

export interface Cursor {
	/** Everything up to here has been received. */
	readonly position: Position;
	/** When the record was last written, milliseconds since 1970 by the writer's clock. */
	readonly writtenMs: number;
}

/** Digests, since users and names look like anything, and keys are bounded. All of a user's consumers begin alike. */
export function keyPrefixOf(user: string): string {
	return `durable:${digest(user)}:`;
}

/** `channel`: the broker's name of it. */
export function keyOf(user: string, channel: string, name: string): string {
	return `${keyPrefixOf(user)}${digest(JSON.stringify([channel, name]))}`;
}

/** UTF-16, since a user's id may hold a lone surrogate, and that has no UTF-8 of its own. */
function digest(text: string): string {
	return createHash("sha256").update(Buffer.from(text, "utf16le")).digest("base64url");
}

export function encodeCursor({ position, writtenMs }: Cursor): Uint8Array {
	return Buffer.from(JSON.stringify([formatPosition(position), writtenMs]));
}

/** Undefined for what is no cursor: a record that nobody can read is as good as none. */
export function decodeCursor(bytes: Uint8Array | undefined): Cursor | undefined {
	if (bytes === undefined) {
		return undefined;
	}
	try {
		const fields: unknown = JSON.parse(Buffer.from(bytes).toString());
		const [text, writtenMs] = Array.isArray(fields) ? (fields as readonly unknown[]) : [];
		const position = typeof text === "string" ? parsePosition(text) : undefined;
		return position !== undefined && typeof writtenMs === "number" ? { position, writtenMs } : undefined;
	} catch {
		return undefined;
	}
}
