/**
 * One channel's log as it became known, from acknowledgements and from deliveries: which message stands at which
 * (epoch, offset). A place never has two values, and a message has one place.
 */
import { parseValue } from "../record/event.ts";
import type { Findings } from "./counters.ts";
import type { Publishes, Sent } from "./publishes.ts";

/** By offset; a message that nobody sent leaves its place empty. */
export interface EpochLog {
	readonly sent: (Sent | undefined)[];
	/** The lines on which the places became known. */
	readonly lines: number[];
	/** Whether that was an acknowledgement. */
	readonly acked: boolean[];
}

export class Log {
	readonly #channel: string;
	readonly #publishes: Publishes;
	readonly #findings: Findings;
	readonly #epochs = new Map<string, EpochLog>();

	constructor(channel: string, publishes: Publishes, findings: Findings) {
		this.#channel = channel;
		this.#publishes = publishes;
		this.#findings = findings;
	}

	find(epoch: string): EpochLog | undefined {
		return this.#epochs.get(epoch);
	}

	acked(sent: Sent, epoch: string, offset: number, line: number): void {
		if (sent.offset > 0 && (sent.epoch !== epoch || sent.offset !== offset) && sent.sessions === 1) {
			this.#findings.add("wrong_ack", [sent.line, line], () => {
				const known = `${sent.epoch}:${sent.offset}`;
				return `${name(sent)} on ${this.#channel} is at ${known} and was acknowledged at ${epoch}:${offset}`;
			});
			return;
		}
		this.#place(sent, epoch, offset, line, true);
	}

	delivered(value: string, epoch: string, offset: number, line: number, client: string): void {
		const parsed = parseValue(value);
		const sent = parsed && this.#publishes.find(parsed.publisher, parsed.n);
		if (sent === undefined) {
			this.#findings.add("phantom", [line], () => {
				return `${client} got ${JSON.stringify(value)} at ${epoch}:${offset} of ${this.#channel}, which nobody sent`;
			});
			return;
		}
		this.#place(sent, epoch, offset, line, false);
	}

	#place(sent: Sent, epoch: string, offset: number, line: number, acked: boolean): void {
		let log = this.#epochs.get(epoch);
		if (log === undefined) {
			log = { sent: [], lines: [], acked: [] };
			this.#epochs.set(epoch, log);
		}
		const present = log.sent[offset];
		if (present === sent) {
			return;
		}
		if (present !== undefined) {
			this.#addConflict(log, present, sent, epoch, offset, line, acked);
			return;
		}
		log.sent[offset] = sent;
		log.lines[offset] = line;
		log.acked[offset] = acked;
		sent.places++;
		if (sent.offset === 0) {
			sent.epoch = epoch;
			sent.offset = offset;
		} else if (sent.places > sent.sessions) {
			this.#findings.add("duplicates", [sent.line, line], () => {
				return `${name(sent)} is in the log of ${this.#channel} at ${sent.epoch}:${sent.offset} and ${epoch}:${offset}`;
			});
		}
	}

	/** Two messages claim one place. What was sent after the place was known to be taken shows that it was given anew. */
	#addConflict(
		log: EpochLog,
		present: Sent,
		sent: Sent,
		epoch: string,
		offset: number,
		line: number,
		acked: boolean,
	): void {
		const since = log.lines[offset] ?? 0;
		const counter =
			sent.lastLine > since ? "offset_reuse" : acked || log.acked[offset] === true ? "wrong_ack" : "divergence";
		this.#findings.add(counter, [since, line], () => {
			return `${epoch}:${offset} of ${this.#channel} is ${name(present)} and also ${name(sent)}`;
		});
	}
}

export function name({ publisher, n }: Sent): string {
	return `message ${n} of ${publisher}`;
}
