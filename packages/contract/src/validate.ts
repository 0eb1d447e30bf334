/**
 * One way to ask any Standard Schema about a value. What comes back is bounded and plain, so that it can be sent to the
 * peer that the value came from: a validator may find a million faults in one message.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Schema } from "./declaration.ts";

/** A fault, in the validator's words, and where it is. */
export interface Issue {
	readonly message: string;
	readonly path: readonly (string | number)[];
}

export type Validation<Output> =
	| { readonly ok: true; readonly value: Output }
	| { readonly ok: false; readonly issues: readonly Issue[] };

/** The most issues that are reported of one value. */
export const MAX_ISSUES = 20;
/** The most characters of one issue's message; validators quote what they got. */
export const MAX_ISSUE_CHARACTERS = 300;
/** The most steps of one issue's path, counted from the outside. */
export const MAX_ISSUE_PATH = 32;

/**
 * Synchronous where the validator is. What a validator throws is thrown (or rejects): that is its own fault and not
 * the value's.
 */
export function validate<S extends Schema>(
	schema: S,
	value: unknown,
): Validation<StandardSchemaV1.InferOutput<S>> | Promise<Validation<StandardSchemaV1.InferOutput<S>>> {
	const result = schema["~standard"].validate(value);
	return result instanceof Promise ? result.then(plainResult<S>) : plainResult<S>(result);
}

function plainResult<S extends Schema>(
	result: StandardSchemaV1.Result<unknown>,
): Validation<StandardSchemaV1.InferOutput<S>> {
	if (result.issues === undefined) {
		return { ok: true, value: result.value as StandardSchemaV1.InferOutput<S> };
	}
	// Spread first: the lists of some validators (arktype) are classes of their own, and `slice` would keep the class.
	return { ok: false, issues: [...result.issues].slice(0, MAX_ISSUES).map(plainIssue) };
}

function plainIssue(issue: StandardSchemaV1.Issue): Issue {
	const path = [...(issue.path ?? [])].slice(0, MAX_ISSUE_PATH).map((segment) => {
		const key = typeof segment === "object" ? segment.key : segment;
		return shorten(typeof key === "symbol" ? (key.description ?? "symbol") : key);
	});
	return { message: shorten(String(issue.message)), path };
}

function shorten<T extends string | number>(text: T): T | string {
	return typeof text === "string" && text.length > MAX_ISSUE_CHARACTERS
		? `${text.slice(0, MAX_ISSUE_CHARACTERS).toWellFormed()}…`
		: text;
}
