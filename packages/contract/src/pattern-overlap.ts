/**
 * Whether one name can match two patterns, decided exactly: both are read as automata side by side, and every pair of
 * states that they can reach together is visited once. The number of pairs is the product of the patterns' lengths.
 */
import { isSeparator, type Pattern } from "./pattern.ts";

/** A literal character; a parameter's first character; any number of further ones. */
type Step = string | typeof ONE | typeof MORE;

const ONE = Symbol("one character of a parameter");
const MORE = Symbol("further characters of a parameter");
/** What stands in the example name where both patterns have a parameter. */
const ANY = "x";

/** A shortest name that matches both patterns, or undefined where there is none. */
export function nameInBoth(left: Pattern, right: Pattern): string | undefined {
	const a = stepsOf(left);
	const b = stepsOf(right);
	const width = b.length + 1;
	const seen = new Set<number>();
	// Breadth first, one character of the name a round: so the name found is a shortest one.
	let round: { readonly i: number; readonly j: number; readonly name: string }[] = [{ i: 0, j: 0, name: "" }];
	while (round.length > 0) {
		const next: typeof round = [];
		for (const { i, j, name } of round) {
			// Where further characters of a parameter are allowed, none may follow as well: go on behind them.
			for (const [p, q] of withoutMore(a, b, i, j)) {
				if (seen.has(p * width + q)) {
					continue;
				}
				seen.add(p * width + q);
				if (p === a.length && q === b.length) {
					return name;
				}
				const character = commonCharacter(a[p], b[q]);
				if (character !== undefined) {
					next.push({ i: a[p] === MORE ? p : p + 1, j: b[q] === MORE ? q : q + 1, name: name + character });
				}
			}
		}
		round = next;
	}
	return undefined;
}

function stepsOf(pattern: Pattern): readonly Step[] {
	const steps: Step[] = [...pattern.literals[0]!];
	for (const literal of pattern.literals.slice(1)) {
		steps.push(ONE, MORE, ...literal);
	}
	return steps;
}

function withoutMore(a: readonly Step[], b: readonly Step[], i: number, j: number): readonly [number, number][] {
	const afterI = a[i] === MORE ? [i, i + 1] : [i];
	const afterJ = b[j] === MORE ? [j, j + 1] : [j];
	return afterI.flatMap((p) => afterJ.map((q): [number, number] => [p, q]));
}

/** A character that both steps take. */
function commonCharacter(a: Step | undefined, b: Step | undefined): string | undefined {
	if (a === undefined || b === undefined) {
		return undefined;
	}
	if (typeof a === "string") {
		const taken = typeof b === "string" ? a === b : !isSeparator(a);
		return taken ? a : undefined;
	}
	if (typeof b === "string") {
		return isSeparator(b) ? undefined : b;
	}
	return ANY;
}
