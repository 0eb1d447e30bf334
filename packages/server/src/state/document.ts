/**
 * A state channel's value as it stands at one position: its JSON text, which of its members expire when, and the record
 * that the broker keeps of both. A record is one line of JSON about the value, then the value's text, so that the text
 * can be cut out without reading it. Immutable.
 */

import { applyPatch, isObject } from "@tidewire/protocol/merge-patch";
import { MAX_NESTING, nestsDeeper } from "@tidewire/protocol/server";

/** When members expire, milliseconds since 1970. */
export type Expiries = ReadonlyMap<string, number>;

/** One less than a message may have, so that a value fits into one. */
const MAX_STATE_NESTING = MAX_NESTING - 1;

const NEWLINE = 0x0a;
const NO_EXPIRIES: Expiries = new Map();
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class StateDocument {
	/** UTF-8 JSON; undefined where the channel has no value yet. */
	readonly text: Uint8Array | undefined;
	readonly expires: Expiries;
	#value: unknown;

	constructor(text: Uint8Array | undefined, expires: Expiries = NO_EXPIRIES, value?: unknown) {
		this.text = text;
		this.expires = expires;
		this.#value = value;
	}

	/** Parsed when it is first asked for, and then shared: nobody may change it. Undefined: there is none. */
	get value(): unknown {
		if (this.#value === undefined && this.text !== undefined) {
			this.#value = JSON.parse(decoder.decode(this.text));
		}
		return this.#value;
	}

	/** When the first member expires; `Infinity` where none does. */
	get dueMs(): number {
		let due = Number.POSITIVE_INFINITY;
		for (const at of this.expires.values()) {
			due = Math.min(due, at);
		}
		return due;
	}

	/** The patch that removes what has expired; undefined where nothing has. */
	expiredPatch(nowMs: number): Readonly<Record<string, null>> | undefined {
		const names = [...this.expires].filter(([, at]) => at <= nowMs).map(([name]) => name);
		// `fromEntries` defines properties: a member may be called __proto__.
		return names.length === 0 ? undefined : Object.fromEntries(names.map((name) => [name, null]));
	}

	/** The document as readers may see it: without what has expired. Itself where nothing has. */
	at(nowMs: number): StateDocument {
		const patch = this.expiredPatch(nowMs);
		if (patch === undefined) {
			return this;
		}
		const value = applyPatch(this.value, patch);
		return new StateDocument(encodeJson(value), keptExpiries(this.expires, value, nowMs), value);
	}
}

const NO_DOCUMENT: StateDocument = new StateDocument(undefined);

/** The expiries that still hold: of members that are there, at times to come. */
export function keptExpiries(expires: Expiries, value: unknown, nowMs: number): Expiries {
	return isObject(value)
		? new Map([...expires].filter(([name, at]) => at > nowMs && Object.hasOwn(value, name)))
		: NO_EXPIRIES;
}

/** What the broker keeps as the channel's snapshot. */
export function recordOf(document: StateDocument): Uint8Array {
	const expires = document.expires.size === 0 ? {} : { expires: Object.fromEntries(document.expires) };
	const head = encoder.encode(`${JSON.stringify(expires)}\n`);
	const text = document.text ?? encodeJson(null);
	const record = new Uint8Array(head.length + text.length);
	record.set(head);
	record.set(text, head.length);
	return record;
}

/** The document of a record; its text is a view of it. Throws a `TypeError` for what is no record. */
export function readRecord(record: Uint8Array | undefined): StateDocument {
	if (record === undefined) {
		return NO_DOCUMENT;
	}
	const end = record.indexOf(NEWLINE);
	const head = end < 0 ? undefined : parseHead(decoder.decode(record.subarray(0, end)));
	if (head === undefined) {
		throw new TypeError("a channel's snapshot is no record of a state");
	}
	const { expires } = head;
	const times = isObject(expires)
		? Object.entries(expires).filter((entry): entry is [string, number] => typeof entry[1] === "number")
		: [];
	return new StateDocument(record.subarray(end + 1), times.length === 0 ? NO_EXPIRIES : new Map(times));
}

function parseHead(text: string): { readonly expires?: unknown } | undefined {
	try {
		const head: unknown = JSON.parse(text);
		return isObject(head) ? head : undefined;
	} catch {
		return undefined;
	}
}

export function encodeJson(value: unknown): Uint8Array {
	return encoder.encode(JSON.stringify(value));
}

export function decodeJson(text: Uint8Array): unknown {
	return JSON.parse(decoder.decode(text));
}

/** What is too much about a value, in words for its publisher; undefined where it is within its channel's bounds. */
export function excessOf(
	value: unknown,
	text: Uint8Array,
	limits: { readonly maxBytes: number; readonly maxKeys: number },
): string | undefined {
	if (text.length > limits.maxBytes) {
		return `the value would have ${text.length} bytes, at most ${limits.maxBytes} in this channel`;
	}
	const keys = isObject(value) ? Object.keys(value).length : 0;
	if (keys > limits.maxKeys) {
		return `the value would have ${keys} members, at most ${limits.maxKeys} in this channel`;
	}
	return nestsDeeper(text, MAX_STATE_NESTING)
		? `the value would nest deeper than ${MAX_STATE_NESTING} levels`
		: undefined;
}
