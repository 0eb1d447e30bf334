/**
 * When which channel has a member that expires: one timer for all channels of a node. Expiry is seen by readers at once
 * and only published from here, so that it may come late: no oftener than every 100 ms all that is due is told at once.
 */

import type { Retention } from "@tidewire/broker";

/** Calls back once after so many milliseconds; returns how to prevent that. */
export type SetTimer = (task: () => void, delayMs: number) => () => void;

export interface DueOptions {
	readonly nowMs: () => number;
	readonly setTimer: SetTimer;
	/** Told of a channel whose time has come, and which is forgotten with that. */
	readonly due: (channel: string, retention: Retention) => void;
	/** How many channels are kept in mind. */
	readonly maxChannels: number;
}

const STEP_MS = 100;
/** Node's timers hold no more. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export class Due {
	readonly #options: DueOptions;
	readonly #times = new Map<string, { readonly atMs: number; readonly retention: Retention }>();
	#armedMs = Number.POSITIVE_INFINITY;
	#lastMs = Number.NEGATIVE_INFINITY;
	#disarm: (() => void) | undefined;
	#stopped = false;

	constructor(options: DueOptions) {
		this.#options = options;
	}

	get size(): number {
		return this.#times.size;
	}

	/**
	 * From now on this is the channel's time, and its log's retention; `Infinity` is none. Where there is no room, a new
	 * channel is left out.
	 */
	set(channel: string, atMs: number, retention: Retention): void {
		if (atMs === Number.POSITIVE_INFINITY) {
			this.#times.delete(channel);
		} else if (this.#stopped) {
			return;
		} else if (this.#times.has(channel) || this.#times.size < this.#options.maxChannels) {
			this.#times.set(channel, { atMs, retention });
			this.#arm(atMs);
		}
	}

	/** The same, where it has no earlier time. */
	hasten(channel: string, atMs: number, retention: Retention): void {
		if (atMs < (this.#times.get(channel)?.atMs ?? Number.POSITIVE_INFINITY)) {
			this.set(channel, atMs, retention);
		}
	}

	/** For good. */
	stop(): void {
		this.#stopped = true;
		this.#times.clear();
		this.#disarm?.();
	}

	#arm(atMs: number): void {
		const at = Math.max(atMs, this.#lastMs + STEP_MS);
		if (at >= this.#armedMs) {
			return;
		}
		this.#disarm?.();
		this.#armedMs = at;
		const delayMs = Math.min(Math.max(0, Math.ceil(at - this.#options.nowMs())), MAX_DELAY_MS);
		this.#disarm = this.#options.setTimer(() => this.#fire(), delayMs);
	}

	#fire(): void {
		const now = this.#options.nowMs();
		this.#lastMs = now;
		this.#armedMs = Number.POSITIVE_INFINITY;
		this.#disarm = undefined;
		let next = Number.POSITIVE_INFINITY;
		const due: (readonly [channel: string, retention: Retention])[] = [];
		for (const [channel, { atMs, retention }] of this.#times) {
			if (atMs <= now) {
				due.push([channel, retention]);
				this.#times.delete(channel);
			} else {
				next = Math.min(next, atMs);
			}
		}
		if (next !== Number.POSITIVE_INFINITY) {
			this.#arm(next);
		}
		for (const [channel, retention] of due) {
			this.#options.due(channel, retention);
		}
	}
}
