/**
 * The node's one listener at the broker. Channels that begin with `$` are the nodes' own, which no client can name: each
 * kind (`$report:…`) goes to its receiver. All others are the hub's.
 */
import type { Broker, BrokerListener, Entry, Position } from "@tidewire/broker";

/** A kind of internal channel: what stands before the first colon, with it. */
export type InternalPrefix = `$${string}:`;

export class BrokerEar implements BrokerListener {
	readonly #receivers = new Map<string, BrokerListener>();
	#hub: BrokerListener | undefined;

	constructor(broker: Pick<Broker, "listen">) {
		broker.listen(this);
	}

	/** Who is told of clients' channels. To be called before the first of them is subscribed to. */
	hub(listener: BrokerListener): void {
		this.#hub = listener;
	}

	/** Who is told of the internal channels of a kind. Their names go on as they please after the prefix. */
	on(prefix: InternalPrefix, receiver: BrokerListener): void {
		if (prefix.indexOf(":") !== prefix.length - 1 || this.#receivers.has(prefix)) {
			throw new Error(`"${prefix}" is taken, or has more than the one colon at its end`);
		}
		this.#receivers.set(prefix, receiver);
	}

	entries(channel: string, epoch: string, entries: readonly Entry[]): void {
		this.#receiverOf(channel)?.entries(channel, epoch, entries);
	}

	reset(channel: string, position: Position): void {
		this.#receiverOf(channel)?.reset(channel, position);
	}

	#receiverOf(channel: string): BrokerListener | undefined {
		if (channel.charCodeAt(0) !== 0x24) {
			return this.#hub;
		}
		return this.#receivers.get(channel.slice(0, channel.indexOf(":") + 1));
	}
}
