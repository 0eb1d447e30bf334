/**
 * The quiet phase: the faults are over, everybody comes back, one new message goes to each channel, and everything has to
 * arrive. It ends as soon as it has; while things still arrive it is given more time, up to a bound.
 */
import type { Publisher } from "./load/publisher.ts";
import type { Subscriber } from "./load/subscriber.ts";
import type { Position } from "./record/event.ts";

export interface QuietOptions {
	readonly publishers: readonly Publisher[];
	readonly subscribers: readonly Subscriber[];
	readonly channels: readonly string[];
	/** How long it may take without anything arriving. */
	readonly forMs: number;
	/** How much has arrived so far. */
	readonly received: () => number;
	/** Each channel's newest acknowledged place. */
	readonly acked: ReadonlyMap<string, Position>;
}

const POLL_MS = 20;
/** How many times as long it may take while something arrives. */
const PATIENCE = 4;

/** Never rejects: whether it went well is the judge's to say. */
export async function settle(options: QuietOptions): Promise<void> {
	const { publishers, subscribers, channels, acked } = options;
	const patience = new Patience(options);
	const calm = (): boolean =>
		publishers.every(({ ready, waiting }) => ready && waiting === 0) && subscribers.every(({ ready }) => ready);
	await patience.until(calm);

	const before = new Map(acked);
	for (const channel of channels) {
		publishers.find(({ ready }) => ready)?.publish(channel);
	}
	await patience.until(() =>
		channels.every((channel) => {
			const position = acked.get(channel);
			return (
				position !== undefined &&
				position !== before.get(channel) &&
				subscribers.every((subscriber) => subscriber.reached(channel, position))
			);
		}),
	);
}

class Patience {
	readonly #options: QuietOptions;
	readonly #latestMs: number;

	constructor(options: QuietOptions) {
		this.#options = options;
		this.#latestMs = performance.now() + options.forMs * PATIENCE;
	}

	/** Until it is so, or nothing has arrived for too long. */
	async until(met: () => boolean): Promise<void> {
		let received = this.#options.received();
		let untilMs = performance.now() + this.#options.forMs;
		while (!met() && performance.now() < Math.min(untilMs, this.#latestMs)) {
			await new Promise((resolve) => setTimeout(resolve, POLL_MS));
			if (this.#options.received() !== received) {
				received = this.#options.received();
				untilMs = performance.now() + this.#options.forMs;
			}
		}
	}
}
