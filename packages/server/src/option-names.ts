/**
 * The names that an application writes in its options. One that nobody reads is refused at the start, with what was
 * probably meant: a rule or a limit under a misspelt name would silently not hold.
 */
import { ServerError } from "./errors.ts";

/** More suggestions than this help nobody. */
const MAX_SUGGESTIONS = 3;

/** Throws `ServerError` (`bad_option`) for a key that is not known. `what`: "option of limits", say. */
export function refuseUnknownNames(place: string, given: object, known: readonly string[], what: string): void {
	for (const name of Object.keys(given)) {
		if (!known.includes(name)) {
			throw unknownName(place, name, known, what);
		}
	}
}

export function unknownName(place: string, name: string, known: readonly string[], what: string): ServerError {
	const nearest = nearestNames(name, known).map((each) => `"${each}"`);
	const hint = nearest.length === 0 ? "there is none" : `the nearest is ${nearest.join(" or ")}`;
	return new ServerError("bad_option", `${place} has "${name}", which is no ${what}; ${hint}`);
}

/** Those that as few changes of letters lead to as to any other, or one change more. */
function nearestNames(name: string, known: readonly string[]): readonly string[] {
	const ranked = known
		.map((each) => ({ each, distance: editDistance(name.toLowerCase(), each.toLowerCase()) }))
		.sort((a, b) => a.distance - b.distance);
	const best = ranked[0]?.distance ?? 0;
	return ranked
		.filter(({ distance }) => distance <= best + 1)
		.slice(0, MAX_SUGGESTIONS)
		.map(({ each }) => each);
}

/** How many characters are to be put in, taken out or changed (Levenshtein). */
function editDistance(a: string, b: string): number {
	let row = Array.from({ length: b.length + 1 }, (_, column) => column);
	for (let i = 1; i <= a.length; i++) {
		const next = [i];
		for (let j = 1; j <= b.length; j++) {
			const change = a[i - 1] === b[j - 1] ? 0 : 1;
			next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + change));
		}
		row = next;
	}
	return row[b.length]!;
}
