/**
 * What has been performed at this node already: calls by (scope, action, id), each with its reply, for the length of the
 * window, in which the client may come back at another connection. A repeat gets the first reply; a repeat that comes
 * while the first is at work waits for it. After a retryable failure a repeat is a new try. What is remembered is never
 * forgotten early, so what could not be remembered is not begun. Of publishes only final refusals are here, as far as
 * there is room: the broker knows those that it has accepted.
 */
import type { Ack, Failure } from "@tidewire/protocol";
import { shareOf } from "../share.ts";

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
	/** Whose share of all bytes it counts against. */
	readonly share: string;
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
	/** How many bytes of all scopes are remembered. Nobody has more than their share of them, under however many scopes. */
	readonly maxBytes: number;
	readonly nowMs: () => number;
}

/** About what a call costs beside its reply's data: keys, entries, objects. */
const DEED_BYTES = 256;
/** One scope may have this part of all bytes. */
const SCOPE_PART = 1 / 8;

export class Performed {
	readonly #options: PerformedOptions;
	readonly #scopes = new Map<string, Scope>();
	#bytes = 0;
	/** By share, where there are any. */
	readonly #bytesOf = new Map<string, number>();

	constructor(options: PerformedOptions) {
		this.#options = options;
	}

	/** How many bytes are remembered. */
	get bytes(): number {
		return this.#bytes;
	}

	/** Whether anything is remembered of a scope. */
	knows(name: string): boolean {
		return this.#scopes.has(name);
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
	 * Performs what `find` does not know. Undefined where the scope, the share, or all of them together, have performed so
	 * much within the window that one more could not be remembered.
	 */
	begin(name: string, share: string, key: string, perform: () => Promise<Done>): Promise<Reply> | undefined {
		const scope = this.#roomIn(name, share);
		if (scope === undefined) {
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
		const deed = this.#add(name, scope, share, key, reply);
		return reply;
	}

	/** Remembers a refusal, unless there is no room. */
	record(name: string, share: string, key: string, { reply, bytes }: Done): void {
		const scope = this.#roomIn(name, share);
		if (scope !== undefined && !scope.deeds.has(key)) {
			this.#grow(scope, this.#add(name, scope, share, key, reply), bytes);
		}
	}

	#roomIn(name: string, share: string): Scope | undefined {
		const { maxPerScope, maxBytes } = this.#options;
		const scope = this.#scopes.get(name) ?? { deeds: new Map<string, Deed>(), bytes: 0 };
		this.#forget(scope);
		const isFull =
			scope.deeds.size >= maxPerScope ||
			scope.bytes >= maxBytes * SCOPE_PART ||
			(this.#bytesOf.get(share) ?? 0) >= shareOf(share, maxBytes) ||
			this.#bytes >= maxBytes;
		return isFull ? undefined : scope;
	}

	#add(name: string, scope: Scope, share: string, key: string, reply: Deed["reply"]): Deed {
		const { windowMs, nowMs } = this.#options;
		const deed: Deed = { untilMs: nowMs() + windowMs, reply, bytes: 0, share };
		scope.deeds.set(key, deed);
		this.#grow(scope, deed, DEED_BYTES);
		this.#scopes.set(name, scope);
		return deed;
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
		this.#count(scope, deed.share, bytes);
	}

	#remove(scope: Scope, key: string, deed: Deed): void {
		scope.deeds.delete(key);
		this.#count(scope, deed.share, -deed.bytes);
	}

	#count(scope: Scope, share: string, bytes: number): void {
		scope.bytes += bytes;
		this.#bytes += bytes;
		const ofShare = (this.#bytesOf.get(share) ?? 0) + bytes;
		if (ofShare === 0) {
			this.#bytesOf.delete(share);
		} else {
			this.#bytesOf.set(share, ofShare);
		}
	}
}
