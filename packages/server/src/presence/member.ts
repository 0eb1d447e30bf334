/**
 * A presence member as nodes write it down for each other: a record of the broker for each, and the changes that they tell
 * through an internal channel. Who reads it may be another version of this program: what is not understood is nothing.
 */

/** One session in one channel, as others see it. */
export interface Member {
	/** The session: a name, which opens nothing. */
	readonly id: string;
	/** Null for anonymous callers. */
	readonly user: string | null;
	/** A JSON text: it is compared more often than it is read. */
	readonly data: string | undefined;
	/** Milliseconds since 1970. */
	readonly sinceMs: number;
}

/** A member, with the node that answers for it. */
export interface Row extends Member {
	/** A process, not a node's name: that may be given twice, or anew. */
	readonly owner: string;
	/** Each change of a record has a higher one than the record before it. */
	readonly stamp: number;
}

/** What one node tells the others. */
export type Change =
	| { readonly kind: "here"; readonly row: Row }
	/** `said`: it did not just fail to come back, its session has said so. */
	| {
			readonly kind: "gone";
			readonly id: string;
			readonly owner: string;
			readonly stamp: number;
			readonly said: boolean;
	  };

export function looksAlike(one: Member, other: Member): boolean {
	return one.user === other.user && one.data === other.data && one.sinceMs === other.sinceMs;
}

/** The same row is always the same bytes, so that a record can be compared and set. */
export function encodeRow(row: Row): Uint8Array {
	return Buffer.from(JSON.stringify(fieldsOf(row)));
}

export function decodeRow(bytes: Uint8Array): Row | undefined {
	return readRow(parse(bytes));
}

export function encodeChanges(changes: readonly Change[]): Uint8Array {
	return Buffer.from(
		JSON.stringify(
			changes.map((change) =>
				change.kind === "here" ? fieldsOf(change.row) : [change.id, change.owner, change.stamp, change.said],
			),
		),
	);
}

export function decodeChanges(bytes: Uint8Array): readonly Change[] {
	const value = parse(bytes);
	return Array.isArray(value) ? value.flatMap((fields) => readChange(fields) ?? []) : [];
}

function fieldsOf({ id, user, data, sinceMs, owner, stamp }: Row): readonly unknown[] {
	return [id, owner, stamp, user, sinceMs, data ?? null];
}

function readChange(fields: unknown): Change | undefined {
	const row = readRow(fields);
	if (row !== undefined) {
		return { kind: "here", row };
	}
	if (!Array.isArray(fields) || fields.length !== 4) {
		return undefined;
	}
	const [id, owner, stamp, said] = fields as readonly unknown[];
	return typeof id === "string" && typeof owner === "string" && typeof stamp === "number"
		? { kind: "gone", id, owner, stamp, said: said === true }
		: undefined;
}

function readRow(fields: unknown): Row | undefined {
	if (!Array.isArray(fields) || fields.length < 6) {
		return undefined;
	}
	const [id, owner, stamp, user, sinceMs, data] = fields as readonly unknown[];
	if (typeof id !== "string" || typeof owner !== "string" || typeof stamp !== "number") {
		return undefined;
	}
	if ((typeof user !== "string" && user !== null) || typeof sinceMs !== "number") {
		return undefined;
	}
	if (data !== null && (typeof data !== "string" || parse(data) === undefined)) {
		return undefined;
	}
	return { id, owner, stamp, user, sinceMs, data: data ?? undefined };
}

const utf8 = new TextDecoder();

function parse(text: Uint8Array | string): unknown {
	try {
		return JSON.parse(typeof text === "string" ? text : utf8.decode(text));
	} catch {
		return undefined;
	}
}
