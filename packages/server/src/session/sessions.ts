/**
 * The sessions whose connections this node has. A session outlives its last connection by the window, in the broker's
 * records, and goes on at whichever node its newest token is shown to. It is stored with the first id that counts in it;
 * before that it is nowhere but in its token, and a client may come back with that all the same: there is nothing to find.
 *
 * What ids have done is not here: the broker knows publishes, `claims.ts` and `connection/performed.ts` know calls.
 */
import type { Broker, BrokerListener, Entry } from "@tidewire/broker";
import type { CloseReason } from "@tidewire/protocol";
import type { Caller } from "../auth/caller.ts";
import type { BrokerEar } from "../broker-ear.ts";
import type { Log } from "../observe/log.ts";
import { shareName, WindowQuota } from "../share.ts";
import { Keyring } from "./keyring.ts";
import { decodeRecord, encodeRecord, keyOf, NO_RECORD, ownerOf, type SessionRecord } from "./record.ts";
import { digestOf, newToken, readToken, sameDigest } from "./token.ts";

/** A connection, as far as its session goes. */
export interface Holder {
	session: string;
	readonly closed: boolean;
	readonly caller: Caller;
	close(reason: CloseReason, text: string): void;
}

export interface SessionsOptions {
	readonly broker: Pick<Broker, "records" | "publish" | "subscribe">;
	readonly ear: Pick<BrokerEar, "on">;
	readonly log: Log;
	/** This process, among all that ever used the broker: 12 bytes in base64url. */
	readonly instance: string;
	/** How long a session outlives its last connection. */
	readonly windowMs: number;
	readonly nowMs: () => number;
	/** How many sessions this node stores within a window. */
	readonly maxStored: number;
}

/** What came of a token: the session's next one; or why it opens nothing. */
export type Resumed =
	| { readonly status: "resumed"; readonly token: string }
	| { readonly status: "unknown" | "forbidden" | "busy" };

interface Held {
	readonly holder: Holder;
	readonly generation: number;
	/** The record as it is stored, or would be. There are many of these: nothing that stands in it is kept beside it. */
	bytes: Uint8Array;
	/** Taken up again before anything was counted in it. */
	stored: boolean;
	renewedMs: number;
}

const PREFIX = "$session:";
/** Others that resume the same session meanwhile: more than this, and the client may try again. */
const MAX_TRIES = 5;
/** How many records are renewed at once. */
const BATCH = 1_000;
/** A window has so many times for renewal; a record lives for two of them longer, so that one may fail. */
const RENEWALS = 3;
/** In how many steps all are renewed. */
const STEPS = 10;
const WARN_EVERY_MS = 10_000;
const KEEP_NOTHING = { messages: 0, bytes: 0, ageMs: 0 };

const utf8 = new TextDecoder();

export class Sessions implements BrokerListener {
	readonly #options: SessionsOptions;
	readonly #keys: Keyring;
	readonly #quota: WindowQuota;
	/** By id, those renewed longest ago first. */
	readonly #held = new Map<string, Held>();
	/** Whose the token is that a client was greeted with, where it has become somebody else since. */
	readonly #greetedAs = new WeakMap<Holder, Uint8Array>();
	#opened: Promise<void> | true | undefined;
	#warnedMs = Number.NEGATIVE_INFINITY;
	/** Writes that nobody waits for, but the end. */
	readonly #pending = new Set<Promise<unknown>>();

	constructor(options: SessionsOptions) {
		const { windowMs, nowMs, maxStored } = options;
		this.#options = options;
		this.#keys = new Keyring(options.broker.records, windowMs, nowMs);
		this.#quota = new WindowQuota(maxStored, windowMs, nowMs);
		options.ear.on(PREFIX, this);
	}

	/** How often `renew` is to be called. */
	get stepMs(): number {
		return this.#options.windowMs / RENEWALS / STEPS;
	}

	/** How many this node has connections of, and has stored or taken up. */
	get size(): number {
		return this.#held.size;
	}

	// Beginning.

