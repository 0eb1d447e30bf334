/**
 * Channel patterns: "lobby", "order_{orderId}", "chat:{room}". A parameter is one character or more, none of : / and
 * dot. Matched by hand in one pass over the name; no regular expression is built from anybody's text.
 *
 * Where a name can be cut in several ways ("{a}_{b}" and "x_y_z"), each parameter ends at the first place where the
 * text after it occurs. `fill` refuses parameters that would be cut differently, since permissions hang on them.
 */
import { ContractError } from "./contract-error.ts";
import type { ChannelParams, NameOf } from "./infer.ts";

/** Parameters by name, as cut from a channel's name. Has no prototype. */
export type ChannelParameters = Readonly<Record<string, string>>;

export const NO_PARAMETERS: ChannelParameters = Object.freeze(Object.create(null));

export interface Pattern {
	/** As written. */
	readonly source: string;
	/** The texts around the parameters, always one more than these; only the first and the last may be empty. */
	readonly literals: readonly string[];
	readonly parameters: readonly string[];
	/** The parameters of a name, or undefined where the pattern does not match it. */
	match(name: string): ChannelParameters | undefined;
}

const PARAMETER_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const MAX_PATTERN_CHARACTERS = 200;
// Names must be free of these (PROTOCOL.md), so a pattern with one could never match.
const CONTROL_CHARACTER = /\p{Cc}/u;

/** Throws `ContractError` (`bad_pattern`, `reserved_name`). */
export function compilePattern(source: string): Pattern {
	const { literals, parameters } = read(source);
	return Object.freeze({
		source,
		literals,
		parameters,
		match: (name: string) => cut(name, literals, parameters),
	});
}

/** The name that a pattern makes of parameters: `fill("order_{orderId}", { orderId: "123" })` is `"order_123"`. */
export function fill<P extends string>(pattern: P, params: ChannelParams<NoInfer<P>>): NameOf<P> {
	const { literals, parameters } = read(pattern);
	const given: Readonly<Record<string, unknown>> = params;
	let name = literals[0]!;
	for (const [index, parameter] of parameters.entries()) {
		const value = Object.hasOwn(given, parameter) ? given[parameter] : undefined;
		if (typeof value !== "string" || value === "" || holdsSeparator(value, 0, value.length)) {
			throw new ContractError(
				"bad_parameter",
				`${parameter} of channel pattern "${pattern}" is ${JSON.stringify(value) ?? typeof value}, ` +
					"but must be a text that is not empty and holds none of : / .",
			);
		}
		name += value + literals[index + 1]!;
	}
	const back = cut(name, literals, parameters);
	const moved = parameters.find((parameter) => back?.[parameter] !== given[parameter]);
	if (moved !== undefined) {
		throw new ContractError(
			"bad_parameter",
			`${moved} of channel pattern "${pattern}" is ${JSON.stringify(given[moved])}, ` +
				`but "${name}" would be read with ${JSON.stringify(back?.[moved])} there`,
		);
	}
	return name as NameOf<P>;
}

/**
 * A caller's own channels: "@user" on all of the user's connections, "@device:{device}" on those of one device. A
 * contract may declare them; they exist without that, too. No other pattern matches their names.
 */
export const OWN_PATTERNS = Object.freeze(["@user", "@device:{device}"] as const);

export type OwnPattern = (typeof OWN_PATTERNS)[number];

export function isOwnPattern(source: string): source is OwnPattern {
	return source === "@user" || source === "@device:{device}";
}

/** Whether a character ends a parameter. */
export function isSeparator(character: string): boolean {
	return character === ":" || character === "/" || character === ".";
}

function read(source: string): { readonly literals: readonly string[]; readonly parameters: readonly string[] } {
	const refuse = (why: string): never => {
		throw new ContractError("bad_pattern", `channel pattern "${source}" ${why}`);
	};
	if (source === "") {
		refuse("is empty");
	}
	if (source.length > MAX_PATTERN_CHARACTERS) {
		refuse(`has ${source.length} characters, at most ${MAX_PATTERN_CHARACTERS}`);
	}
	if ((source.startsWith("@") || source.startsWith("$")) && !isOwnPattern(source)) {
		throw new ContractError(
			"reserved_name",
			`channel pattern "${source}": names that begin with @ or $ are reserved, but for "@user" and "@device:{device}"`,
		);
	}
	if (!source.isWellFormed() || source !== source.normalize("NFC") || CONTROL_CHARACTER.test(source)) {
		refuse("is not NFC text without control characters, as every channel name is");
	}
	const [first, ...rest] = source.split("{");
	const literals = [first!];
	const parameters: string[] = [];
	for (const part of rest) {
		const end = part.indexOf("}");
		const parameter = part.slice(0, Math.max(end, 0));
		if (end < 0 || !PARAMETER_NAME.test(parameter)) {
			refuse("must name each parameter in braces with letters, digits and _, such as {orderId}");
		}
		if (parameters.includes(parameter)) {
			refuse(`has {${parameter}} twice`);
		}
		if (parameters.length > 0 && literals.at(-1) === "") {
			refuse(`has {${parameters.at(-1)}}{${parameter}} with nothing between: where one ends cannot be told`);
		}
		parameters.push(parameter);
		literals.push(part.slice(end + 1));
	}
	if (literals.some((literal) => literal.includes("}"))) {
		refuse("has a } that closes nothing");
	}
	return { literals, parameters };
}

/**
 * Taking the first place for each literal finds a cut whenever there is one: a later place would only move text that
 * holds no separator (else the later cut were none) from the next parameter into this one.
 */
function cut(name: string, literals: readonly string[], parameters: readonly string[]): ChannelParameters | undefined {
	const first = literals[0]!;
	if (!name.startsWith(first)) {
		return undefined;
	}
	if (parameters.length === 0) {
		return name.length === first.length ? NO_PARAMETERS : undefined;
	}
	const last = literals[parameters.length]!;
	const params: Record<string, string> = Object.create(null);
	let start = first.length;
	for (let index = 0; index < parameters.length; index++) {
		const isLast = index === parameters.length - 1;
		const literal = literals[index + 1]!;
		const end = isLast ? name.length - last.length : name.indexOf(literal, start + 1);
		if (end <= start || (isLast && !name.endsWith(last)) || holdsSeparator(name, start, end)) {
			return undefined;
		}
		params[parameters[index]!] = name.slice(start, end);
		start = end + literal.length;
	}
	return params;
}

function holdsSeparator(text: string, start: number, end: number): boolean {
	for (let index = start; index < end; index++) {
		const code = text.charCodeAt(index);
		if (code === 0x3a || code === 0x2f || code === 0x2e) {
			return true;
		}
	}
	return false;
}
