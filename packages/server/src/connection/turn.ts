/**
 * The turns of the event loop, counted, so that what a connection may cost in one can be bounded; and who goes on in
 * the next. One immediate a turn for all connections, and none in a turn in which nothing is received.
 */
export class Turn {
	#number = 0;
	#scheduled = false;
	#later: (() => void)[] = [];

	/** The number of the present turn. */
	now(): number {
		if (!this.#scheduled) {
			this.#scheduled = true;
			setImmediate(this.#end);
		}
		return this.#number;
	}

	/** Runs a task in the next turn, when what has arrived meanwhile for others has been read. */
	next(task: () => void): void {
		this.now();
		this.#later.push(task);
	}

	readonly #end = (): void => {
		this.#scheduled = false;
		this.#number++;
		const tasks = this.#later;
		this.#later = [];
		for (const task of tasks) {
			task();
		}
	};
}
