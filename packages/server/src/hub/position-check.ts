/**
 * Finds what was lost between the broker and this node: asks the broker where each channel stands, a few at a time, and
 * where it is ahead twice in a row of what this node was told, or in another epoch, the channel goes on there, and its
 * subscribers get from the history what they were not told of, or are told of the reset.
 */
import type { Broker, Position } from "@tidewire/broker";
import type { Channel } from "./channel.ts";

/** Each channel's turn comes about once in so many rounds. */
const ROUNDS = 60;
/** At least so many a round, so that a node with few channels finds a loss within seconds. */
const LEAST = 20;

export class PositionCheck {
	readonly #broker: Broker;
	readonly #channels: ReadonlyMap<string, Channel>;
	readonly #missed: (channel: Channel, position: Position) => void;
	/** Where the broker was ahead at the last round: it may be telling us at this moment. */
	#suspected = new Map<Channel, Position>();
	#left: Iterator<Channel> | undefined;
	#running = false;

	/** `missed`: the broker's log reaches to a position that this node has not been told of. */
	constructor(
		broker: Broker,
		channels: ReadonlyMap<string, Channel>,
		missed: (channel: Channel, position: Position) => void,
	) {
		this.#broker = broker;
		this.#channels = channels;
		this.#missed = missed;
	}

	/** One round. Rounds do not overlap; a broker that does not answer is asked again next time. Never rejects. */
	async round(): Promise<void> {
		if (this.#running) {
			return;
		}
		this.#running = true;
		try {
			const suspected = this.#suspected;
			this.#suspected = new Map();
			for (const [channel, { epoch, offset }] of suspected) {
				if (this.#isOpen(channel) && (channel.epoch !== epoch || channel.head < offset)) {
					await this.#ask(channel, true);
				}
			}
			for (let count = Math.max(LEAST, this.#channels.size / ROUNDS); count > 0; count--) {
				const channel = this.#next();
				if (channel === undefined) {
					break;
				}
				if (channel.opening === undefined && !suspected.has(channel)) {
					await this.#ask(channel, false);
				}
			}
		} catch {
			// The broker says nothing at present: so it does to everybody else who asks.
		} finally {
			this.#running = false;
		}
	}

	async #ask(channel: Channel, again: boolean): Promise<void> {
		const { epoch, head: told } = channel;
		const page = await this.#broker.read(channel.name, { after: told, limit: 0 });
		if (!this.#isOpen(channel) || channel.epoch !== epoch || (page.epoch === epoch && page.head <= channel.head)) {
			return;
		}
		const position = { epoch: page.epoch, offset: page.head };
		if (again) {
			this.#missed(channel, position);
		} else {
			this.#suspected.set(channel, position);
		}
	}

	#isOpen(channel: Channel): boolean {
		return this.#channels.get(channel.name) === channel;
	}

	#next(): Channel | undefined {
		const next = this.#left?.next();
		if (next !== undefined && next.done !== true) {
			return next.value;
		}
		this.#left = this.#channels.values();
		const first = this.#left.next();
		return first.done === true ? undefined : first.value;
	}
}
