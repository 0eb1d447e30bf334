/**
 * What nodes are to be told, once it is kept: gathered while a transaction is made, told in order when it is settled,
 * thrown away when it fails. It is the one place where the broker calls code that is not its own.
 */
import type { BrokerListener, Entry, Position } from "@tidewire/broker";
import type { Log, Subscription } from "./log.ts";

interface NewEntries {
	readonly channel: string;
	readonly to: readonly Subscription[];
	readonly epoch: string;
	readonly entries: Entry[];
}

interface Reset {
	readonly channel: string;
	readonly to: readonly Subscription[];
	readonly reset: Position;
}

export class Telling {
	#waiting: (NewEntries | Reset)[] = [];
	/** The last telling of each log, so that the entries of one transaction make one call. */
	readonly #open = new Map<Log, NewEntries>();

	/** How many nodes will be told. */
	add(log: Log, entry: Entry): number {
		const { channel, epoch, subscriptions: to } = log;
		if (to.length > 0) {
			const last = this.#open.get(log);
			if (last === undefined) {
				const telling = { channel, to, epoch, entries: [entry] };
				this.#open.set(log, telling);
				this.#waiting.push(telling);
			} else {
				last.entries.push(entry);
			}
		}
		return to.length;
	}

	addReset(channel: string, to: readonly Subscription[], reset: Position): void {
		this.#waiting.push({ channel, to, reset });
	}

	/** Forgets what waits: the transaction failed. */
	clear(): void {
		this.#waiting = [];
		this.#open.clear();
	}

	/** Tells what waits. What comes of it (a publish by a listener) belongs to the next transaction. */
	tell(): void {
		const waiting = this.#waiting;
		this.clear();
		for (const telling of waiting) {
			for (const subscription of telling.to) {
				if (subscription.active) {
					tellOne(subscription.listener, telling);
				}
			}
		}
	}
}

function tellOne(listener: BrokerListener, telling: NewEntries | Reset): void {
	try {
		if ("reset" in telling) {
			listener.reset(telling.channel, telling.reset);
		} else {
			listener.entries(telling.channel, telling.epoch, telling.entries);
		}
	} catch (error) {
		// A bug in one node's code: neither the publisher nor another node may suffer, and it must not go unseen.
		queueMicrotask(() => {
			throw error;
		});
	}
}
