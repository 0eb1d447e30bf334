/** From values to pixels, and the values at which an axis is marked. Pure. */

export interface Axis {
	readonly ticks: readonly number[];
	/** The part of the axis' length, 0 to 1, at which a value stands. */
	place(value: number): number;
}

/**
 * From zero to the first mark above the greatest, in steps of 1, 2 or 5 times a power of ten. `tight`: to the greatest
 * itself.
 */
export function linearAxis(most: number, wantedTicks = 6, tight = false): Axis {
	const top = most > 0 ? most : 1;
	const rough = top / wantedTicks;
	const power = 10 ** Math.floor(Math.log10(rough));
	const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
	const end = tight ? top : Math.ceil(top / step - 1e-9) * step;
	const count = Math.floor(end / step + 1e-9);
	return {
		// Multiplied, not added up: 0.1 + 0.2 is not 0.3.
		ticks: Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12))),
		place: (value) => value / end,
	};
}

/** From below the least to above the greatest, marked at 1, 2 and 5 times powers of ten; all values are above 0. */
export function logAxis(least: number, most: number): Axis {
	const ticks: number[] = [];
	for (let exponent = Math.floor(Math.log10(least)); exponent <= Math.ceil(Math.log10(most)); exponent++) {
		for (const factor of [1, 2, 5]) {
			ticks.push(Number((factor * 10 ** exponent).toPrecision(12)));
		}
	}
	const from = ticks.findLast((tick) => tick <= least) ?? least;
	const to = ticks.find((tick) => tick >= most && tick > from) ?? most;
	const inside = ticks.filter((tick) => tick >= from && tick <= to);
	const span = Math.log10(to) - Math.log10(from);
	// Over many decades only their begins are marked.
	const shown = inside.length > 10 ? inside.filter((tick) => Math.abs(Math.log10(tick) % 1) < 1e-9) : inside;
	return {
		ticks: shown,
		place: (value) => (Math.log10(Math.min(to, Math.max(from, value))) - Math.log10(from)) / span,
	};
}

/** Whether values lie so far apart that most would crowd at one end. */
export function spansDecades(values: readonly number[]): boolean {
	const least = Math.min(...values);
	return least > 0 && Math.max(...values) / least >= 100;
}
