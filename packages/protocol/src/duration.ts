/** Durations as people write them: a whole number and a unit, `"500ms"`, `"30s"`, `"2m"`, `"1h"`, `"7d"`. */

const MILLISECONDS: ReadonlyMap<string, number> = new Map([
	["ms", 1],
	["s", 1_000],
	["m", 60_000],
	["h", 3_600_000],
	["d", 86_400_000],
]);

/** Nine digits: enough for 11 days in milliseconds or 31 years in seconds, and every product is a safe integer. */
const DURATION = /^([0-9]{1,9})(ms|s|m|h|d)$/;

/** The duration in milliseconds, or undefined where the text is none. */
export function parseDurationMs(text: string): number | undefined {
	const match = DURATION.exec(text);
	return match === null ? undefined : Number(match[1]) * MILLISECONDS.get(match[2]!)!;
}
