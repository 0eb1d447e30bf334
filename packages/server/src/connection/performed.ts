/**
 * What has been performed already: calls by (scope, action, id), each with its reply, for the length of the window. A
 * repeat gets the first reply; a repeat that comes while the first is at work waits for it. After a retryable failure
 * a repeat is a new try. Publishes are not here: the broker knows them.
 */
import type { Ack, Failure } from "@tidewire/protocol";

type Reply = Ack | Failure;

interface Deed {
	readonly untilMs: number;
	/** A promise while it is at work. */
	reply: Reply | Promise<Reply>;
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

	/** The reply of the first time; undefined where there was none. */
	find(scope: string, key: string): Reply | Promise<Reply> | undefined {
		const deeds = this.#scopes.get(scope);
		if (deeds === undefined) {
			return undefined;
		}
		forget(deeds, this.#options.nowMs());
		return deeds.get(key)?.reply;
	}

	/**
	 * Performs what `find` does not know. Undefined where the scope has performed so much within the window that one more
	 * could not be remembered.
	 */
	begin(scope: string, key: string, perform: () => Promise<Reply>): Promise<Reply> | undefined {
		const nowMs = this.#options.nowMs();
		const deeds = this.#scopes.get(scope) ?? new Map<string, Deed>();
		forget(deeds, nowMs);
		if (deeds.size >= this.#options.maxPerScope) {
			return undefined;
		}
		const reply = perform().then((message) => {
			deed.reply = message;
			if (message.error?.retryable === true && deeds.get(key) === deed) {
				deeds.delete(key);
			}
			return message;
		});
		const deed: Deed = { untilMs: nowMs + this.#options.windowMs, reply };
		deeds.set(key, deed);
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
