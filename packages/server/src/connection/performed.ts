/**
 * What has been performed already: calls by (scope, action, id), each with its reply, for the length of the window. A
 * repeat gets the first reply; a repeat that comes while the first is at work waits for it. After a retryable failure
 * a repeat is a new try. Publishes are not here: the broker knows them.
 */
import type { Ack, Failure } from "@tidewire/protocol";

interface Deed {
	readonly untilMs: number;
	readonly reply: Promise<Ack | Failure>;
}

export interface PerformedOptions {
	readonly windowMs: number;
	/** How many calls of one scope are remembered; more are refused until the oldest may be forgotten. */
	readonly maxPerScope: number;
	readonly nowMs: () => number;
}

export class Performed {
	readonly #options: PerformedOptions;
	/** In the order of their expiry, since all have the same window. */
	readonly #scopes = new Map<string, Map<string, Deed>>();

	constructor(options: PerformedOptions) {
		this.#options = options;
	}

	/**
	 * Performs, or gives the reply of the first time. Undefined where the scope has performed so much within the window
	 * that one more could not be remembered.
	 */
	once(scope: string, key: string, perform: () => Promise<Ack | Failure>): Promise<Ack | Failure> | undefined {
		const nowMs = this.#options.nowMs();
		const deeds = this.#scopes.get(scope) ?? new Map<string, Deed>();
		forget(deeds, nowMs);
		const first = deeds.get(key);
		if (first !== undefined) {
			return first.reply;
		}
		if (deeds.size >= this.#options.maxPerScope) {
			return undefined;
		}
		const reply = perform().then((message) => {
			if (message.error?.retryable === true) {
				deeds.delete(key);
			}
			return message;
		});
		deeds.set(key, { untilMs: nowMs + this.#options.windowMs, reply });
		this.#scopes.set(scope, deeds);
		return reply;
	}

	/** Forgets scopes of which nothing is within the window any more. */
	sweep(): void {
		const nowMs = this.#options.nowMs();
		for (const [scope, deeds] of this.#scopes) {
			forget(deeds, nowMs);
			if (deeds.size === 0) {
				this.#scopes.delete(scope);
			}
		}
	}
}

function forget(deeds: Map<string, Deed>, nowMs: number): void {
	for (const [key, deed] of deeds) {
		if (deed.untilMs > nowMs) {
			return;
		}
		deeds.delete(key);
	}
}
