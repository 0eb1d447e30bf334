/**
 * What became of a publish: each node that has subscribers tells, once its flush has carried the entry, how many got it,
 * and the node that was asked adds it up. Nodes tell each other through a channel of the broker that keeps nothing,
 * `$report:<asker>`; a publish carries that name and its number there (`Publication.report`). Best effort: a node that
 * dies says nothing, and the report is then incomplete. Whom a report goes to, and in which words, is the caller's.
 */
import { randomBytes } from "node:crypto";
import type { Broker, BrokerListener, Entry, PublishResult } from "@tidewire/broker";
import type { BrokerEar } from "./broker-ear.ts";
import type { Log } from "./observe/log.ts";

const COUNTS = ["subscribers", "written", "lagging", "conflated", "skipped"] as const;

/** Of the subscribers that a channel had when an entry went out, how many of each kind. */
export type FanOutCounts = { readonly [Name in (typeof COUNTS)[number]]: number };

export interface FanOutReport extends FanOutCounts {
	/** Whether every node that was told of the entry has said what became of it. */
	readonly complete: boolean;
}

export interface FanOutReportsOptions {
	readonly broker: Pick<Broker, "subscribe" | "publish">;
	readonly ear: Pick<BrokerEar, "on">;
	readonly log: Log;
	/** How long nodes have to tell. */
	readonly timeoutMs: number;
	/** Reports that are waited for: of this node, and of one asker. */
	readonly maxWaiting: number;
	readonly maxWaitingOfOne: number;
	/** Milliseconds by a clock that never jumps. */
	readonly nowMs: () => number;
	/** Runs a task later, once; the result calls it off. */
	readonly after: (delayMs: number, task: () => void) => () => void;
}

const PREFIX = "$report:";
/** Tellings of one turn to one asker go together, at most so many in a message of the broker. */
const TELLINGS_PER_MESSAGE = 500;
const KEEP_NOTHING = { messages: 0, bytes: 0, ageMs: 0 };

const utf8 = new TextDecoder();

/** A publish's report: to be asked for before the publish, then concluded with what came of it, or dropped. */
export interface Question {
	/** What the publication carries. */
	readonly report: string;
	/** Resolves when every node has told, or the time is over. */
	conclude(result: PublishResult): Promise<FanOutReport>;
	/** There is nothing to report. */
	drop(): void;
}

interface Sum {
	readonly asker: object;
	readonly counts: Record<keyof FanOutCounts, number>;
	heard: number;
	/** How many nodes will tell. */
	told: number;
	untilMs: number;
	resolve: ((report: FanOutReport) => void) | undefined;
}

export class FanOutReports implements BrokerListener {
	readonly #options: FanOutReportsOptions;
	/** Not the node's name, which may be given twice or anew: what is told belongs to this process. */
	readonly #channel = `${PREFIX}${randomBytes(12).toString("base64url")}`;
	#listening: true | Promise<unknown> | undefined;
	#numbers = 0;
	readonly #sums = new Map<number, Sum>();
	/** Those that are concluded, in the order in which their time ends. */
	readonly #concluded = new Map<number, Sum>();
	#cancelTimer: (() => void) | undefined;
	#closed = false;
	readonly #waitingOf = new WeakMap<object, number>();
	/** What this turn's flush has to tell, by asker. */
	#tellings = new Map<string, number[][]>();

	constructor(options: FanOutReportsOptions) {
		this.#options = options;
		options.ear.on(PREFIX, this);
	}

	// Asking.

