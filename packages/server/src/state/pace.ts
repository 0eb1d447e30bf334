/**
 * How much of a turn of the event loop the changes of values take, all channels together: a large value takes milliseconds
 * to patch, and a client asks for hundreds of changes at once. What is more waits for the next turn, in the order in
 * which it came.
 */

const MOST_MS = 5;

export class Pace {
	#spentMs = 0;
	#endsTurn = false;
	readonly #waiting: (() => void)[] = [];

	/** Resolves when there is time; undefined where there is now. */
	time(): Promise<void> | undefined {
		if (this.#spentMs < MOST_MS && this.#waiting.length === 0) {
			return undefined;
		}
		this.#untilNextTurn();
		return new Promise((resolve) => this.#waiting.push(resolve));
	}

	/** Does what takes its time, at once. */
	spend<T>(work: () => T): T {
		const beganMs = performance.now();
		try {
			return work();
		} finally {
			this.#spentMs += performance.now() - beganMs;
			this.#untilNextTurn();
		}
	}

	#untilNextTurn(): void {
		if (!this.#endsTurn) {
			this.#endsTurn = true;
			setImmediate(() => this.#goOn());
		}
	}

	/** One of those who wait begins behind this, and nobody knows yet how long it takes. */
	#goOn(): void {
		this.#endsTurn = false;
		this.#spentMs = 0;
		this.#waiting.shift()?.();
		if (this.#waiting.length > 0) {
			this.#untilNextTurn();
		}
	}
}
