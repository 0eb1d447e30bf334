/** A clock that stands until told, timers that follow it, and the absence of a timer. */
export class FakeClock {
	#nowMs = 1_800_000_000_000;

	readonly now = (): number => this.#nowMs;

	/** For `every`: the test sweeps by hand. */
	readonly never = (): (() => void) => () => {};

	/** For `after`: the task runs when `advance` reaches its time. */
	readonly after = (delayMs: number, task: () => void): (() => void) => {
		const timer = { atMs: this.#nowMs + delayMs, task };
		this.timers.push(timer);
		return () => {
			this.timers = this.timers.filter((other) => other !== timer);
		};
	};

	/** What waits for its time, in the order in which it was asked for. */
	timers: { readonly atMs: number; readonly task: () => void }[] = [];

	/** Lets time pass, from one timer to the next. */
	advance(ms: number): void {
		const endMs = this.#nowMs + ms;
		for (;;) {
			const atMs = Math.min(...this.timers.map((timer) => timer.atMs));
			const next = this.timers.find((timer) => timer.atMs === atMs);
			if (next === undefined || atMs > endMs) {
				break;
			}
			this.timers = this.timers.filter((other) => other !== next);
			this.#nowMs = Math.max(this.#nowMs, atMs);
			next.task();
		}
		this.#nowMs = endMs;
	}
}
