/**
 * What was sent on one channel, and what its publishers were told of it. A message may be sent again under its id within
 * its session, and is one message; an answer may be missing, and then it may have been performed or not.
 */
import { isDefinite } from "../record/event.ts";
import type { Findings } from "./counters.ts";

export interface Sent {
	readonly publisher: string;
	readonly n: number;
	readonly line: number;
	/** Where it was sent last. */
	lastLine: number;
	/** The connection that it was sent on, or -1 once it was sent on a second one. */
	connection: number;
	session: string;
	/** How many sessions it was sent in: in each it may be performed once. */
	sessions: number;
	attempts: number;
	answers: number;
	/** Attempts that were answered with an error, and those of them that say that nothing was done. */
	errors: number;
	refusals: number;
	ackLine: number;
	/** What the acknowledgement promised; undefined without one. */
	durability: string | undefined;
	/** Its place in the log as it was first learnt; offset 0: not known. */
	epoch: string;
	offset: number;
	/** How many places in the log it was seen at. */
	places: number;
}

/** The connection that a publisher has at present. */
export interface Standing {
	readonly connection: number;
	readonly session: string;
	readonly durability: string;
}

export class Publishes {
	readonly #channel: string;
	readonly #findings: Findings;
	readonly #byPublisher = new Map<string, (Sent | undefined)[]>();

	constructor(channel: string, findings: Findings) {
		this.#channel = channel;
		this.#findings = findings;
	}

	find(publisher: string, n: number): Sent | undefined {
		return this.#byPublisher.get(publisher)?.[n];
	}

	*all(): Generator<Sent> {
		for (const list of this.#byPublisher.values()) {
			yield* list.filter((sent) => sent !== undefined);
		}
	}

	/** Whether this is the message's first time. */
	publish(publisher: string, n: number, line: number, standing: Standing): boolean {
		const { connection, session } = standing;
		let list = this.#byPublisher.get(publisher);
		if (list === undefined) {
			list = [];
			this.#byPublisher.set(publisher, list);
		}
		const known = list[n];
		if (known !== undefined) {
			known.attempts++;
			known.lastLine = line;
			known.connection = known.connection === connection ? connection : -1;
			known.sessions += known.session === session ? 0 : 1;
			known.session = session;
			return false;
		}
		list[n] = {
			publisher,
			n,
			line,
			lastLine: line,
			connection,
			session,
			sessions: 1,
			attempts: 1,
			answers: 0,
			errors: 0,
			refusals: 0,
			ackLine: 0,
			durability: undefined,
			epoch: "",
			offset: 0,
			places: 0,
		};
		return true;
	}

	/** The message that was acknowledged; undefined where there is none that could be. */
	ack(publisher: string, n: number, line: number, standing: Standing): Sent | undefined {
		const sent = this.#answered(publisher, n, line, "an acknowledgement");
		if (sent !== undefined && sent.ackLine === 0) {
			sent.ackLine = line;
			sent.durability = standing.durability;
		}
		return sent;
	}

	refused(publisher: string, n: number, line: number, code: string): void {
		const sent = this.#answered(publisher, n, line, `the error ${code}`);
		if (sent !== undefined) {
			sent.errors++;
			sent.refusals += isDefinite(code) ? 1 : 0;
		}
	}

	#answered(publisher: string, n: number, line: number, what: string): Sent | undefined {
		const sent = this.find(publisher, n);
		if (sent === undefined) {
			this.#findings.add("wrong_ack", [line], () => {
				return `${publisher} got ${what} on ${this.#channel} for message ${n}, which it had not sent`;
			});
		} else if (++sent.answers > sent.attempts) {
			this.#findings.add("wrong_ack", [sent.line, line], () => {
				return `${publisher} got ${what} on ${this.#channel} for message ${n}, which had been answered`;
			});
		}
		return sent;
	}

	/**
	 * Order in the log against the order of sending, for what promises it: a message sent after an earlier one was
	 * acknowledged comes after it; so do two that were each sent once, on one connection, without an error.
	 */
	judgeOrder(): void {
		for (const list of this.#byPublisher.values()) {
			const epochs = new Map<string, Order>();
			for (const sent of list) {
				if (sent !== undefined && sent.offset > 0 && sent.sessions === 1) {
					let order = epochs.get(sent.epoch);
					if (order === undefined) {
						order = new Order();
						epochs.set(sent.epoch, order);
					}
					const before = order.next(sent);
					if (before !== undefined) {
						this.#addReorder(before, sent);
					}
				}
			}
		}
	}

	#addReorder(before: Sent, after: Sent): void {
		this.#findings.add("reorder", [before.line, after.line], () => {
			const { publisher, epoch } = after;
			return (
				`${publisher} sent message ${before.n} before ${after.n} on ${this.#channel}, ` +
				`but they are at ${epoch}:${before.offset} and ${epoch}:${after.offset}`
			);
		});
	}
}

/** One publisher's messages of one epoch, taken in the order of sending. */
class Order {
	/** The highest so far that was acknowledged before the present one was sent. */
	#settled: Sent | undefined;
	/** Those not settled yet: as many as the publisher has under way. */
	#open: Sent[] = [];
	/** The highest of those that were sent once on the present connection. */
	#piped: Sent | undefined;

	/** A message that had to be before this one and is not. */
	next(sent: Sent): Sent | undefined {
		const open: Sent[] = [];
		for (const before of this.#open) {
			if (before.ackLine === 0 || before.ackLine >= sent.line) {
				open.push(before);
			} else {
				this.#settled = higher(this.#settled, before);
			}
		}
		this.#open = open;
		if (sent.ackLine > 0) {
			open.push(sent);
		}
		let wrong = this.#settled !== undefined && this.#settled.offset > sent.offset ? this.#settled : undefined;
		if (sent.attempts === 1 && sent.errors === 0) {
			const piped = this.#piped?.connection === sent.connection ? this.#piped : undefined;
			wrong ??= piped !== undefined && piped.offset > sent.offset ? piped : undefined;
			this.#piped = higher(piped, sent);
		}
		return wrong;
	}
}

function higher(one: Sent | undefined, other: Sent): Sent {
	return one === undefined || other.offset > one.offset ? other : one;
}
