/**
 * Writes down what this node claims: a record for each member, and one message to the other nodes for each batch of
 * changes. A claim that changed is only marked, and written from what it is by then. Records are compared and set, so of
 * two nodes that claim the same session the later one wins, and the other finds out.
 */
import type { Broker } from "@tidewire/broker";
import { type Change, decodeRow, encodeChanges, encodeRow, type Row } from "./member.ts";
import type { NodeLease } from "./node-lease.ts";
import type { Claim, Room } from "./room.ts";

/** Records outlive their node's lease, by far, so that they need hardly any renewing; without a lease they mean nothing. */
export const RECORD_TTL_MS = 3_600_000;
/** How long a room's batch gathers behind the one before, and how many claims it has at most. */
const BATCH_EVERY_MS = 50;
const BATCH = 512;
/** How often a record is looked at again that another node keeps changing. */
const TRIES = 5;
const KEEP_NOTHING = { messages: 0, bytes: 0, ageMs: 0 };

export interface LedgerOptions {
	readonly broker: Pick<Broker, "records" | "publish">;
	readonly lease: Pick<NodeLease, "owner" | "hold">;
	readonly nowMs: () => number;
	readonly after: (delayMs: number, task: () => void) => () => void;
	/** It could not be written; it stays marked until `write` is called again. */
	readonly failed: (room: Room, cause: unknown) => void;
	/** The claim has left, or another node has it. */
	readonly ended: (claim: Claim) => void;
	/** Another node has the claim's session now, as this says. */
	readonly overtaken: (claim: Claim, by: Row) => void;
	/** What another node has written before made this row differ from what was claimed. */
	readonly corrected: (claim: Claim) => void;
	/** All that was marked is written. */
	readonly settled: (room: Room) => void;
}

export class Ledger {
	readonly #options: LedgerOptions;
	readonly #pauses = new Set<() => void>();
	readonly #writing = new Set<Promise<void>>();
	#hurried = false;

	constructor(options: LedgerOptions) {
		this.#options = options;
	}

	/** The claim is not what its record says. */
	mark(claim: Claim): void {
		claim.marks++;
		claim.room.dirty.add(claim);
		this.write(claim.room);
	}

	/** Begins to write what is marked, behind everything that happens in this turn. */
	write(room: Room): void {
		if (room.writing || room.dirty.size === 0) {
			return;
		}
		room.writing = true;
		const writing = Promise.resolve()
			.then(() => this.#writeAll(room))
			.then(
				() => {
					this.#settle(room, writing);
					// What was marked since the last look found that it was being written.
					this.write(room);
				},
				(cause: unknown) => {
					this.#settle(room, writing);
					this.#options.failed(room, cause);
				},
			);
		this.#writing.add(writing);
	}

	#settle(room: Room, writing: Promise<void>): void {
		room.writing = false;
		this.#writing.delete(writing);
		this.#options.settled(room);
	}

	/** From now on nothing gathers. Resolves when everything that can be written is. */
	async finish(): Promise<void> {
		this.#hurried = true;
		for (const resume of this.#pauses) {
			resume();
		}
		while (this.#writing.size > 0) {
			await Promise.all(this.#writing);
		}
	}

	async #writeAll(room: Room): Promise<void> {
		while (room.dirty.size > 0) {
			if (!this.#hurried) {
				await this.#pause(room.wroteMs + BATCH_EVERY_MS - this.#options.nowMs());
			}
			room.wroteMs = this.#options.nowMs();
			await this.#options.lease.hold();
			const batch = firstOf(room.dirty, BATCH);
			const outcomes = await Promise.allSettled(batch.map((claim) => this.#store(claim)));
			const stored = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
			await this.#tell(room, stored);
			const failure = outcomes.find((outcome) => outcome.status === "rejected");
			if (failure !== undefined) {
				throw failure.reason;
			}
		}
	}

	#pause(delayMs: number): Promise<void> {
		if (delayMs <= 0) {
			return Promise.resolve();
		}
		return new Promise((resolve) => {
			const resume = (): void => {
				cancel();
				this.#pauses.delete(resume);
				resolve();
			};
			const cancel = this.#options.after(delayMs, resume);
			this.#pauses.add(resume);
		});
	}

	async #tell(room: Room, stored: readonly Stored[]): Promise<void> {
		const changes = stored.flatMap(({ change }) => change ?? []);
		if (changes.length > 0) {
			const data = encodeChanges(changes);
			await this.#options.broker.publish(room.feed, { data, encoding: "json" }, { retention: KEEP_NOTHING });
		}
		for (const { claim, marks, change, leaving } of stored) {
			if (change?.kind === "here") {
				claim.told = change.row;
			}
			// What was marked again meanwhile is written again.
			if (claim.marks === marks) {
				room.dirty.delete(claim);
				if (leaving) {
					this.#options.ended(claim);
				}
			}
		}
	}

	/** Makes the record what the claim is, and says what there is to be told of that. */
	async #store(claim: Claim): Promise<Stored> {
		const { records } = this.#options.broker;
		const { owner } = this.#options.lease;
		const { room, leaving, marks } = claim;
		const key = room.keyOf(claim.row.id);
		let expected = claim.stored === undefined ? undefined : encodeRow(claim.stored);
		for (let tried = 0; tried < TRIES; tried++) {
			const { row } = claim;
			if (await records.replace(key, expected, leaving ? undefined : encodeRow(row), RECORD_TTL_MS)) {
				claim.stored = leaving ? undefined : row;
				return { claim, marks, leaving, change: changeOf(claim, row, leaving) };
			}
			expected = await records.get(key);
			const found = expected === undefined ? undefined : decodeRow(expected);
			if (found === undefined) {
				continue;
			}
			if (found.owner !== owner) {
				claim.heardOf = true;
				if (leaving) {
					// Another node has the session: nobody leaves.
					return { claim, marks, leaving, change: undefined };
				}
				if (claim.seat === undefined && !claim.leaving) {
					// Written too late: the session has come back, there, before it was known here that it had gone.
					this.#options.overtaken(claim, found);
					return { claim, marks: claim.marks, leaving, change: undefined };
				}
			}
			if (claim.row.stamp <= found.stamp) {
				// It is the same session, so it is here since then.
				const sinceMs = Math.min(claim.row.sinceMs, found.sinceMs);
				claim.row = { ...claim.row, stamp: found.stamp + 1, sinceMs };
				this.#options.corrected(claim);
			}
		}
		throw new Error("a presence record changes faster than it can be written");
	}
}

interface Stored {
	readonly claim: Claim;
	/** Of the claim, when it was stored. */
	readonly marks: number;
	readonly leaving: boolean;
	readonly change: Change | undefined;
}

function firstOf<T>(items: Iterable<T>, count: number): readonly T[] {
	const first: T[] = [];
	for (const item of items) {
		if (first.push(item) === count) {
			break;
		}
	}
	return first;
}

function changeOf(claim: Claim, row: Row, leaving: boolean): Change | undefined {
	if (!leaving) {
		if (claim.told === row) {
			return undefined;
		}
		claim.heardOf = true;
		return { kind: "here", row };
	}
	// Who came and left within a batch was never heard of.
	const { id, owner, stamp } = row;
	return claim.heardOf ? { kind: "gone", id, owner, stamp, said: claim.said } : undefined;
}
