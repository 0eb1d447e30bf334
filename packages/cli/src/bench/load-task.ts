/** What the bench and its load processes say to each other. */
import type { ContinuityCounts } from "./continuity.ts";
import type { HistogramCounts } from "./histogram.ts";
import type { Target } from "./load-client.ts";

/** The clients that one load process has. */
export interface OpenOrder {
	readonly do: "open";
	readonly target: Target;
	readonly prefix: string;
	readonly clients: number;
	/** The number of the process's first client, counted over all processes. */
	readonly first: number;
	readonly channels: number;
	/** Each client subscribes to all channels; otherwise to one, in turn. */
	readonly every: boolean;
	/** The clients of the first numbers, counted over all processes, stop reading once they have subscribed. */
	readonly stalled: number;
	/** How many connections are opened at a time. */
	readonly atOnce: number;
	/** In a closed loop: messages per channel in a round. The process says when it has a whole round. */
	readonly roundMessages?: number | undefined;
}

export type Order =
	| OpenOrder
	/** What was due before this time, of `nowMicros`, is warm-up. */
	| { readonly do: "count"; readonly fromMicros: number }
	/** Nothing more will be published: wait for what is under way and report. `heads`: each channel's newest offset. */
	| { readonly do: "settle"; readonly heads: readonly number[]; readonly patienceMs: number };

export interface WorkerFigures {
	/** Of the measured time. */
	readonly deliveries: number;
	readonly latency: HistogramCounts;
	/** The part of a core that the process used in the measured time, 0 to 1. */
	readonly cpuShare: number;
	/** The part of it in which the process was ready to run and something else ran. */
	readonly waitedShare: number;
	/** Of all the time, the warm-up too. */
	readonly continuity: ContinuityCounts;
	readonly subscriptions: number;
	/** Connections that ended before they were told to, and the first one's reason. */
	readonly closed: number;
	readonly closedWhy?: string | undefined;
}

export interface Opening {
	readonly opened: number;
	/** Per connection, from its first step until its last subscription was accepted. */
	readonly micros: HistogramCounts;
	/** The part of a core that the process used meanwhile, 0 to 1. */
	readonly cpuShare: number;
}

export type News =
	| { readonly say: "opening"; readonly opened: number }
	| { readonly say: "opened"; readonly opening: Opening }
	| { readonly say: "delivered"; readonly deliveries: number }
	| { readonly say: "round"; readonly rounds: number }
	| { readonly say: "settled"; readonly figures: WorkerFigures }
	| { readonly say: "failed"; readonly message: string };
