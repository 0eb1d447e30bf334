/**
 * Pages of one tab, one after the other, in the fake world: what a page leaves is in its store, and a page that is gone does
 * nothing any more, in whatever it was interrupted.
 */
import type { Contract } from "@tidewire/contract";
import { type Client, type ConnectOptions, connect } from "../src/index.ts";
import type { OutboxStore } from "../src/outbox/index.ts";
import { createOutbox, type KeepingOutbox, type OutboxOptions } from "../src/outbox/outbox.ts";
import type { FakeWorld } from "./fake-world.ts";

export interface Page {
	readonly tw: Client<Contract>;
	readonly outbox: KeepingOutbox;
	alive: boolean;
}

export class FakePages {
	readonly #world: FakeWorld;
	/** What is on the disk. */
	records = new Map<string, unknown>();
	/** Writes fail with this. */
	failure: Error | undefined;
	/** How long a write takes. */
	writeTurns = 1;
	#owner: Page | undefined;

	constructor(world: FakeWorld) {
		this.#world = world;
	}

	open(
		options: OutboxOptions = {},
		more: { readonly [Name in keyof ConnectOptions]: ConnectOptions[Name] | undefined } = {},
	): Page {
		const { now, random, setTimer, watchNetwork, webSocket } = this.#world;
		const store: OutboxStore = {
			load: async () => {
				await Promise.resolve();
				if (this.#owner?.alive === true) {
					throw new Error("another page has it");
				}
				this.#owner = page;
				return new Map(this.records);
			},
			write: async (changes) => {
				for (let turn = 0; turn < this.writeTurns; turn += 1) {
					await Promise.resolve();
				}
				if (!page.alive) {
					return new Promise(() => {});
				}
				if (this.failure) {
					throw this.failure;
				}
				for (const [key, value] of changes) {
					if (value === undefined) {
						this.records.delete(key);
					} else {
						this.records.set(key, structuredClone(value));
					}
				}
				return undefined;
			},
			close: () => {
				this.#owner = undefined;
			},
		};
		const outbox = createOutbox(store, { nowMs: () => 1_800_000_000_000 + this.#world.time, ...options });
		const tw = connect("ws://host/connect", {
			webSocket,
			environment: {
				now,
				random,
				watchNetwork,
				setTimer: (callback, delayMs) => setTimer(() => page.alive && callback(), delayMs),
			},
			outbox,
			positions: outbox.positions,
			...more,
		} as ConnectOptions);
		const page: Page = { tw, outbox, alive: true };
		return page;
	}

	/** The page is gone, at this very moment. */
	kill(page: Page): void {
		page.alive = false;
		for (const socket of this.#world.sockets) {
			if (socket.readyState < 3) {
				socket.onmessage = null;
				socket.onclose = null;
				socket.onopen = null;
				socket.end(1006);
			}
		}
	}
}
