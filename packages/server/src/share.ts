/**
 * Whose share of what a node remembers something counts against, so that nobody takes all of it by coming back under a new
 * session: each user has an eighth; those who are nobody, half of it together.
 */
import type { Caller } from "./auth/caller.ts";

/** Those who are nobody, together. A user's name begins with `u:`. */
const NOBODY = "";

export function shareName({ user }: Caller): string {
	return user === null ? NOBODY : `u:${user.id}`;
}

export function shareOf(name: string, whole: number): number {
	return name === NOBODY ? whole / 2 : whole / 8;
}

/** How many of something there may be within a window of time: in all, and of each share. */
export class WindowQuota {
	readonly #most: number;
	readonly #windowMs: number;
	readonly #nowMs: () => number;
	#endsMs = Number.NEGATIVE_INFINITY;
	#count = 0;
	readonly #counts = new Map<string, number>();

	constructor(most: number, windowMs: number, nowMs: () => number) {
		this.#most = most;
		this.#windowMs = windowMs;
		this.#nowMs = nowMs;
	}

	/** Counts one more. Whether it was within the bounds. */
	take(name: string): boolean {
		const nowMs = this.#nowMs();
		if (nowMs >= this.#endsMs) {
			this.#endsMs = nowMs + this.#windowMs;
			this.#count = 0;
			this.#counts.clear();
		}
		const count = this.#counts.get(name) ?? 0;
		if (this.#count >= this.#most || count >= shareOf(name, this.#most)) {
			return false;
		}
		this.#count++;
		this.#counts.set(name, count + 1);
		return true;
	}
}
