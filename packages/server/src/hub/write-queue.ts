/** Connections that wait to be written to, in the order in which they came. It is never empty while a node is saturated. */
import type { Subscriber } from "./subscription.ts";

/** What has been taken is let go of when it is so many, and half of all. */
const CUT_FROM = 1_024;

export class WriteQueue {
	#waiting: Subscriber[] = [];
	#taken = 0;
	#cut = 0;

	get empty(): boolean {
		return this.#taken === this.#waiting.length;
	}

	/** How many have ever come. */
	get come(): number {
		return this.#cut + this.#waiting.length;
	}

	/** How many have ever been taken: all who had come when `come` was that have been, too. */
	get gone(): number {
		return this.#cut + this.#taken;
	}

	/** How many it holds, with those that have been taken. */
	get held(): number {
		return this.#waiting.length;
	}

	push(subscriber: Subscriber): void {
		this.#waiting.push(subscriber);
	}

	/** The next. Not to be called when it is empty. */
	take(): Subscriber {
		const subscriber = this.#waiting[this.#taken++]!;
		if (this.empty || (this.#taken > CUT_FROM && this.#taken * 2 > this.#waiting.length)) {
			this.#waiting = this.#waiting.slice(this.#taken);
			this.#cut += this.#taken;
			this.#taken = 0;
		}
		return subscriber;
	}
}
