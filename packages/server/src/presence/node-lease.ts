/**
 * Which nodes live, as far as presence goes. Members have no leases of their own: a node has one, one record that it
 * renews, and answers for all of its members with it. When it is not renewed in time, they leave.
 */
import { randomBytes } from "node:crypto";
import type { Broker } from "@tidewire/broker";

const PREFIX = "presence-node:";
const PAGE = 1_000;
const FRESH_MS = 2_500;
const HELD = new Uint8Array([1]);

export interface NodeLeaseOptions {
	readonly records: Broker["records"];
	/** How long the lease lasts. It is renewed three times in it. */
	readonly graceMs: number;
	readonly nowMs: () => number;
	/** The lease had ended when it was renewed: others have taken this node for dead. */
	readonly lost: () => void;
}

export class NodeLease {
	/** Of this process, and of no other ever. */
	readonly owner = randomBytes(9).toString("base64url");
	readonly #options: NodeLeaseOptions;
	readonly #renewMs: number;
	#heldMs = Number.NEGATIVE_INFINITY;
	#taking: Promise<void> | undefined;
	/** Other nodes that members have been seen of. */
	readonly #others = new Set<string>();
	/** Nobody is taken for dead before: when the broker was away, the living could not renew their leases either. */
	#blindUntilMs = Number.NEGATIVE_INFINITY;
	#looking = false;
	#lookedMs = Number.NEGATIVE_INFINITY;

	constructor(options: NodeLeaseOptions) {
		this.#options = options;
		this.#renewMs = options.graceMs / 3;
	}

	/** Resolves when the lease is held: to be awaited before a member is written down. Rejects with the broker's error. */
	hold(): Promise<void> | undefined {
		if (this.#options.nowMs() - this.#heldMs < this.#renewMs * 2) {
			return undefined;
		}
		this.#taking ??= this.renew().finally(() => {
			this.#taking = undefined;
		});
		return this.#taking;
	}

	get due(): boolean {
		return this.#options.nowMs() - this.#heldMs >= this.#renewMs;
	}

	async renew(): Promise<void> {
		const { records, graceMs, nowMs, lost } = this.#options;
		// From when it was asked for: the broker may count from then.
		const askedMs = nowMs();
		const isFirst = this.#heldMs === Number.NEGATIVE_INFINITY;
		const held = !isFirst && (await records.replace(PREFIX + this.owner, HELD, HELD, graceMs));
		if (!held) {
			await records.set(PREFIX + this.owner, HELD, graceMs);
		}
		this.#heldMs = askedMs;
		if (!held && !isFirst) {
			lost();
		}
	}

	/** The broker did not answer: for a while nobody is taken for dead. */
	blind(): void {
		this.#blindUntilMs = this.#options.nowMs() + this.#renewMs + 1_000;
	}

	get isBlind(): boolean {
		return this.#options.nowMs() < this.#blindUntilMs;
	}

	/** A member of this node has been seen, so that it has held a lease. */
	seen(owner: string): void {
		if (owner !== this.owner) {
			this.#others.add(owner);
		}
	}

	get alone(): boolean {
		return this.#others.size === 0;
	}

	/** Whether this node's lease has been seen so lately that nobody needs to look. */
	knows(owner: string): boolean {
		const isFresh = this.#options.nowMs() - this.#lookedMs < FRESH_MS;
		return owner === this.owner || (isFresh && this.#others.has(owner));
	}

	/** Those who are dead of the nodes that were seen before. Rejects with the broker's error. */
	async look(): Promise<readonly string[]> {
		if (this.#looking) {
			return [];
		}
		this.#looking = true;
		const asked = [...this.#others];
		const askedMs = this.#options.nowMs();
		try {
			// Also while it is blind, which it remains while this fails.
			const living = await this.living();
			if (this.isBlind) {
				return [];
			}
			const dead = asked.filter((owner) => !living.has(owner));
			this.#lookedMs = askedMs;
			for (const owner of dead) {
				this.#others.delete(owner);
			}
			return dead;
		} finally {
			this.#looking = false;
		}
	}

	/** Everybody who holds a lease now. */
	async living(): Promise<ReadonlySet<string>> {
		const living = new Set<string>();
		let after: string | undefined;
		for (;;) {
			const page = await this.#options.records.list(PREFIX, {
				limit: PAGE,
				...(after === undefined ? {} : { after }),
			});
			for (const { key } of page) {
				living.add(key.slice(PREFIX.length));
			}
			after = page.at(-1)?.key;
			if (page.length < PAGE) {
				return living;
			}
		}
	}
}
