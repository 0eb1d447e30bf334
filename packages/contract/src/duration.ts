/** Spans of time as people write them: "30s", "10m", "1h". A bare number is refused, since it does not say of what. */
import { ContractError } from "./contract-error.ts";

const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

export type Duration = `${number}${keyof typeof MILLISECONDS}`;

const DURATION = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)$/;

/** In milliseconds, at least 1. */
export function durationMs(duration: Duration): number {
	const parts = typeof duration === "string" ? DURATION.exec(duration) : null;
	const ms = parts === null ? 0 : Math.round(Number(parts[1]) * MILLISECONDS[parts[2] as keyof typeof MILLISECONDS]);
	if (ms < 1) {
		throw new ContractError(
			"bad_option",
			`${JSON.stringify(duration)} is no duration: a positive number with its unit, such as "30s", "10m", "1h"`,
		);
	}
	return ms;
}
