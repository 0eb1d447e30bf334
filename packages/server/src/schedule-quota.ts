/**
 * How far ahead a publish may be scheduled, and how many one client may have waiting. What waits is the broker's to
 * keep, and it has a bound for all; this is what keeps one client from taking all of it. Counted on this node only.
 */

/** A leap year: what nobody remembers having scheduled serves nobody. */
const MAX_AHEAD_MS = 366 * 86_400_000;

/** Why a time cannot be published at, as the end of a sentence that begins with it; undefined where it can. */
export function timeProblem(atMs: number, nowMs: number): string | undefined {
	if (!Number.isFinite(atMs) || atMs < 0) {
		return "is no time";
	}
	return atMs > nowMs + MAX_AHEAD_MS ? "is more than 366 days ahead" : undefined;
}

export class ScheduleQuota {
	readonly #nowMs: () => number;
	readonly #maxOfOne: number;
	/** When what each client has waiting is due. */
	readonly #due = new Map<string, number[]>();

	constructor(nowMs: () => number, maxOfOne: number) {
		this.#nowMs = nowMs;
		this.#maxOfOne = maxOfOne;
	}

	get maxOfOne(): number {
		return this.#maxOfOne;
	}

	/** How many clients something is remembered of. */
	get clients(): number {
		return this.#due.size;
	}

	/** Counts one more for a client, unless it has as many as it may. Whether it did. */
	take(client: string, atMs: number): boolean {
		const nowMs = this.#nowMs();
		if (atMs <= nowMs) {
			return true;
		}
		let due = this.#due.get(client) ?? [];
		if (due.length >= this.#maxOfOne) {
			due = due.filter((each) => each > nowMs);
			if (due.length >= this.#maxOfOne) {
				return false;
			}
		}
		due.push(atMs);
		this.#due.set(client, due);
		return true;
	}

	/** The broker did not take it. */
	giveBack(client: string, atMs: number): void {
		const due = this.#due.get(client);
		const at = due?.indexOf(atMs) ?? -1;
		if (due !== undefined && at >= 0) {
			due.splice(at, 1);
		}
	}

	/** Forgets what is due. */
	sweep(): void {
		const nowMs = this.#nowMs();
		for (const [client, due] of this.#due) {
			const left = due.filter((each) => each > nowMs);
			if (left.length === 0) {
				this.#due.delete(client);
			} else {
				this.#due.set(client, left);
			}
		}
	}
}