	/** To be awaited before the node's first `greet`. Never rejects; undefined when there is nothing to wait for. */
	open(): Promise<void> | undefined {
		if (this.#opened === true) {
			return undefined;
		}
		const { broker, instance } = this.#options;
		this.#opened ??= Promise.all([broker.subscribe(`${PREFIX}${instance}`), this.#keys.open()]).then(
			() => {
				this.#opened = true;
			},
			(cause: unknown) => {
				// The next client tries again. Until then tokens are good at this node only.
				this.#opened = undefined;
				this.#warn(cause);
			},
		);
		return this.#opened;
	}

	/** The token of a session in which nothing has been counted yet. Costs the broker nothing. */
	greet(holder: Holder): string {
		const { session, caller } = holder;
		this.#greetedAs.delete(holder);
		return this.#keys.sign(session, caller.admitted ? ownerOf(caller) : undefined);
	}

	/** Whether the connection's session is stored, or was taken up from an earlier one. */
	holds(holder: Holder): boolean {
		return this.#held.get(holder.session)?.holder === holder;
	}

	/**
	 * Stores the connection's session, unless it is stored: before the first thing that is to outlive the connection. The
	 * write is on its way when this returns. False where the node stores as many as it may, or the session has gone on.
	 */
	store(holder: Holder): boolean {
		const { session } = holder;
		const held = this.#held.get(session);
		if (held === undefined ? holder.closed : held.holder !== holder) {
			if (held !== undefined) {
				holder.close("replaced", "the session goes on at another connection");
			}
			return false;
		}
		if (held?.stored === true) {
			return true;
		}
		if (!this.#quota.take(shareName(holder.caller))) {
			return false;
		}
		const owner = ownerOf(holder.caller);
		// Which of the two the client was greeted with does not matter: nobody else has the other.
		const [current, next] = [this.#greetedAs.get(holder) ?? owner, undefined].map((each) =>
			digestOf(this.#keys.sign(session, each)),
		);
		const generation = held?.generation ?? 0;
		const record = { generation, holder: this.#options.instance, owner, current: current!, next: next! };
		this.#hold(holder, record, true);
		this.#await(this.#begin(session, this.#held.get(session)!));
		return true;
	}

	async #begin(session: string, held: Held): Promise<void> {
		const { records } = this.#options.broker;
		const present = await records.setIfAbsent(keyOf(session), held.bytes, this.#leaseMs);
		if (present === undefined || Buffer.compare(present, held.bytes) === 0) {
			return;
		}
		// Its client came back before its first id arrived here. The one who came back goes on.
		const other = decodeRecord(present);
		if (other !== undefined && other.generation < held.generation) {
			if (await records.replace(keyOf(session), present, held.bytes, this.#leaseMs)) {
				this.#tell(session, other.holder, held.generation);
				return;
			}
		}
		this.#replaced(session, held);
	}

	// Coming back.

	/**
	 * Makes a session the connection's, where the token is its current one or that one's successor; the connection that had
	 * it before is closed. What opens nothing takes the same time, whyever. Rejects with the broker's error.
	 */
	async resume(holder: Holder, token: string): Promise<Resumed> {
		const { records } = this.#options.broker;
		const { session, digest } = readToken(token);
		const owner = ownerOf(holder.caller);
		const signed = this.#keys.hasSigned(session, owner, digest);
		for (let tries = 0; tries < MAX_TRIES; tries++) {
			const bytes = await records.get(keyOf(session));
			if (holder.closed) {
				// Its client is gone, and may be back elsewhere with the same token: that one is not to be thrown out.
				return { status: "unknown" };
			}
			const found = bytes === undefined ? NO_RECORD : (decodeRecord(bytes) ?? NO_RECORD);
			const isCurrent = sameDigest(found.current, digest);
			const isNext = sameDigest(found.next, digest);
			const isTheirs = sameDigest(found.owner, owner);
			if (bytes === undefined && signed) {
				this.#takeUp(holder, session, owner);
				return { status: "resumed", token };
			}
			if (!isCurrent && !isNext) {
				return { status: "unknown" };
			}
			if (!isTheirs) {
				return { status: "forbidden" };
			}
			const successor = newToken(session);
			const record: SessionRecord = {
				generation: found.generation + 1,
				holder: this.#options.instance,
				owner: found.owner,
				current: digest,
				next: digestOf(successor),
			};
			if (await records.replace(keyOf(session), bytes, encodeRecord(record), this.#leaseMs)) {
				this.#takeOver(holder, session, found, record);
				return { status: "resumed", token: successor };
			}
		}
		return { status: "busy" };
	}

	/** Nothing has been counted in it, so there is nothing to write. */
	#takeUp(holder: Holder, session: string, owner: Uint8Array): void {
		this.#closeHere(session);
		holder.session = session;
		if (holder.closed) {
			return;
		}
		this.#hold(holder, { ...NO_RECORD, generation: 1, holder: this.#options.instance, owner }, false);
	}

	#takeOver(holder: Holder, session: string, before: SessionRecord, record: SessionRecord): void {
		this.#closeHere(session);
		if (before.holder !== this.#options.instance) {
			this.#tell(session, before.holder, record.generation);
		}
		holder.session = session;
		this.#hold(holder, record, true);
		if (holder.closed) {
			this.ended(holder);
		}
	}

	#hold(holder: Holder, record: SessionRecord, stored: boolean): void {
		this.#held.delete(holder.session);
		const renewedMs = this.#options.nowMs();
		const { generation } = record;
		this.#held.set(holder.session, { holder, generation, bytes: encodeRecord(record), stored, renewedMs });
	}

	#closeHere(session: string): void {
		const held = this.#held.get(session);
		if (held !== undefined) {
			this.#replaced(session, held);
		}
	}

	#replaced(session: string, held: Held): void {
		if (this.#held.get(session) === held) {
			this.#held.delete(session);
		}
		held.holder.close("replaced", "the session goes on at another connection");
	}

	/** Tells the process that had the connection. Where that is lost, it finds out when it renews the record. */
	#tell(session: string, holder: string, generation: number): void {
		const data = Buffer.from(JSON.stringify({ session, generation }));
		const { broker } = this.#options;
		this.#await(
			broker.publish(`${PREFIX}${holder}`, { data, encoding: "json" }, { retention: KEEP_NOTHING }).then(() => {}),
		);
	}

	/** Another node has taken a session over. */
	entries(_channel: string, _epoch: string, entries: readonly Entry[]): void {
		for (const { data } of entries) {
			// Only nodes write here: no client can name the channel.
			const told = JSON.parse(utf8.decode(data)) as { readonly session: string; readonly generation: number };
			const held = this.#held.get(told.session);
			if (held !== undefined && held.generation < told.generation) {
				this.#replaced(told.session, held);
			}
		}
	}

	/** Nothing is kept in these channels. What was told meanwhile, renewal finds. */
	reset(): void {}

	// Going on.

	/** The connection has become somebody, and was `was`: its session is theirs now. */
	ownerChanged(holder: Holder, was: Caller): void {
		const held = this.#held.get(holder.session);
		if (held === undefined && was.admitted && !this.#greetedAs.has(holder)) {
			this.#greetedAs.set(holder, ownerOf(was));
		}
		if (held?.holder !== holder) {
			return;
		}
		const before = held.bytes;
		const record = decodeRecord(before);
		const owner = ownerOf(holder.caller);
		if (record === undefined || sameDigest(record.owner, owner)) {
			return;
		}
		held.bytes = encodeRecord({ ...record, owner });
		if (held.stored) {
			const { records } = this.#options.broker;
			this.#await(records.replace(keyOf(holder.session), before, held.bytes, this.#leaseMs));
		}
	}

	/** Renews a part of the records; all of them within a third of the window. Never rejects. */
	async renew(): Promise<void> {
		const { nowMs, windowMs } = this.#options;
		const dueMs = nowMs() - windowMs / RENEWALS;
		const most = Math.max(BATCH, Math.ceil((2 * this.#held.size) / STEPS));
		const due: [string, Held][] = [];
		for (const each of this.#held) {
			if (each[1].renewedMs > dueMs || due.length >= most) {
				break;
			}
			due.push(each);
		}
		this.#await(this.#keys.renew());
		for (let at = 0; at < due.length; at += BATCH) {
			const some = due.slice(at, at + BATCH).map(([session, held]) => this.#renewOne(session, held));
			await Promise.all(some.map((each) => this.#await(each)));
		}
	}

	async #renewOne(session: string, held: Held): Promise<void> {
		if (this.#held.get(session) !== held) {
			return;
		}
		held.renewedMs = this.#options.nowMs();
		this.#held.delete(session);
		this.#held.set(session, held);
		if (!held.stored) {
			return;
		}
		const { records } = this.#options.broker;
		const { bytes } = held;
		if (await records.replace(keyOf(session), bytes, bytes, this.#leaseMs)) {
			return;
		}
		const present = await records.setIfAbsent(keyOf(session), held.bytes, this.#leaseMs);
		if (present !== undefined && Buffer.compare(present, held.bytes) !== 0 && this.#held.get(session) === held) {
			this.#replaced(session, held);
		}
	}

	/** The connection has ended: from now on its session lives for the window. */
	ended(holder: Holder): void {
		const { session } = holder;
		const held = this.#held.get(session);
		if (held?.holder !== holder) {
			return;
		}
		this.#held.delete(session);
		if (held.stored) {
			const { broker, windowMs } = this.#options;
			this.#await(broker.records.replace(keyOf(session), held.bytes, held.bytes, windowMs));
		}
	}

	/** Waits for what is still being written. */
	async close(): Promise<void> {
		while (this.#pending.size > 0) {
			await Promise.all(this.#pending);
		}
	}

	get #leaseMs(): number {
		const { windowMs } = this.#options;
		return windowMs + (2 * windowMs) / RENEWALS;
	}

	/** What fails here is found again at the next renewal, or was the end of a session that then ends later. */
	#await(work: Promise<unknown>): Promise<unknown> {
		const settled = work.catch((cause: unknown) => this.#warn(cause)).finally(() => this.#pending.delete(settled));
		this.#pending.add(settled);
		return settled;
	}

	/** A broker that is away fails them all: said once in a while. */
	#warn(cause: unknown): void {
		const nowMs = this.#options.nowMs();
		if (nowMs - this.#warnedMs >= WARN_EVERY_MS) {
			this.#warnedMs = nowMs;
			this.#options.log.warn("a session could not be written", { cause });
		}
	}
}
