/**
 * Pages of the broker's history, shared by all who come back at the same time: a thousand clients that missed the same
 * thousand messages cost a few reads, and each message is encoded once. Pages end at common boundaries, so that clients
 * that come from different positions meet after the first.
 */
import type { Broker } from "@tidewire/broker";
import type { Channel } from "./channel.ts";
import { Segment } from "./segment.ts";

/** A page ends before the next offset that this divides. It is also what is handed over at a time. */
const PAGE_ENTRIES = 256;
const PAGE_BYTES = 64 * 1024;
/** What all pages that are remembered may cost together; the least lately used goes first. */
const MAX_BYTES = 16 * 1024 * 1024;

export interface HistoryPage {
	readonly epoch: string;
	readonly head: number;
	/** What is asked for up to here is not kept any more. */
	readonly tail: number;
	/** Entries that follow one another; what is missing between two runs has expired. */
	readonly runs: readonly Segment[];
}

export class HistoryPages {
	readonly #broker: Broker;
	readonly #maxBytes: number;
	readonly #pages = new Map<string, { readonly page: Promise<HistoryPage>; bytes: number }>();
	#bytes = 0;

	constructor(broker: Broker, maxBytes: number = MAX_BYTES) {
		this.#broker = broker;
		this.#maxBytes = maxBytes;
	}

	/** What the pages that are remembered cost. */
	get bytes(): number {
		return this.#bytes;
	}

	/** The entries after an offset, up to a boundary. Rejects with the broker's error. */
	read(channel: Channel, after: number): Promise<HistoryPage> {
		const key = `${channel.epoch}:${after}:${channel.name}`;
		const known = this.#pages.get(key);
		if (known !== undefined) {
			this.#pages.delete(key);
			this.#pages.set(key, known);
			return known.page;
		}
		const made = { page: this.#fetch(channel, after), bytes: 0 };
		this.#pages.set(key, made);
		made.page.then(
			({ epoch, runs }) => {
				if (this.#pages.get(key) !== made) {
					return;
				}
				if (epoch !== channel.epoch || runs.length === 0) {
					// What is not there yet may come.
					this.#pages.delete(key);
					return;
				}
				made.bytes = runs.reduce((sum, run) => sum + run.bytes, 0);
				this.#bytes += made.bytes;
				this.#makeRoom();
			},
			() => this.#pages.delete(key),
		);
		return made.page;
	}

	async #fetch({ name }: Channel, after: number): Promise<HistoryPage> {
		const limit = PAGE_ENTRIES - (after % PAGE_ENTRIES);
		const { epoch, head, tail, entries } = await this.#broker.read(name, { after, limit, maxBytes: PAGE_BYTES });
		const runs: Segment[] = [];
		for (const entry of entries) {
			const previous = entry.previous ?? entry.offset - 1;
			const run = runs.at(-1);
			if (run?.to === previous) {
				run.push(entry);
			} else {
				runs.push(new Segment(previous, entry));
			}
		}
		for (const run of runs) {
			run.keep();
		}
		return { epoch, head, tail, runs };
	}

	#makeRoom(): void {
		for (const [key, { bytes }] of this.#pages) {
			if (this.#bytes <= this.#maxBytes) {
				break;
			}
			this.#pages.delete(key);
			this.#bytes -= bytes;
		}
	}
}
