/**
 * A validator's own JSON Schema, where it exports one (the Standard JSON Schema extension), made fit to stand inside
 * another document: draft-07, which AsyncAPI's schema object extends, with references that start at that document's
 * root. Where it exports none, the schema says so and allows anything: less than the truth, but nothing untrue.
 */
import type { StandardJSONSchemaV1 } from "@standard-schema/spec";
import type { Schema } from "./declaration.ts";

export interface JsonObject {
	readonly [key: string]: unknown;
}

/** `pointer`: where the result will stand, such as "#/components/schemas/Position". */
export function jsonSchemaOf(schema: Schema, side: "input" | "output", pointer: string): JsonObject {
	const standard: Schema["~standard"] & Partial<StandardJSONSchemaV1.Props> = schema["~standard"];
	if (standard.jsonSchema === undefined) {
		return unknownSchema(`${standard.vendor} exports no JSON Schema for it`);
	}
	let exported: JsonObject;
	try {
		// Through text: what comes back may share parts, or hold what JSON cannot.
		exported = JSON.parse(JSON.stringify(standard.jsonSchema[side]({ target: "draft-07" })));
	} catch {
		// The extension's way to say that a type has no JSON Schema: transformations, dates and the like.
		return unknownSchema(`${standard.vendor} cannot express its ${side} as JSON Schema`);
	}
	const { $schema: _dialect, $id: _base, ...rest } = exported;
	return withReferencesBelow(rest, pointer);
}

/** Whether the value may be left out: `undefined` is a value for validators, and nothing at all in JSON. */
export function acceptsAbsence(schema: Schema): boolean {
	try {
		const result = schema["~standard"].validate(undefined);
		if (!(result instanceof Promise)) {
			return result.issues === undefined;
		}
		// Nobody awaits it: a document is made synchronously. Its failure is as unknown as its success.
		result.catch(() => undefined);
	} catch {
		// A validator that throws has said nothing.
	}
	return true;
}

function unknownSchema(reason: string): JsonObject {
	return { description: `Any JSON value here: there is a schema, which the server checks, but ${reason}.` };
}

/** Keywords whose values are data, not schemas: a "$ref" in there is none. */
const DATA_KEYWORDS: ReadonlySet<string> = new Set(["const", "enum", "default", "examples"]);
/** Keywords whose values are schemas by name: a property may itself be called "const" or "$ref". */
const NAMED_KEYWORDS: ReadonlySet<string> = new Set([
	"properties",
	"patternProperties",
	"definitions",
	"$defs",
	"dependencies",
]);

function withReferencesBelow(schema: JsonObject, pointer: string): JsonObject {
	const rewrite = (value: unknown): unknown => {
		if (Array.isArray(value)) {
			return value.map(rewrite);
		}
		return isObject(value) ? withReferencesBelow(value, pointer) : value;
	};
	const entries = Object.entries(schema).map(([keyword, value]): [string, unknown] => {
		if (keyword === "$ref" && typeof value === "string" && value.startsWith("#")) {
			return [keyword, pointer + value.slice(1)];
		}
		if (DATA_KEYWORDS.has(keyword)) {
			return [keyword, value];
		}
		if (NAMED_KEYWORDS.has(keyword) && isObject(value)) {
			return [keyword, Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, rewrite(inner)]))];
		}
		return [keyword, rewrite(value)];
	});
	return Object.fromEntries(entries);
}

function isObject(value: unknown): value is JsonObject {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
