/**
 * What one subscriber was told and given of one channel. It follows the subscriber's cursor: what is owed from where,
 * what was announced as lost, and what came. A hole is judged when the next message passes over it, a missing end when
 * the record ends.
 */
import type { Position } from "../record/event.ts";
import type { Findings } from "./counters.ts";
import { OffsetSet, type Range } from "./offsets.ts";

/** Why something was announced as not coming. Of `epoch`, a server that promised to keep it had no right to lose it. */
export type LossReason = string;

interface Announced extends Range {
	readonly reason: LossReason;
}

/** What the subscriber has to do with one epoch of the log. */
export interface EpochView {
	readonly seen: OffsetSet;
	/** Between a subscription's beginning and its end; the last may be open, and ends with the record. */
	readonly owed: { readonly from: number; to: number }[];
	readonly announced: Announced[];
}

type State = "none" | "asked" | "attached" | "lost" | "ended";

export interface ViewOptions {
	readonly client: string;
	readonly channel: string;
	readonly findings: Findings;
	/** How long after a revocation something may still come. */
	readonly revocationGraceMs: number;
}

const OPEN = Number.POSITIVE_INFINITY;

export class View {
	readonly client: string;
	readonly #channel: string;
	readonly #findings: Findings;
	readonly #graceMs: number;
	readonly epochs = new Map<string, EpochView>();
	#state: State = "none";
	/** Whether the subscriber still wants this channel, and was not refused for good. */
	wanted = false;
	#asked: Position | undefined;
	#epoch = "";
	#cursor = 0;
	/** Holes up to here have been announced (`conflated`, from `#conflatedFrom`); one message at least is to follow. */
	#excusedTo = 0;
	#conflatedFrom = 0;
	#revokedAt: number | undefined;

	constructor({ client, channel, findings, revocationGraceMs }: ViewOptions) {
		this.client = client;
		this.#channel = channel;
		this.#findings = findings;
		this.#graceMs = revocationGraceMs;
	}

	/** Up to where the subscriber needs nothing more. */
	get #reach(): number {
		return Math.max(this.#cursor, this.#excusedTo);
	}

	subscribe(since: Position | undefined): void {
		this.#asked = since;
		this.#state = "asked";
		this.#revokedAt = undefined;
		this.wanted = true;
	}

	/** How it went on: with everything, with an announced loss, or anew because nothing was asked for. */
	subscribed(position: Position, recovered: boolean | undefined, line: number): "recovered" | "lost" | "fresh" {
		const since = this.#asked;
		this.#state = "attached";
		if (since === undefined) {
			this.#close();
			this.#begin(position);
			return "fresh";
		}
		const same = since.epoch === position.epoch && since.offset === position.offset;
		if (recovered === true || (recovered === undefined && same)) {
			this.#recover(since, position, line);
			return "recovered";
		}
		if (recovered === undefined) {
			this.#addGap(line, () => `asked for ${text(since)} and began at ${text(position)}, with no word of recovery`);
		}
		this.#lose(position, "not_recovered", line);
		return "lost";
	}

