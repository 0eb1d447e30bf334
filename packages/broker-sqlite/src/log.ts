/**
 * One channel's log as far as memory holds it: where it stands, and who is to be told. Its entries are in the file. It
 * has no rules of its own; `Logs` keeps them.
 */
import type { BrokerListener } from "@tidewire/broker";
import type { Weight } from "./entries.ts";

/** One node's subscription to one channel. A later one to the same channel is another object. */
export interface Subscription {
	readonly listener: BrokerListener;
	/** False from `unsubscribe` on: a telling under way passes it over. */
	active: boolean;
}

/** What the file keeps of a log, beside its entries. */
export interface LogState {
	/** Undefined until something is published: a log that was only read has no row. */
	id: number | undefined;
	/** The newest offset ever given out. */
	head: number;
	/** Entries after this offset are kept. */
	tail: number;
	/** Entries up to this offset are no longer in the file. */
	cut: number;
	/** What the kept entries weigh. */
	bytes: number;
	touchedMs: number;
	ageMs: number;
	/** When it was used last, in minutes since 1970. */
	used: number;
}

const NO_SUBSCRIPTIONS: readonly Subscription[] = [];

/** How long epoch and head outlive the last entry. */
export const HEAD_LIFE_MS = 24 * 60 * 60 * 1000;

export class Log {
	readonly channel: string;
	readonly name: Uint8Array;
	readonly life: number;
	readonly epoch: string;
	state: LogState;
	/** Replaced, never changed: the tellings under way hold the list of their moment. */
	subscriptions = NO_SUBSCRIPTIONS;
	/** The oldest kept entries, read ahead, so that letting go of one costs no query of its own. */
	front: Weight[] = [];
	/** Whether the row is behind `state`; only within a transaction. */
	isDirty = false;

	constructor(channel: string, name: Uint8Array, life: number, epoch: string, state: LogState) {
		this.channel = channel;
		this.name = name;
		this.life = life;
		this.epoch = epoch;
		this.state = state;
	}

	get isSubscribed(): boolean {
		return this.subscriptions.length > 0;
	}

	/** Whether nobody needs the epoch and the head any more. */
	hasEnded(nowMs: number): boolean {
		const { id, touchedMs, ageMs } = this.state;
		return id !== undefined && !this.isSubscribed && nowMs >= touchedMs + ageMs + HEAD_LIFE_MS;
	}
}
