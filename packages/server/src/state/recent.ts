/** The documents of the channels used last, so that most changes need not read the broker first. Bounded by bytes. */
import type { Position } from "@tidewire/broker";
import type { StateDocument } from "./document.ts";

/** A document, and the head of its channel's log at which it was found. */
export interface Placed {
	readonly position: Position;
	readonly document: StateDocument;
}

/** What is held beside a document's text. */
const COST = 500;

export class Recent {
	readonly #maxBytes: number;
	/** In the order of last use. */
	readonly #placed = new Map<string, Placed>();
	#bytes = 0;

	constructor(maxBytes: number) {
		this.#maxBytes = maxBytes;
	}

	get bytes(): number {
		return this.#bytes;
	}

	get(channel: string): Placed | undefined {
		return this.#placed.get(channel);
	}

	/** Keeps what is newer than what is kept. */
	set(channel: string, placed: Placed): void {
		const present = this.#placed.get(channel);
		const { epoch, offset } = placed.position;
		if (present !== undefined && present.position.epoch === epoch && present.position.offset > offset) {
			return;
		}
		this.delete(channel);
		this.#placed.set(channel, placed);
		this.#bytes += costOf(channel, placed);
		for (const oldest of this.#placed.keys()) {
			if (this.#bytes <= this.#maxBytes) {
				return;
			}
			this.delete(oldest);
		}
	}

	delete(channel: string): void {
		const present = this.#placed.get(channel);
		if (present !== undefined) {
			this.#placed.delete(channel);
			this.#bytes -= costOf(channel, present);
		}
	}
}

function costOf(channel: string, { document }: Placed): number {
	return COST + 2 * channel.length + (document.text?.length ?? 0);
}
