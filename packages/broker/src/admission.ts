/**
 * What a broker takes in: the checks that every implementation makes before it stores anything, so that a wrong call
 * is refused in the same words everywhere. The limits here are the last wall; the server's own (per client, per
 * channel) come long before. Data is measured, never read.
 */
import {
	BrokerError,
	type ChannelsOptions,
	type Publication,
	type PublishOptions,
	type ReadOptions,
} from "./broker.ts";

/** The longest channel name and idempotency key, in UTF-16 units. Wire names are at most 200 bytes. */
export const MAX_NAME_LENGTH = 512;
/** The longest `name`, `key`, `from`, `exclude` and `report` of a publication, in UTF-16 units. */
export const MAX_ATTRIBUTE_LENGTH = 1024;
/** The longest key of a record, in bytes of UTF-8. */
export const MAX_RECORD_KEY_BYTES = 512;
/** The largest value of a record. */
export const MAX_RECORD_BYTES = 64 * 1024;

const utf8 = new TextEncoder();

function refuse(message: string): never {
	throw new BrokerError("invalid", message);
}

function checkAmount(what: string, value: unknown): void {
	if (typeof value !== "number" || !(value >= 0)) {
		refuse(`${what} is ${String(value)}, expected a number of at least 0`);
	}
}

/** Throws `invalid` unless this is a usable channel name. */
export function checkChannel(channel: unknown): asserts channel is string {
	if (typeof channel !== "string" || channel.length === 0 || channel.length > MAX_NAME_LENGTH) {
		refuse(`a channel name is a string of 1 to ${MAX_NAME_LENGTH} characters`);
	}
}

function checkData(what: string, data: unknown, maxDataBytes: number): void {
	if (!(data instanceof Uint8Array)) {
		refuse(`${what} is not a Uint8Array`);
	}
	if (data.byteLength > maxDataBytes) {
		refuse(`${what} has ${data.byteLength} bytes, at most ${maxDataBytes}`);
	}
}

/** Throws `invalid` unless all of a publish is well-formed, and data and snapshot are at most `maxDataBytes` long. */
export function checkPublish(
	channel: string,
	publication: Publication,
	options: PublishOptions,
	maxDataBytes: number,
): void {
	checkChannel(channel);
	const { data, encoding } = publication;
	checkData("data", data, maxDataBytes);
	if (encoding !== "json" && encoding !== "binary") {
		refuse(`encoding is ${String(encoding)}, expected json or binary`);
	}
	for (const attribute of ["name", "key", "from", "exclude", "report"] as const) {
		const value: unknown = publication[attribute];
		if (value !== undefined && (typeof value !== "string" || value.length > MAX_ATTRIBUTE_LENGTH)) {
			refuse(`${attribute} is a string of at most ${MAX_ATTRIBUTE_LENGTH} characters`);
		}
	}
	if (publication.ttlMs !== undefined) {
		checkAmount("ttlMs", publication.ttlMs);
	}
	if (publication.patch !== undefined && publication.patch !== true) {
		refuse(`patch is ${String(publication.patch)}, expected true or nothing`);
	}
	const { retention, idempotencyKey, afterKey, idempotencyMs, ifPosition, snapshot, atMs } = options;
	checkAmount("retention.messages", retention.messages);
	checkAmount("retention.bytes", retention.bytes);
	checkAmount("retention.ageMs", retention.ageMs);
	for (const key of [idempotencyKey, afterKey] as readonly unknown[]) {
		if (key !== undefined && (typeof key !== "string" || key.length > MAX_NAME_LENGTH)) {
			refuse(`an idempotency key is a string of at most ${MAX_NAME_LENGTH} characters`);
		}
	}
	if (idempotencyMs !== undefined) {
		checkAmount("idempotencyMs", idempotencyMs);
	}
	if (ifPosition !== undefined) {
		checkAmount("ifPosition.offset", ifPosition.offset);
	}
	if (snapshot !== undefined) {
		checkData("snapshot", snapshot, maxDataBytes);
	}
	if (atMs !== undefined) {
		checkAmount("atMs", atMs);
		if (atMs === Infinity) {
			refuse("atMs is Infinity, expected a time");
		}
		if (ifPosition !== undefined || snapshot !== undefined) {
			refuse("atMs goes with neither ifPosition nor snapshot: both are true of now");
		}
	}
}

/** Throws `invalid` unless a read's options make sense. `after` may be `Infinity`: the newest, with `reverse`. */
export function checkRead(channel: string, options: ReadOptions): void {
	checkChannel(channel);
	checkAmount("after", options.after);
	checkAmount("limit", options.limit);
	if (options.maxBytes !== undefined) {
		checkAmount("maxBytes", options.maxBytes);
	}
	if (!Number.isInteger(options.after) && options.after !== Infinity) {
		refuse(`after is ${options.after}, expected an integer`);
	}
}

/** Throws `invalid` unless this asks for a list of channels in a way that makes sense. */
export function checkChannels({ prefix, after, limit }: ChannelsOptions): void {
	checkAmount("limit", limit);
	for (const name of [prefix, after] as readonly unknown[]) {
		if (name !== undefined && (typeof name !== "string" || name.length > MAX_NAME_LENGTH)) {
			refuse(`prefix and after are strings of at most ${MAX_NAME_LENGTH} characters`);
		}
	}
}

/** Throws `invalid` unless this is a usable record key. */
export function checkRecordKey(key: string): void {
	// A UTF-16 unit is at most three bytes, so most keys need no encoding to be measured.
	if (
		typeof key !== "string" ||
		(key.length * 3 > MAX_RECORD_KEY_BYTES && utf8.encode(key).length > MAX_RECORD_KEY_BYTES)
	) {
		refuse(`a record's key is a string of at most ${MAX_RECORD_KEY_BYTES} bytes`);
	}
}

function checkRecordValue(value: unknown): void {
	if (!(value instanceof Uint8Array) || value.byteLength > MAX_RECORD_BYTES) {
		refuse(`a record's value is a Uint8Array of at most ${MAX_RECORD_BYTES} bytes`);
	}
}

/** Throws `invalid` unless this is a usable record. */
export function checkRecord(key: string, value: Uint8Array, ttlMs: number): void {
	checkRecordKey(key);
	checkRecordValue(value);
	if (!Number.isFinite(ttlMs) || ttlMs <= 0) {
		refuse(`a record's ttlMs is ${String(ttlMs)}, expected more than 0`);
	}
}

/** Throws `invalid` unless this is a usable compare-and-set. Where it deletes, `ttlMs` does not matter. */
export function checkRecordReplace(
	key: string,
	expected: Uint8Array | undefined,
	value: Uint8Array | undefined,
	ttlMs: number,
): void {
	if (value === undefined) {
		checkRecordKey(key);
	} else {
		checkRecord(key, value, ttlMs);
	}
	if (expected !== undefined) {
		checkRecordValue(expected);
	}
}

/** Throws `invalid` unless this asks for a list of records in a way that makes sense. */
export function checkRecordList(prefix: string, after: string | undefined, limit: number): void {
	checkRecordKey(prefix);
	if (after !== undefined) {
		checkRecordKey(after);
	}
	checkAmount("limit", limit);
}
