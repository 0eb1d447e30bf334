/**
 * The schema of binary channels: bytes, a `Uint8Array` at both ends. It says no more than that; what the bytes hold (an
 * image, a frame of audio, MessagePack of the application's own) is the application's business.
 */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";

/** What a channel's data may be: bytes, JSON, or either where no schema says which. */
export type DataEncoding = "binary" | "json" | "any";

const VENDOR = "tidewire.binary";

/** As JSON clients see it: base64 (RFC 4648 §4), with `"encoding":"base64"` beside it. */
const AS_JSON = { type: "string", contentEncoding: "base64" } as const;

/** Declares a channel's data to be bytes: `channel({ data: binary() })`. */
export function binary(): StandardSchemaV1<Uint8Array> {
	const standard: StandardSchemaV1.Props<Uint8Array> & StandardJSONSchemaV1.Props<Uint8Array> = {
		version: 1,
		vendor: VENDOR,
		validate: (value) =>
			value instanceof Uint8Array ? { value } : { issues: [{ message: "expected binary data (a Uint8Array)" }] },
		jsonSchema: { input: () => ({ ...AS_JSON }), output: () => ({ ...AS_JSON }) },
	};
	return { "~standard": standard };
}

/** By what the schema says of itself, so that a second copy of this module does no harm. */
export function isBinary(schema: StandardSchemaV1 | undefined): boolean {
	return schema?.["~standard"].vendor === VENDOR;
}

export function encodingOf(schema: StandardSchemaV1 | undefined): DataEncoding {
	if (schema === undefined) {
		return "any";
	}
	return isBinary(schema) ? "binary" : "json";
}
