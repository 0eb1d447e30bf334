/** What the judge says in the end: figures of the run, each counter, and examples with their evidence. */
import type { Anomaly, Counter, Findings } from "./counters.ts";

export interface Verdict {
	/** Whether every counter is 0. */
	readonly clean: boolean;
	/** Whether the record has its end; without it, what had not come yet is not judged. */
	readonly complete: boolean;
	readonly counts: Readonly<Record<Counter, number>>;
	readonly examples: readonly Anomaly[];
	readonly figures: Figures;
}

export interface Figures {
	readonly seconds: number;
	readonly durability: string;
	/** Messages, each once. */
	readonly published: number;
	readonly acknowledged: number;
	readonly refused: number;
	/** Neither acknowledged nor refused: they may have been performed or not. */
	readonly unknown: number;
	/** Sent once more under the same id. */
	readonly resent: number;
	readonly delivered: number;
	/** Of acknowledged messages, each with each subscriber: losses that were announced, by reason. */
	readonly announcedLosses: Readonly<Record<string, number>>;
	/** Announcements in band: gap, conflated, reset. */
	readonly announcements: Readonly<Record<string, number>>;
	readonly connections: number;
	readonly connectionsLost: number;
	/** Subscriptions that went on where they were, and those that were told that they could not. */
	readonly recovered: number;
	readonly notRecovered: number;
	/** Joins, leaves, updates and counts that members were told, and the lists that they got. */
	readonly presence: { readonly told: number; readonly lists: number };
	readonly faults: Readonly<Record<string, number>>;
}

export class Totals {
	durationMs = 0;
	readonly durabilities = new Set<string>();
	published = 0;
	acked = 0;
	resent = 0;
	delivered = 0;
	connections = 0;
	connectionsLost = 0;
	presenceTold = 0;
	presenceLists = 0;
	#refused = 0;
	#unknown = 0;
	#recovered = 0;
	#notRecovered = 0;
	readonly #losses = new Tally();
	readonly #announcements = new Tally();
	readonly #faults = new Tally();

	subscribed(how: "recovered" | "lost" | "fresh"): void {
		this.#recovered += how === "recovered" ? 1 : 0;
		this.#notRecovered += how === "lost" ? 1 : 0;
	}

	announced(what: string): void {
		this.#announcements.add(what);
	}

	announcedLoss(reason: string): void {
		this.#losses.add(reason);
	}

	fault(kind: string): void {
		this.#faults.add(kind);
	}

	unanswered(refused: boolean): void {
		this.#refused += refused ? 1 : 0;
		this.#unknown += refused ? 0 : 1;
	}

	/** How many faults there were so far. */
	get faults(): number {
		return this.#faults.sum;
	}

	verdict({ total, counts, examples }: Findings, complete: boolean): Verdict {
		return {
			clean: total === 0,
			complete,
			counts: { ...counts },
			examples: [...examples],
			figures: {
				seconds: Math.round(this.durationMs / 100) / 10,
				durability: [...this.durabilities].join(", ") || "none",
				published: this.published,
				acknowledged: this.acked,
				refused: this.#refused,
				unknown: this.#unknown,
				resent: this.resent,
				delivered: this.delivered,
				announcedLosses: this.#losses.figures,
				announcements: this.#announcements.figures,
				connections: this.connections,
				connectionsLost: this.connectionsLost,
				recovered: this.#recovered,
				notRecovered: this.#notRecovered,
				presence: { told: this.presenceTold, lists: this.presenceLists },
				faults: this.#faults.figures,
			},
		};
	}
}

class Tally {
	readonly #counts = new Map<string, number>();

	add(name: string): void {
		this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
	}

	get sum(): number {
		return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
	}

	get figures(): Readonly<Record<string, number>> {
		return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
	}
}
