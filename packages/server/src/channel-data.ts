/**
 * What a publish may carry into a channel: within the channel's bounds, and as its schema wants it. Data that the
 * schema leaves as it is goes on as the publisher's own text; only what the schema changes is written anew.
 */
import { type ChannelRoute, type Issue, type MaybeSchema, validate } from "@tidewire/contract";
import type { Payload } from "@tidewire/protocol";

export type CheckedData =
	| { readonly ok: true; readonly bytes: Uint8Array; readonly encoding: "json" | "binary" }
	| {
			readonly ok: false;
			readonly code: "too_large" | "invalid_data";
			readonly message: string;
			readonly issues: readonly Issue[];
	  };

/** Synchronous where the schema is. The result's bytes are the caller's payload's, or new. */
export function checkData(route: ChannelRoute, payload: Payload): CheckedData | Promise<CheckedData> {
	const { data: schema, encoding, maxMessageBytes } = route.declaration;
	if (maxMessageBytes !== undefined && payload.bytes.length > maxMessageBytes) {
		const message = `the data has ${payload.bytes.length} bytes, at most ${maxMessageBytes} in this channel`;
		return { ok: false, code: "too_large", message, issues: [] };
	}
	if (encoding !== "any" && encoding !== payload.encoding) {
		return { ok: false, code: "invalid_data", message: MISFITS[encoding], issues: [] };
	}
	return checkValue(schema, payload);
}

/** A schema for JSON is not asked about bytes: many would take them for an object without members, or for text. */
const MISFITS = {
	binary: 'this channel carries bytes: base64 with "encoding":"base64" in JSON, a byte string in MessagePack',
	json: "this channel carries JSON values, the data is bytes",
} as const;

/** The same, of the schema alone. */
export function checkValue(schema: MaybeSchema, payload: Payload): CheckedData | Promise<CheckedData> {
	if (schema === undefined) {
		return { ok: true, bytes: payload.bytes, encoding: payload.encoding };
	}
	const checked = validate(schema, payload.value);
	return checked instanceof Promise ? checked.then((result) => conclude(payload, result)) : conclude(payload, checked);
}

function conclude(payload: Payload, result: Awaited<ReturnType<typeof validate>>): CheckedData {
	if (!result.ok) {
		return {
			ok: false,
			code: "invalid_data",
			message: "the data does not fit the channel's schema",
			issues: result.issues,
		};
	}
	if (sameJson(result.value, payload.value)) {
		return { ok: true, bytes: payload.bytes, encoding: payload.encoding };
	}
	return { ok: true, bytes: Buffer.from(jsonText(result.value)), encoding: "json" };
}

/** A value's JSON text. Throws `TypeError` for what has none: undefined, a function, a BigInt, a cycle. */
export function jsonText(value: unknown): string {
	const text: string | undefined = JSON.stringify(value);
	if (text === undefined) {
		throw new TypeError(`${typeof value} has no JSON text`);
	}
	return text;
}

/** Whether two values have the same JSON, but for the order of members. Not recursive beyond what `JSON.parse` made. */
function sameJson(a: unknown, b: unknown): boolean {
	if (a === b) {
		return true;
	}
	if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
		return false;
	}
	if (Array.isArray(a) || Array.isArray(b)) {
		return (
			Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, at) => sameJson(item, b[at]))
		);
	}
	if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b) && !(isPlain(a) && isPlain(b))) {
		return false;
	}
	const keys = Object.keys(a);
	return (
		keys.length === Object.keys(b).length &&
		keys.every((key) => Object.hasOwn(b, key) && sameJson(Reflect.get(a, key), Reflect.get(b, key)))
	);
}

function isPlain(value: object): boolean {
	const prototype: unknown = Object.getPrototypeOf(value);
	return prototype === Object.prototype || prototype === null;
}
