/** A clock that stands until told, and the absence of a timer. */
export class FakeClock {
	#nowMs = 1_800_000_000_000;

	readonly now = (): number => this.#nowMs;

	/** For `every`: the test sweeps by hand. */
	readonly never = (): (() => void) => () => {};

	advance(ms: number): void {
		this.#nowMs += ms;
	}
}
