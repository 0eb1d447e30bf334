/**
 * That a process lives, as others see it: a record that it renews, and that ends with it. It says nothing of what the
 * process does.
 */
import type { Records } from "@tidewire/broker";

export interface NodeLeaseOptions {
	readonly records: Pick<Records, "get" | "set" | "delete">;
	/** This process, among all that ever used the broker. */
	readonly instance: string;
	/** Calls `task` every so often until the returned function is called. */
	readonly every: (intervalMs: number, task: () => void) => () => void;
}

export const LEASE_MS = 15_000;
const RENEW_MS = 5_000;
const ALIVE = Uint8Array.of(1);

export class NodeLease {
	readonly #options: NodeLeaseOptions;
	#begun: Promise<void> | true | undefined;
	#stopRenewing: (() => void) | undefined;

	constructor(options: NodeLeaseOptions) {
		this.#options = options;
	}

	/** From when on others see that this process lives; undefined when they do. Rejects with the broker's error. */
	begin(): Promise<void> | undefined {
		if (this.#begun === true) {
			return undefined;
		}
		const { every } = this.#options;
		this.#begun ??= this.#write().then(
			() => {
				this.#begun = true;
				// What fails is tried again with the next one; there are two more before the lease is over.
				this.#stopRenewing ??= every(RENEW_MS, () => void this.#write().catch(() => {}));
			},
			(cause: unknown) => {
				this.#begun = undefined;
				throw cause;
			},
		);
		return this.#begun;
	}

	/** Whether a process lives, this one included. Rejects with the broker's error. */
	async isAlive(instance: string): Promise<boolean> {
		return (await this.#options.records.get(nameOf(instance))) !== undefined;
	}

	/** Others need not wait for the lease to end. Never rejects. */
	async end(): Promise<void> {
		this.#stopRenewing?.();
		if (this.#begun !== undefined) {
			await this.#options.records.delete(nameOf(this.#options.instance)).catch(() => {});
		}
	}

	#write(): Promise<void> {
		return this.#options.records.set(nameOf(this.#options.instance), ALIVE, LEASE_MS);
	}
}

function nameOf(instance: string): string {
	return `node:${instance}`;
}