	/**
	 * Begins a report; undefined where the asker, or the node, waits for as many as it may. A promise only until the node's
	 * channel is subscribed to; rejects with the broker's error where that fails.
	 */
	ask(asker: object): Question | undefined | Promise<Question | undefined> {
		if (this.#listening === true) {
			return this.#question(asker);
		}
		this.#listening ??= this.#options.broker.subscribe(this.#channel).then(
			() => {
				this.#listening = true;
			},
			(cause: unknown) => {
				this.#listening = undefined;
				throw cause;
			},
		);
		return this.#listening.then(() => this.#question(asker));
	}

	#question(asker: object): Question | undefined {
		const { maxWaiting, maxWaitingOfOne } = this.#options;
		const waiting = this.#waitingOf.get(asker) ?? 0;
		if (this.#sums.size >= maxWaiting || waiting >= maxWaitingOfOne) {
			return undefined;
		}
		this.#waitingOf.set(asker, waiting + 1);
		const number = ++this.#numbers;
		const counts = { subscribers: 0, written: 0, lagging: 0, conflated: 0, skipped: 0 };
		const sum: Sum = { asker, counts, heard: 0, told: Infinity, untilMs: Infinity, resolve: undefined };
		this.#sums.set(number, sum);
		return {
			report: `${this.#channel}#${number}`,
			conclude: (result) => new Promise((resolve) => this.#conclude(number, sum, result, resolve)),
			drop: () => this.#end(number, sum),
		};
	}

	#conclude(number: number, sum: Sum, result: PublishResult, resolve: (report: FanOutReport) => void): void {
		sum.resolve = resolve;
		if (this.#closed) {
			resolve({ ...sum.counts, complete: false });
			return;
		}
		if (result.status !== "accepted" || result.duplicate) {
			// Nothing has gone out because of it; what the first one's nodes told was told to the first.
			this.#end(number, sum);
			return;
		}
		sum.told = result.told ?? Infinity;
		sum.untilMs = this.#options.nowMs() + this.#options.timeoutMs;
		if (sum.heard >= sum.told) {
			this.#end(number, sum);
			return;
		}
		this.#concluded.set(number, sum);
		this.#cancelTimer ??= this.#options.after(this.#options.timeoutMs, this.#expire);
	}

	/** One timer for all: it is set for the oldest, since all have the same time. */
	readonly #expire = (): void => {
		this.#cancelTimer = undefined;
		const nowMs = this.#options.nowMs();
		for (const [number, sum] of this.#concluded) {
			if (sum.untilMs > nowMs) {
				this.#cancelTimer = this.#options.after(sum.untilMs - nowMs, this.#expire);
				return;
			}
			this.#end(number, sum);
		}
	};

	#end(number: number, sum: Sum): void {
		if (!this.#sums.delete(number)) {
			return;
		}
		this.#concluded.delete(number);
		if (this.#concluded.size === 0) {
			this.#cancelTimer?.();
			this.#cancelTimer = undefined;
		}
		const waiting = (this.#waitingOf.get(sum.asker) ?? 1) - 1;
		if (waiting === 0) {
			this.#waitingOf.delete(sum.asker);
		} else {
			this.#waitingOf.set(sum.asker, waiting);
		}
		sum.resolve?.({ ...sum.counts, complete: sum.heard >= sum.told });
	}

	// Telling.

	/** This node's flush has carried an entry with `report`. */
	tell(report: string, counts: FanOutCounts): void {
		const at = report.lastIndexOf("#");
		const telling = [Number(report.slice(at + 1)), ...COUNTS.map((name) => counts[name])];
		const channel = report.slice(0, Math.max(at, 0));
		if (channel === this.#channel) {
			this.#hear(telling);
			return;
		}
		if (!channel.startsWith(PREFIX)) {
			return;
		}
		const waiting = this.#tellings.get(channel);
		if (waiting !== undefined) {
			waiting.push(telling);
			return;
		}
		if (this.#tellings.size === 0) {
			// When the flush under way is through.
			queueMicrotask(this.#send);
		}
		this.#tellings.set(channel, [telling]);
	}

	readonly #send = (): void => {
		const tellings = this.#tellings;
		this.#tellings = new Map();
		for (const [channel, rows] of tellings) {
			for (let from = 0; from < rows.length; from += TELLINGS_PER_MESSAGE) {
				const data = Buffer.from(JSON.stringify(rows.slice(from, from + TELLINGS_PER_MESSAGE)));
				this.#options.broker
					.publish(channel, { data, encoding: "json" }, { retention: KEEP_NOTHING })
					// The asker's report is incomplete then, and says so.
					.catch((cause: unknown) => this.#options.log.warn("a fan-out could not be told of", { cause }));
			}
		}
	};

	entries(channel: string, _epoch: string, entries: readonly Entry[]): void {
		if (channel !== this.#channel) {
			return;
		}
		for (const { data } of entries) {
			for (const telling of readTellings(data)) {
				this.#hear(telling);
			}
		}
	}

	reset(): void {
		// What was lost with the epoch is missed by the reports that wait for it, and by nobody else.
	}

	#hear([number = 0, ...counts]: readonly number[]): void {
		const sum = this.#sums.get(number);
		if (sum === undefined) {
			return;
		}
		for (const [index, name] of COUNTS.entries()) {
			sum.counts[name] += counts[index] ?? 0;
		}
		sum.heard++;
		if (sum.heard >= sum.told) {
			this.#end(number, sum);
		}
	}

	/** Nobody will tell any more: what is waited for ends as it is. */
	close(): void {
		this.#closed = true;
		for (const [number, sum] of [...this.#sums]) {
			this.#end(number, sum);
		}
	}
}

/** Of another version of this program, perhaps: what is not understood is not counted. */
function readTellings(data: Uint8Array): readonly (readonly number[])[] {
	try {
		const rows: unknown = JSON.parse(utf8.decode(data));
		return Array.isArray(rows) ? rows.filter(isTelling) : [];
	} catch {
		return [];
	}
}

function isTelling(row: unknown): row is readonly number[] {
	return (
		Array.isArray(row) && row.length > COUNTS.length && row.every((value) => Number.isSafeInteger(value) && value >= 0)
	);
}
