/**
 * From a channel's name to its declaration. Compiled once from a contract; overlapping patterns are refused then, so
 * that which declaration (and which permission) counts never depends on an order.
 */
import type { Contract } from "./contract.ts";
import { ContractError } from "./contract-error.ts";
import { type ChannelDeclaration, channel, SLOW_POLICIES } from "./declaration.ts";
import { type ChannelParameters, compilePattern, isOwnPattern, NO_PARAMETERS, type Pattern } from "./pattern.ts";
import { nameInBoth } from "./pattern-overlap.ts";

/** What a name belongs to. */
export interface ChannelRoute {
	/** As declared: "order_{orderId}"; "*" where the contract declares no channels. */
	readonly pattern: string;
	readonly declaration: ChannelDeclaration;
	/** Has no prototype. Decoded from nothing: exactly the characters of the name. */
	readonly params: ChannelParameters;
}

export interface ChannelRouter {
	/** Whether the contract declares no channels, so that every name matches. */
	readonly open: boolean;
	/**
	 * The route of a name, or undefined where no pattern matches. Does not check that the name itself is valid, or not
	 * reserved: a caller's own channels ("@user") are not its business, whether declared or not.
	 */
	match(name: string): ChannelRoute | undefined;
}

/** What nobody has declared, subscribers may have as they like. */
const OPEN: ChannelRoute = Object.freeze({
	pattern: "*",
	declaration: channel({ slowChoices: SLOW_POLICIES }),
	params: NO_PARAMETERS,
});

/** Throws `ContractError` for patterns that are malformed, reserved or overlap. */
export function compileChannels(contract: Pick<Contract, "channels">): ChannelRouter {
	const literals = new Map<string, ChannelRoute>();
	const patterns: { readonly pattern: Pattern; readonly declaration: ChannelDeclaration }[] = [];
	const all: Pattern[] = [];
	for (const [source, declaration] of Object.entries(contract.channels)) {
		const pattern = compilePattern(source);
		if (isOwnPattern(source)) {
			// No other pattern matches their names, so they overlap with none.
			continue;
		}
		all.push(pattern);
		if (pattern.parameters.length === 0) {
			literals.set(source, Object.freeze({ pattern: source, declaration, params: NO_PARAMETERS }));
		} else {
			patterns.push({ pattern, declaration });
		}
	}
	refuseOverlaps(all);
	if (Object.keys(contract.channels).length === 0) {
		return { open: true, match: () => OPEN };
	}
	return {
		open: false,
		match(name) {
			const literal = literals.get(name);
			if (literal !== undefined) {
				return literal;
			}
			for (const { pattern, declaration } of patterns) {
				const params = pattern.match(name);
				if (params !== undefined) {
					return { pattern: pattern.source, declaration, params };
				}
			}
			return undefined;
		},
	};
}

function refuseOverlaps(patterns: readonly Pattern[]): void {
	// Two literals cannot overlap: they are keys of one object.
	const withParameters = patterns.filter((pattern) => pattern.parameters.length > 0);
	for (const [index, pattern] of withParameters.entries()) {
		const others = patterns.filter((other) => other.parameters.length === 0);
		for (const other of [...withParameters.slice(index + 1), ...others]) {
			const name = nameInBoth(pattern, other);
			if (name !== undefined) {
				throw new ContractError(
					"overlapping_patterns",
					`channel patterns "${pattern.source}" and "${other.source}" can both match "${name}": ` +
						"a name must belong to one of them only",
				);
			}
		}
	}
}
