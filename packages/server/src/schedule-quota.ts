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

/** Who schedules: a user, or one of the sessions of nobody. */
export interface Scheduler {
	readonly name: string;
	readonly isNobody: boolean;
}

export interface ScheduleBounds {
	/** Of one user, or one session of nobody. */
	readonly count: number;
	readonly bytes: number;
	/** Who is nobody comes back as another session as often as it likes: all of them together have so many times as much. */
	readonly nobodyTimes: number;
}

/** What one client has waiting. */
interface Share {
	readonly most: number;
	due: { readonly atMs: number; readonly bytes: number }[];
	bytes: number;
}

/** No client's name. */
const NOBODY = "";

export class ScheduleQuota {
	readonly #nowMs: () => number;
	readonly #bounds: ScheduleBounds;
	readonly #shares = new Map<string, Share>();

	constructor(nowMs: () => number, bounds: ScheduleBounds) {
		this.#nowMs = nowMs;
		this.#bounds = bounds;
	}

	/** How many clients something is remembered of; those who are nobody are one more, together. */
	get clients(): number {
		return this.#shares.size;
	}

	/** Counts one more for a client, unless it has as many as it may. Whether it did. */
	take(by: Scheduler, atMs: number, bytes: number): boolean {
		if (atMs <= this.#nowMs()) {
			return true;
		}
		const shares = this.#sharesOf(by);
		if (!shares.every(([, share]) => this.#hasRoom(share, bytes))) {
			return false;
		}
		for (const [name, share] of shares) {
			share.due.push({ atMs, bytes });
			share.bytes += bytes;
			this.#shares.set(name, share);
		}
		return true;
	}

	/** The broker did not take it. */
	giveBack(by: Scheduler, atMs: number, bytes: number): void {
		for (const [, share] of this.#sharesOf(by)) {
			const at = share.due.findLastIndex((each) => each.atMs === atMs && each.bytes === bytes);
			if (at >= 0) {
				share.due.splice(at, 1);
				share.bytes -= bytes;
			}
		}
	}

	/** Forgets what is due. */
	sweep(): void {
		for (const [name, share] of this.#shares) {
			this.#forget(share);
			if (share.due.length === 0) {
				this.#shares.delete(name);
			}
		}
	}

	#sharesOf({ name, isNobody }: Scheduler): readonly (readonly [string, Share])[] {
		const own = [name, this.#shares.get(name) ?? { most: 1, due: [], bytes: 0 }] as const;
		const { nobodyTimes } = this.#bounds;
		return isNobody ? [own, [NOBODY, this.#shares.get(NOBODY) ?? { most: nobodyTimes, due: [], bytes: 0 }]] : [own];
	}

	#hasRoom(share: Share, bytes: number): boolean {
		if (this.#isFull(share, bytes)) {
			this.#forget(share);
		}
		return !this.#isFull(share, bytes);
	}

	#isFull(share: Share, bytes: number): boolean {
		const { count, bytes: mostBytes } = this.#bounds;
		return share.due.length >= count * share.most || share.bytes + bytes > mostBytes * share.most;
	}

	#forget(share: Share): void {
		const nowMs = this.#nowMs();
		share.due = share.due.filter(({ atMs }) => atMs > nowMs);
		share.bytes = share.due.reduce((sum, { bytes }) => sum + bytes, 0);
	}
}
