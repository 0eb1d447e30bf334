/**
 * What consumers have received, on its way to the broker's records: at once where nothing was lately written for a
 * consumer, else the newest of an interval. By compare-and-set, so that no node and no connection moves a cursor back.
 * What has not been written when the process dies is delivered again; nothing is lost by it.
 */
import type { Broker, Position } from "@tidewire/broker";
import type { SetTimer } from "../state/due.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";

/** A durable consumer, as one subscription knows it. */
export interface Consumer {
	readonly key: string;
	/** The broker's name of its channel. */
	readonly channel: string;
	/** The record as last seen; undefined for none. */
	record: Uint8Array | undefined;
}

export interface ReceivedOptions {
	readonly broker: Pick<Broker, "records" | "read">;
	readonly nowMs: () => number;
	readonly setTimer: SetTimer;
	/** How long a cursor is kept that nothing is written to. */
	readonly expiryMs: number;
	/** A consumer's cursor is written no oftener. */
	readonly intervalMs: number;
	/** Consumers that something is waiting to be written of; of more it is not remembered, and they get it again. */
	readonly maxConsumers: number;
	/** Told of a write that failed; it is tried again. */
	readonly failed: (cause: unknown) => void;
}

interface Pending {
	readonly consumer: Consumer;
	position: Position;
	state: "dirty" | "queued" | "writing" | "written";
	/** A write is under way, of which `state` may not know any more: one at a time for each consumer. */
	busy: boolean;
}

/** Writes that are under way at once. */
const MAX_WRITES = 64;
/** How often a write is made anew because another node was quicker. */
const MAX_TRIES = 8;

export class Received {
	readonly #options: ReceivedOptions;
	/** By key: what is to be written, or has been within the interval. */
	readonly #pending = new Map<string, Pending>();
	readonly #queue = new Set<Pending>();
	#writes = 0;
	#disarm: (() => void) | undefined;
	#idle: PromiseWithResolvers<void> | undefined;
	#closed = false;

	constructor(options: ReceivedOptions) {
		this.#options = options;
	}

	/** Of how many consumers something is remembered. */
	get size(): number {
		return this.#pending.size;
	}

	/** Up to where this node knows that the consumer has received, if it lately heard of it. */
	find(key: string): Position | undefined {
		return this.#pending.get(key)?.position;
	}

	/** The consumer has everything up to here. The position is of the epoch that the channel is in on this node. */
	note(consumer: Consumer, position: Position): void {
		const pending = this.#pending.get(consumer.key);
		if (pending !== undefined) {
			if (isAhead(position, pending.position)) {
				pending.position = position;
				pending.state = pending.state === "written" || pending.state === "writing" ? "dirty" : pending.state;
			}
			return;
		}
		const known = decodeCursor(consumer.record)?.position;
		if (this.#closed || this.#pending.size >= this.#options.maxConsumers || !isAhead(position, known)) {
			return;
		}
		const first: Pending = { consumer, position, state: "dirty", busy: false };
		this.#pending.set(consumer.key, first);
		this.#enqueue(first);
		this.#arm();
	}

	/** Writes what is left. Nothing is remembered afterwards. */
	async close(): Promise<void> {
		this.#closed = true;
		this.#disarm?.();
		for (const pending of this.#pending.values()) {
			this.#enqueue(pending);
		}
		if (this.#writes > 0) {
			this.#idle ??= Promise.withResolvers();
			await this.#idle.promise;
		}
		// What was noted while its write was under way, once more.
		const late = [...this.#pending.values()].filter(({ state }) => state === "dirty");
		await Promise.allSettled(late.map((pending) => this.#store(pending)));
		this.#pending.clear();
	}

	#arm(): void {
		this.#disarm ??= this.#options.setTimer(() => {
			this.#disarm = undefined;
			this.#turn();
		}, this.#options.intervalMs);
	}

	/** Once an interval: writes what has come since, and forgets who has been silent. */
	#turn(): void {
		for (const [key, pending] of this.#pending) {
			if (pending.state === "written") {
				this.#pending.delete(key);
			} else {
				this.#enqueue(pending);
			}
		}
		if (this.#pending.size > 0) {
			this.#arm();
		}
	}

	#enqueue(pending: Pending): void {
		if (pending.state === "dirty" && !pending.busy) {
			pending.state = "queued";
			this.#queue.add(pending);
			this.#pump();
		}
	}

	#pump(): void {
		for (const pending of this.#queue) {
			if (this.#writes >= MAX_WRITES) {
				return;
			}
			this.#queue.delete(pending);
			this.#writes++;
			void this.#write(pending);
		}
	}

	/** Never rejects. */
	async #write(pending: Pending): Promise<void> {
		pending.state = "writing";
		pending.busy = true;
		try {
			await this.#store(pending);
			// It may have been noted more meanwhile: that is for the next turn.
			if (pending.state === "writing") {
				pending.state = "written";
			}
		} catch (cause) {
			pending.state = "dirty";
			this.#options.failed(cause);
		}
		pending.busy = false;
		this.#writes--;
		this.#pump();
		if (this.#writes === 0) {
			this.#idle?.resolve();
			this.#idle = undefined;
		}
	}

	/** Moves the record to the position, unless it is there already or further on. */
	async #store(pending: Pending): Promise<void> {
		const { consumer } = pending;
		const { broker, nowMs, expiryMs } = this.#options;
		for (let tries = 0; tries < MAX_TRIES; tries++) {
			const { position } = pending;
			const known = decodeCursor(consumer.record)?.position;
			if (!isAhead(position, known)) {
				return;
			}
			if (known !== undefined && known.epoch !== position.epoch) {
				// Epochs have no order of their own: which of the two is over, the log says.
				const { epoch } = await broker.read(consumer.channel, { after: 0, limit: 0 });
				if (epoch !== position.epoch) {
					return;
				}
			}
			const record = encodeCursor({ position, writtenMs: nowMs() });
			if (await broker.records.replace(consumer.key, consumer.record, record, expiryMs)) {
				consumer.record = record;
				return;
			}
			consumer.record = await broker.records.get(consumer.key);
		}
		throw new Error("a durable consumer's cursor was changed elsewhere, each time it was to be written");
	}
}

/** Of another epoch counts as ahead: the caller knows that its own is the present one. */
function isAhead(position: Position, known: Position | undefined): boolean {
	return known === undefined || known.epoch !== position.epoch || position.offset > known.offset;
}
