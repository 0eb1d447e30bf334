/**
 * Reads JSON so that writing it again keeps every number as it was typed: `1.0` stays `1.0`, and a 20-digit number keeps
 * its digits. White space goes, and keys that are integers move to the front, as in every JavaScript object.
 */

/** The parts of JSON.parse source text access that TypeScript's libraries do not declare yet. */
interface SourceTextJson {
	parse(
		text: string,
		reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
	): unknown;
	rawJSON(text: string): unknown;
}

/** Throws `SyntaxError` where the text is no JSON. */
export function parseKeepingNumbers(text: string): unknown {
	const json = JSON as unknown as SourceTextJson;
	return json.parse(text, (_key, value, { source }) =>
		typeof value === "number" && source !== undefined && source !== String(value) ? json.rawJSON(source) : value,
	);
}
