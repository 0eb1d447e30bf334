/**
 * What the judge counts, each with the invariant that it stands for (I1–I11), and what it keeps of what it finds: every
 * anomaly is counted, the first few of each kind are kept with their evidence.
 */

export const COUNTERS = {
	lost_acked: { invariant: "I1", meaning: "acknowledged, owed to a subscriber, never delivered nor announced as lost" },
	duplicates: { invariant: "I2", meaning: "delivered twice to one subscriber, or twice in the log" },
	nonmonotonic: { invariant: "I3", meaning: "an offset below one that the subscriber had already passed" },
	reorder: { invariant: "I3", meaning: "one publisher's messages in another order than they were sent" },
	divergence: { invariant: "I3", meaning: "two subscribers got different messages under one offset" },
	silent_gap: { invariant: "I4", meaning: "offsets passed over without a word" },
	phantom: { invariant: "I5", meaning: "delivered, but never sent, or definitely refused" },
	offset_reuse: { invariant: "I6", meaning: "an offset given out anew, or a log that went back in the same epoch" },
	ghost: { invariant: "I7", meaning: "a member shown that had gone, or whose leave was not told" },
	missing_member: { invariant: "I7", meaning: "a member not shown that was there, or whose join was not told" },
	leak: { invariant: "I8", meaning: "delivered without a subscription, or after its end or revocation" },
	stuck: { invariant: "I10", meaning: "after the faults: not acknowledged, or not delivered to somebody" },
	wrong_ack: { invariant: "I11", meaning: "an acknowledgement for nothing, or one position for two messages" },
} as const;

export type Counter = keyof typeof COUNTERS;

export const COUNTER_NAMES = Object.keys(COUNTERS) as readonly Counter[];

export interface Anomaly {
	readonly counter: Counter;
	/** What was seen, with who, where and which offsets. */
	readonly text: string;
	/** Lines of the record that show it, from 1. */
	readonly lines: readonly number[];
}

export class Findings {
	readonly counts: Record<Counter, number>;
	readonly examples: Anomaly[] = [];
	readonly #most: number;
	#total = 0;

	/** `most`: how many examples of each counter are kept. */
	constructor(most: number) {
		this.#most = most;
		this.counts = Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as Record<Counter, number>;
	}

	/** How many anomalies there are, of all kinds. */
	get total(): number {
		return this.#total;
	}

	/** `describe` is called only where the example is kept. */
	add(counter: Counter, lines: readonly number[], describe: () => string): void {
		this.#total++;
		if (this.counts[counter]++ < this.#most) {
			this.examples.push({ counter, lines, text: describe() });
		}
	}
}
