/**
 * What verify's publishers and subscribers have in common: they stay connected. One wire at a time; when it is lost, the
 * next try follows after a random, growing wait, maybe at another node. What a connection is used for is its owner's.
 */
import type { ServerMessage } from "@tidewire/protocol";
import { wordsOf } from "../../error.ts";
import type { Random } from "../fault/random.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** Opens a wire to whichever node it likes. */
export type Dial = (events: WireEvents, signal: AbortSignal) => Promise<Wire>;

export interface StayingOptions {
	readonly dial: Dial;
	readonly random: Random;
}

export interface StayingEvents {
	/** A new wire, greeted. */
	opened(wire: Wire): void;
	message(message: ServerMessage): void;
	lost(code: number, reason: string): void;
}

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;
/** A wire on which nothing was heard for so long is asked, and then given up. */
const QUIET_MS = 10_000;
const DEAD_MS = 15_000;

export class Staying {
	readonly #options: StayingOptions;
	readonly #events: StayingEvents;
	readonly #stopped = new AbortController();
	#wire: Wire | undefined;
	#timer: NodeJS.Timeout | undefined;
	#tries = 0;
	#asked = false;
	/** Why the last try failed. */
	trouble = "";

	constructor(options: StayingOptions, events: StayingEvents) {
		this.#options = options;
		this.#events = events;
	}

	get wire(): Wire | undefined {
		return this.#wire;
	}

	start(): void {
		void this.#try();
	}

	/** Looks after a wire on which nothing happens. */
	tick(nowMs: number): void {
		const wire = this.#wire;
		if (wire === undefined || nowMs - wire.heardMs < QUIET_MS) {
			this.#asked = false;
		} else if (nowMs - wire.heardMs > DEAD_MS) {
			wire.drop();
		} else if (!this.#asked) {
			this.#asked = true;
			wire.send({ id: "alive", action: "ping" });
		}
	}

	/** No more of it; nothing is told from here on. */
	stop(): void {
		this.#stopped.abort();
		clearTimeout(this.#timer);
		this.#wire?.close();
	}

	/** Never rejects. */
	async #try(): Promise<void> {
		const { signal } = this.#stopped;
		try {
			const wire = await this.#options.dial(
				{
					message: (message) => signal.aborted || this.#events.message(message),
					lost: (code, reason) => this.#lost(code, reason),
				},
				signal,
			);
			if (signal.aborted) {
				wire.close();
				return;
			}
			this.#wire = wire;
			this.#tries = 0;
			this.#events.opened(wire);
		} catch (error) {
			this.trouble = wordsOf(error);
			this.#again();
		}
	}

	#lost(code: number, reason: string): void {
		this.#wire = undefined;
		if (!this.#stopped.signal.aborted) {
			this.#events.lost(code, reason);
			this.#again();
		}
	}

	#again(): void {
		if (!this.#stopped.signal.aborted) {
			const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#tries++);
			this.#timer = setTimeout(() => void this.#try(), longest * (0.5 + this.#options.random() / 2));
		}
	}
}
