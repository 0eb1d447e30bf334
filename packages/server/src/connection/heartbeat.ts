/**
 * Finds peers that are gone. A peer that has been silent for `intervalMs` is pinged; one that stays silent for
 * `timeoutMs` after it, plus the time that the bytes written before the ping take on a slow link, is dead. Anything
 * heard counts as life, but for a peer that talks and never confirms what is written to it: it has one interval more.
 * One timer serves all connections.
 */
import { Wheel, type WheelItem } from "./wheel.ts";

/** The slowest link that is still taken for alive. */
const SLOWEST_BYTES_PER_SECOND = 8_000;

/** What is watched: a transport. The fields belong to the heartbeat, but for `heardMs`, which the transport sets. */
export interface Beating extends WheelItem {
	/** When anything was last received, by `Heartbeat.nowMs`. */
	heardMs: number;
	/** When the ping was sent that nothing has been heard since; 0 for none. */
	pingedMs: number;
	/** When it was asked to confirm what was written, if it still owes the answer; else 0. The transport sets it. */
	askedMs: number;
	/** When a closing connection is given up; 0 while it is not closing. */
	closeByMs: number;
	/** Bytes written that no answer has confirmed yet. */
	readonly unconfirmedBytes: number;
	ping(): void;
	/** The peer is gone: whatever is left of the connection goes too. */
	dead(): void;
}

export interface HeartbeatOptions {
	readonly intervalMs: number;
	readonly timeoutMs: number;
}

/** How often the wheel turns on, at most and at least. */
const MAX_TICK_MS = 1_000;
const MIN_TICK_MS = 10;
const TICKS_PER_INTERVAL = 30;
const MIN_SLOTS = 64;
const MAX_SLOTS = 8_192;
/**
 * How many are judged in one turn of the event loop. A ping is a system call: when 100,000 clients that came together
 * fall due together, others must be read and written to in between.
 */
const JUDGED_PER_TURN = 256;

export class Heartbeat {
	/** Whole milliseconds (connections keep small integers), coarse: the time of the last tick, on a clock that never jumps. */
	nowMs: number;
	readonly #options: HeartbeatOptions;
	readonly #clock: () => number;
	readonly #later: (task: () => void) => void;
	/** Whether the next turn goes on with what this one left. */
	#goesOn = false;
	readonly #wheel: Wheel<Beating>;
	#timer: NodeJS.Timeout | undefined;
	#watched = 0;
	/** Resolvers of `idle()`. */
	#waiting: (() => void)[] = [];

	/** `later`: runs a task in the next turn of the event loop, after its reads. */
	constructor(
		options: HeartbeatOptions,
		clock: () => number = () => performance.now(),
		later: (task: () => void) => void = setImmediate,
	) {
		this.#options = options;
		this.#clock = clock;
		this.#later = later;
		this.nowMs = Math.round(clock());
		const tickMs = Math.min(MAX_TICK_MS, Math.max(MIN_TICK_MS, options.intervalMs / TICKS_PER_INTERVAL));
		// So many that a turn of the wheel is longer than the interval: then nobody is looked at before it is due.
		const slots = Math.min(MAX_SLOTS, Math.max(MIN_SLOTS, Math.ceil((2 * options.intervalMs) / tickMs)));
		this.#wheel = new Wheel(tickMs, slots, this.nowMs);
	}

	/** Begins to turn by itself. The timer does not keep the process alive: sockets do. */
	start(): void {
		this.#timer = setInterval(() => {
			// After a stall, what peers sent meanwhile waits to be read: judge after the turn's reads, not before.
			setImmediate(() => this.tick());
		}, this.#wheel.tickMs).unref();
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	watch(item: Beating): void {
		this.#watched++;
		item.heardMs = this.nowMs;
		this.#wheel.set(item, this.nowMs + this.#options.intervalMs);
	}

	/** To be called once for each `watch`. */
	unwatch(item: Beating): void {
		this.#wheel.remove(item);
		this.#watched--;
		if (this.#watched === 0) {
			for (const resolve of this.#waiting.splice(0)) {
				resolve();
			}
		}
	}

	/** Resolves when nothing is watched. */
	idle(): Promise<void> {
		return this.#watched === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
	}

	/** The connection is closing: it is given up after this time, whatever happens. */
	closing(item: Beating, withinMs: number): void {
		item.closeByMs = this.nowMs + withinMs;
		this.#wheel.set(item, item.closeByMs);
	}

	/** Judges those that are due, or a turn's worth of them, and then the rest in later turns. */
	tick(): void {
		this.nowMs = Math.round(this.#clock());
		const due = this.#wheel.advance(this.nowMs, JUDGED_PER_TURN);
		for (const item of due) {
			this.#judge(item);
		}
		if (due.length === JUDGED_PER_TURN && !this.#goesOn) {
			this.#goesOn = true;
			this.#later(this.#goOn);
		}
	}

	readonly #goOn = (): void => {
		this.#goesOn = false;
		this.tick();
	};

	#judge(item: Beating): void {
		const { intervalMs, timeoutMs } = this.#options;
		if (item.closeByMs > 0) {
			item.dead();
			return;
		}
		const graceMs = timeoutMs + Math.ceil((item.unconfirmedBytes / SLOWEST_BYTES_PER_SECOND) * 1_000);
		if (item.askedMs > 0 && this.nowMs >= item.askedMs + intervalMs + graceMs) {
			item.dead();
			return;
		}
		if (item.pingedMs > 0 && item.heardMs < item.pingedMs) {
			if (this.nowMs >= item.pingedMs + graceMs) {
				item.dead();
			} else {
				this.#wheel.set(item, item.pingedMs + graceMs);
			}
			return;
		}
		item.pingedMs = 0;
		if (this.nowMs >= item.heardMs + intervalMs) {
			item.pingedMs = this.nowMs;
			item.ping();
			this.#wheel.set(item, this.nowMs + timeoutMs);
		} else {
			this.#wheel.set(item, item.heardMs + intervalMs);
		}
	}
}
