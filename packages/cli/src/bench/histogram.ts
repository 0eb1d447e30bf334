/**
 * Counts of durations in buckets whose width grows with the value, as HdrHistogram has them: every percentile is known
 * to within 1/128 of itself, whatever the number of samples, and histograms of several processes add up. Whole
 * microseconds, up to 35 minutes; what is longer counts as that.
 */

/** Buckets per power of two, and below twice that one per value. */
const PRECISION_BITS = 7;
const LINEAR = 2 << PRECISION_BITS;
const MOST_MICROS = 2 ** 31 - 1;
const BUCKETS = bucketOf(MOST_MICROS) + 1;

/** Plain, so that it crosses from one process to another. */
export interface HistogramCounts {
	/** Pairs of bucket and count, since most buckets are empty. */
	readonly buckets: readonly (readonly [number, number])[];
	readonly maxMicros: number;
}

export class Histogram {
	readonly #counts = new Float64Array(BUCKETS);
	#count = 0;
	#maxMicros = 0;

	get count(): number {
		return this.#count;
	}

	get maxMicros(): number {
		return this.#maxMicros;
	}

	/** A negative duration, which a clock that steps back makes, counts as none. */
	record(micros: number): void {
		const value = Math.min(MOST_MICROS, Math.max(0, Math.round(micros)));
		this.#counts[bucketOf(value)]! += 1;
		this.#count++;
		if (value > this.#maxMicros) {
			this.#maxMicros = value;
		}
	}

	/** The least duration that this part (0 to 1) of all samples do not exceed. NaN where there are none. */
	percentile(part: number): number {
		if (this.#count === 0) {
			return Number.NaN;
		}
		const rank = Math.max(1, Math.ceil(part * this.#count));
		let seen = 0;
		for (let bucket = 0; bucket < BUCKETS; bucket++) {
			seen += this.#counts[bucket]!;
			if (seen >= rank) {
				return Math.min(highestOf(bucket), this.#maxMicros);
			}
		}
		return this.#maxMicros;
	}

	add({ buckets, maxMicros }: HistogramCounts): void {
		for (const [bucket, count] of buckets) {
			this.#counts[bucket]! += count;
			this.#count += count;
		}
		this.#maxMicros = Math.max(this.#maxMicros, maxMicros);
	}

	counts(): HistogramCounts {
		const buckets: [number, number][] = [];
		for (let bucket = 0; bucket < BUCKETS; bucket++) {
			const count = this.#counts[bucket]!;
			if (count > 0) {
				buckets.push([bucket, count]);
			}
		}
		return { buckets, maxMicros: this.#maxMicros };
	}
}

function bucketOf(value: number): number {
	if (value < LINEAR) {
		return value;
	}
	const shift = 31 - Math.clz32(value) - PRECISION_BITS;
	return (shift << PRECISION_BITS) + (value >>> shift);
}

/** The greatest value that falls into a bucket. */
function highestOf(bucket: number): number {
	if (bucket < LINEAR) {
		return bucket;
	}
	const shift = (bucket >>> PRECISION_BITS) - 1;
	const lowest = bucket - (shift << PRECISION_BITS);
	return (lowest + 1) * 2 ** shift - 1;
}
