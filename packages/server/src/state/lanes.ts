/**
 * Work on channels, for each channel one piece after the other in the order given, so that changes made on this node do
 * not contend with each other. The first piece begins at once, within the call. What waits is bounded.
 */

interface Lane {
	/** How many pieces have not ended. */
	open: number;
	/** When the last of them has. Never rejects. */
	last: Promise<void> | undefined;
}

export class Lanes {
	readonly #maxOpen: number;
	readonly #lanes = new Map<string, Lane>();

	constructor(maxOpen: number) {
		this.#maxOpen = maxOpen;
	}

	/** How many channels have work. */
	get size(): number {
		return this.#lanes.size;
	}

	/** Whether one more piece of work may wait for this channel. */
	hasRoom(channel: string): boolean {
		return (this.#lanes.get(channel)?.open ?? 0) < this.#maxOpen;
	}

	/** Settles as the work does. */
	run<T>(channel: string, work: () => Promise<T>): Promise<T> {
		const lane = this.#lanes.get(channel) ?? { open: 0, last: undefined };
		this.#lanes.set(channel, lane);
		lane.open++;
		const done = lane.last === undefined ? work() : lane.last.then(work);
		const ended = (): void => {
			lane.open--;
			if (lane.open === 0) {
				this.#lanes.delete(channel);
			}
		};
		lane.last = done.then(ended, ended);
		return done;
	}
}
