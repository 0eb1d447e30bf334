/**
 * What has been performed already: calls by (scope, action, id), each with its reply, for the length of the window or
 * until the scope ends. A repeat gets the first reply; a repeat that comes while the first is at work waits for it.
 * After a retryable failure a repeat is a new try. What is remembered is never forgotten early, so what could not be
 * remembered is not begun. Publishes are not here: the broker knows them.
 */
import type { Ack, Failure } from "@tidewire/protocol";

type Reply = Ack | Failure;

/** What has become of a call. */
export interface Done {
	readonly reply: Reply;
	/** How long the reply's data or error is as JSON. */
	readonly bytes: number;
}

interface Deed {
	readonly untilMs: number;
	/** A promise while it is at work. */
	reply: Reply | Promise<Reply>;
	bytes: number;
}

interface Scope {
	/** In the order of their expiry, since all have the same window. */
	readonly deeds: Map<string, Deed>;
	bytes: number;
}

export interface PerformedOptions {
	readonly windowMs: number;
	/** How many calls of one scope are remembered; more are refused until the oldest may be forgotten. */
	readonly maxPerScope: number;
	/** How many bytes of all scopes are remembered; no scope has more than its share of them. */
	readonly maxBytes: number;
	readonly nowMs: () => number;
}

/** About what a call costs beside its reply's data: keys, entries, objects. */
const DEED_BYTES = 256;
/** One scope may have this part of all bytes, so that one alone does not have the others' calls refused. */
const SHARE = 1 / 8;

export class Performed {
	readonly #options: PerformedOptions;
	readonly #scopes = new Map<string, Scope>();
	#bytes = 0;

	constructor(options: PerformedOptions) {
		this.#options = options;
	}

	/** How many bytes are remembered. */
	get bytes(): number {
		return this.#bytes;
	}

	/** The reply of the first time; undefined where there was none. */
	find(name: string, key: string): Reply | Promise<Reply> | undefined {
		const scope = this.#scopes.get(name);
		if (scope === undefined) {
			return undefined;
		}
		this.#forget(scope);
		return scope.deeds.get(key)?.reply;
	}

	/**
	 * Performs what `find` does not know. Undefined where the scope, or all of them together, have performed so much within
	 * the window that one more could not be remembered.
	 */
	begin(name: string, key: string, perform: () => Promise<Done>): Promise<Reply> | undefined {
		const { windowMs, maxPerScope, maxBytes, nowMs } = this.#options;
		const scope = this.#scopes.get(name) ?? { deeds: new Map<string, Deed>(), bytes: 0 };
		this.#forget(scope);
		if (scope.deeds.size >= maxPerScope || scope.bytes >= maxBytes * SHARE || this.#bytes >= maxBytes) {
			return undefined;
		}
		const reply = perform().then((done) => {
			deed.reply = done.reply;
			if (this.#scopes.get(name) !== scope || scope.deeds.get(key) !== deed) {
				// Forgotten while it was at work.
				return done.reply;
			}
			if (done.reply.error?.retryable === true) {
				this.#remove(scope, key, deed);
			} else {
				this.#grow(scope, deed, done.bytes);
			}
			return done.reply;
		});
		const deed: Deed = { untilMs: nowMs() + windowMs, reply, bytes: 0 };
		scope.deeds.set(key, deed);
		this.#grow(scope, deed, DEED_BYTES);
		this.#scopes.set(name, scope);
		return reply;
	}

	/** The scope has ended: nothing of it can be repeated any more. What is at work goes on, and is not remembered. */
	drop(name: string): void {
		const scope = this.#scopes.get(name);
		if (scope !== undefined) {
			this.#scopes.delete(name);
			this.#bytes -= scope.bytes;
		}
	}

	/** Forgets scopes of which nothing is within the window any more. */
	sweep(): void {
		for (const [name, scope] of this.#scopes) {
			this.#forget(scope);
			if (scope.deeds.size === 0) {
				this.#scopes.delete(name);
			}
		}
	}

	#forget(scope: Scope): void {
		const nowMs = this.#options.nowMs();
		for (const [key, deed] of scope.deeds) {
			if (deed.untilMs > nowMs) {
				return;
			}
			this.#remove(scope, key, deed);
		}
	}

	#grow(scope: Scope, deed: Deed, bytes: number): void {
		deed.bytes += bytes;
		scope.bytes += bytes;
		this.#bytes += bytes;
	}

	#remove(scope: Scope, key: string, deed: Deed): void {
		scope.deeds.delete(key);
		scope.bytes -= deed.bytes;
		this.#bytes -= deed.bytes;
	}
}