	#recover(since: Position, position: Position, line: number): void {
		if (since.epoch !== position.epoch || since.offset !== position.offset) {
			this.#addGap(line, () => `was told that it recovered from ${text(since)}, but begins at ${text(position)}`);
		}
		if (position.epoch !== this.#epoch || position.offset > this.#reach) {
			this.#close();
			this.#begin(position);
		} else {
			// Everything after this follows, also what it has had already or was told would be conflated.
			this.#withdraw();
			this.#cursor = position.offset;
			this.#view().seen.dropAfter(position.offset);
		}
		this.#reopen();
	}

	/** Goes on at `position`; what lies before it is announced as lost. */
	#lose(position: Position, reason: LossReason, line: number): void {
		const hadOne = this.#epoch !== "";
		if (hadOne && position.epoch === this.#epoch) {
			if (position.offset < this.#cursor) {
				this.#findings.add("offset_reuse", [line], () => {
					const had = `${this.#epoch}:${this.#cursor}`;
					return `${this.client} had ${had} of ${this.#channel}, and the same epoch is at ${text(position)} now`;
				});
				this.#view().seen.dropAfter(position.offset);
			}
			this.#announce(this.#reach + 1, position.offset, reason);
			this.#close();
		} else if (hadOne) {
			this.#withdraw();
			this.#announce(this.#reach + 1, OPEN, "epoch");
			this.#close();
		}
		const fresh = position.epoch !== this.#epoch;
		this.#begin(position);
		if (hadOne && fresh) {
			this.#announce(1, position.offset, reason);
		}
	}

	notSubscribed(final: boolean): void {
		this.#state = "ended";
		this.wanted = !final;
	}

	lost(): void {
		if (this.#state === "attached" || this.#state === "asked") {
			this.#state = "lost";
		}
	}

	reset(position: Position, line: number): void {
		this.#lose(position, "reset", line);
	}

	/** Ended by the subscriber's wish, or for it. `final`: it is not to come again. */
	unsubscribed(final: boolean): void {
		this.#state = "ended";
		this.wanted = !final;
		if (final) {
			this.#close();
		}
	}

	unwanted(): void {
		this.wanted = false;
	}

	revoked(t: number): void {
		this.#revokedAt = t;
		this.wanted = false;
		this.#close();
	}

	gap({ from, to }: Range, reason: LossReason, line: number): void {
		this.#passTo(from - 1, line);
		this.#announce(Math.max(from, this.#cursor + 1), to, reason);
		this.#cursor = Math.max(this.#cursor, to);
	}

	conflated({ from, to }: Range, line: number): void {
		this.#passTo(from - 1, line);
		this.#announce(from, to, "conflated");
		this.#conflatedFrom = from;
		this.#excusedTo = to;
	}

	message({ epoch, offset }: Position, prev: number | undefined, line: number, t: number): void {
		if (this.#state !== "attached" || (this.#revokedAt !== undefined && t > this.#revokedAt + this.#graceMs)) {
			this.#addLeak(line, `${epoch}:${offset}`);
			return;
		}
		if (epoch !== this.#epoch) {
			this.#addGap(line, () => `got ${epoch}:${offset} after ${this.#epoch}:${this.#cursor}, with no reset between`);
			this.#close();
			this.#begin({ epoch, offset: offset - 1 });
		}
		const { seen } = this.#view();
		if (offset <= this.#cursor) {
			const twice = seen.has(offset);
			this.#findings.add(twice ? "duplicates" : "nonmonotonic", [line], () => {
				const what = twice ? "for the second time" : `after ${epoch}:${this.#cursor}`;
				return `${this.client} got ${epoch}:${offset} of ${this.#channel} ${what}`;
			});
		} else {
			this.#passTo(prev ?? offset - 1, line);
			this.#cursor = offset;
		}
		seen.add(offset);
	}

	/** The record ends. What is open stays owed to the last where the subscriber is attached. */
	end(): void {
		if (this.#state !== "attached") {
			this.#close();
		}
	}

	/** Everything up to `offset` must have come or been announced. */
	#passTo(offset: number, line: number): void {
		if (offset >= this.#excusedTo && this.#cursor < this.#conflatedFrom && this.#conflatedFrom <= this.#excusedTo) {
			const range = `${this.#epoch}:${this.#conflatedFrom} to ${this.#excusedTo}`;
			this.#addGap(line, () => `got nothing of ${range}, of which the last was to follow`);
			this.#excusedTo = this.#cursor = Math.max(this.#cursor, this.#excusedTo);
		}
		const from = this.#reach + 1;
		if (offset >= from) {
			this.#addGap(line, () => `passed over ${this.#epoch}:${from}${offset > from ? ` to ${offset}` : ""}`);
		}
	}

	/** What was to come of a conflated range comes no more: the range says nothing about what is missing of it. */
	#withdraw(): void {
		const { announced } = this.#view();
		if (announced.at(-1)?.reason === "conflated" && this.#cursor < this.#excusedTo) {
			announced.pop();
			this.#announce(this.#conflatedFrom, this.#cursor, "conflated");
		}
		this.#excusedTo = 0;
	}

	#view(): EpochView {
		let view = this.epochs.get(this.#epoch);
		if (view === undefined) {
			view = { seen: new OffsetSet(), owed: [], announced: [] };
			this.epochs.set(this.#epoch, view);
		}
		return view;
	}

	#begin({ epoch, offset }: Position): void {
		this.#epoch = epoch;
		this.#cursor = offset;
		this.#excusedTo = 0;
		this.#reopen();
	}

	#reopen(): void {
		const { owed } = this.#view();
		if (owed.at(-1)?.to !== OPEN) {
			owed.push({ from: this.#cursor + 1, to: OPEN });
		}
	}

	/** Nothing after the cursor is owed. */
	#close(): void {
		const last = this.epochs.get(this.#epoch)?.owed.at(-1);
		if (last?.to === OPEN) {
			last.to = this.#reach;
		}
	}

	#announce(from: number, to: number, reason: LossReason): void {
		if (from <= to) {
			this.#view().announced.push({ from, to, reason });
		}
	}

	#addGap(line: number, describe: () => string): void {
		this.#findings.add("silent_gap", [line], () => `${this.client} on ${this.#channel} ${describe()}`);
	}

	#addLeak(line: number, position: string): void {
		this.#findings.add("leak", [line], () => {
			const how = {
				none: "without having subscribed",
				asked: "before the reply to its subscribe",
				attached: "after its grant was revoked",
				lost: "without having subscribed again",
				ended: "after its subscription had ended",
			}[this.#state];
			return `${this.client} got ${position} of ${this.#channel} ${how}`;
		});
	}
}

function text({ epoch, offset }: Position): string {
	return `${epoch}:${offset}`;
}
