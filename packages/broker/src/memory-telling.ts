/**
 * Tells nodes of entries and resets, one thing after another: what is told from inside a listener waits until the
 * telling under way is done, so that all nodes hear one order. It is the one place where the memory broker calls code
 * that is not its own.
 */
import type { BrokerListener, Entry, Position } from "./broker.ts";
import type { Subscription } from "./memory-node.ts";

export type Telling =
	| { readonly channel: string; readonly to: readonly Subscription[]; readonly epoch: string; readonly entry: Entry }
	| { readonly channel: string; readonly to: readonly Subscription[]; readonly reset: Position };

export class MemoryTelling {
	readonly #waiting: Telling[] = [];
	#underWay = false;

	/** To be told with the next call of `tell`, in this order. */
	add(telling: Telling): void {
		this.#waiting.push(telling);
	}

	/** Tells what waits: now, or where this is called from inside a listener, before the call around it returns. */
	tell(): void {
		if (this.#underWay || this.#waiting.length === 0) {
			return;
		}
		this.#underWay = true;
		// The list may grow while it is walked.
		for (const next of this.#waiting) {
			for (const subscription of next.to) {
				if (subscription.active) {
					tellOne(subscription.listener, next);
				}
			}
		}
		this.#waiting.length = 0;
		this.#underWay = false;
	}
}

function tellOne(listener: BrokerListener, telling: Telling): void {
	try {
		if ("reset" in telling) {
			listener.reset(telling.channel, telling.reset);
		} else {
			listener.entries(telling.channel, telling.epoch, [telling.entry]);
		}
	} catch (error) {
		// A bug in one node's code: neither the publisher nor another node may suffer, and it must not go unseen.
		queueMicrotask(() => {
			throw error;
		});
	}
}
