/** Numbers that a seed repeats. Not for secrets. */

/** At least 0, below 1. */
export type Random = () => number;

/** Mulberry32: 32 bits of state are plenty for a plan of faults. */
export function seeded(seed: number): Random {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
	};
}

/** A whole number from `from` to `to`, both included. */
export function between(random: Random, from: number, to: number): number {
	return from + Math.floor(random() * (to - from + 1));
}

/** One of them; throws `RangeError` where there is none. */
export function pick<T>(random: Random, from: readonly T[]): T {
	const picked = from[Math.floor(random() * from.length)];
	if (picked === undefined) {
		throw new RangeError("nothing to pick from");
	}
	return picked;
}
