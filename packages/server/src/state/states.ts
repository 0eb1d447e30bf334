/**
 * State channels on this node: reads the value, changes it, and lets expired members go. The broker keeps the value as
 * the snapshot of the channel's log and never looks into it, so a change is made here and published by compare-and-set:
 * where another node was quicker, it is made again to what that one left. It knows no connections and no permissions.
 */
import type { Broker, Entry, Position, Publication, PublishResult, Retention } from "@tidewire/broker";
import type { ChannelRoute, Issue } from "@tidewire/contract";
import { checkValue } from "../channel-data.ts";
import { retentionOf } from "../retention.ts";
import { type Change, type Result, resultOf, type Step, stepOf } from "./change.ts";
import { decodeJson, excessOf, readRecord, recordOf, StateDocument } from "./document.ts";
import { Due, type SetTimer } from "./due.ts";
import { Lanes } from "./lanes.ts";
import { type Merged, mergeEntries } from "./merged.ts";
import { Pace } from "./pace.ts";
import { type Placed, Recent } from "./recent.ts";

export interface StatesOptions {
	readonly nowMs: () => number;
	readonly setTimer: SetTimer;
	/** Told of an expiry that could not be published; it is tried again. */
	readonly failed: (channel: string, cause: unknown) => void;
}

export interface StateChange {
	readonly change: Change;
	/** What the entry carries beside its data. */
	readonly attributes: Pick<Publication, "name" | "key" | "from" | "report">;
	/** Only while the channel's head is here. */
	readonly ifPosition?: Position | undefined;
	readonly idempotencyKey?: string | undefined;
	readonly idempotencyMs?: number | undefined;
	/** Only behind the publish with this key. */
	readonly afterKey?: string | undefined;
}

export interface Refused {
	readonly status: "refused";
	readonly code: "bad_request" | "invalid_data" | "too_large" | "unavailable";
	readonly message: string;
	readonly issues: readonly Issue[];
}

export type Changed =
	| Extract<PublishResult, { status: "accepted" }>
	/** The head is not at `ifPosition`; `text` is the value there, undefined where there is none. */
	| { readonly status: "conflict"; readonly position: Position; readonly text: Uint8Array | undefined }
	/** What `afterKey` names was not accepted. */
	| { readonly status: "early" }
	| Refused;

/** A channel's value for a reader, and the position that it is the value at. */
export interface StateSnapshot {
	readonly position: Position;
	/** JSON; undefined where there is no value yet. */
	readonly text: Uint8Array | undefined;
}

/** What the hub needs of one channel. */
export interface StateSource {
	snapshot(atLeast: Position): Promise<StateSnapshot>;
	merged(entries: readonly Entry[]): Merged | undefined;
	noticed(entries: readonly Entry[]): void;
}

/** How often a change is made anew because other nodes were quicker. */
const MAX_TRIES = 16;
/** Changes of one channel that wait for those before them. */
const MAX_OPEN = 1_024;
/** Of text; the values parsed from it take several times that. */
const MAX_RECENT_BYTES = 8 * 1024 * 1024;
const MAX_DUE_CHANNELS = 100_000;
/** How long after another node's change its expiries are looked up. */
const LOOK_MS = 5_000;
/** After a broker that could not be reached. */
const RETRY_MS = 5_000;
/** A position at which no log ever is: what is published there is refused, or recognised as done before. */
const NOWHERE: Position = { epoch: "", offset: 0 };
const NOTHING = new Uint8Array(0);

export class States {
	readonly #broker: Pick<Broker, "publish" | "snapshot">;
	readonly #options: StatesOptions;
	readonly #lanes = new Lanes(MAX_OPEN);
	readonly #pace = new Pace();
	readonly #recent = new Recent(MAX_RECENT_BYTES);
	readonly #reading = new Map<string, Promise<Placed>>();
	readonly #due: Due;
	#stopped = false;

	constructor(broker: Pick<Broker, "publish" | "snapshot">, options: StatesOptions) {
		this.#broker = broker;
		this.#options = options;
		this.#due = new Due({
			nowMs: options.nowMs,
			setTimer: options.setTimer,
			maxChannels: MAX_DUE_CHANNELS,
			due: (channel, retention) => this.#expire(channel, retention),
		});
	}

	/** Ends the timer: nothing expires from here any more. */
	stop(): void {
		this.#stopped = true;
		this.#due.stop();
	}

	/** Changes a channel's value. Rejects with the broker's error, which leaves the outcome unknown. */
	async publish(channel: string, route: ChannelRoute, request: StateChange): Promise<Changed> {
		const { change } = request;
		if (change.kind !== "expiry" && change.ttlMs !== undefined && change.key === undefined) {
			return refused("bad_request", "in a state channel ttl needs a key: it is that member's");
		}
		if (!this.#lanes.hasRoom(channel)) {
			return refused("unavailable", `${MAX_OPEN} changes of this channel wait already`);
		}
		return this.#lanes.run(channel, () => this.#publish(channel, route, request));
	}

	/**
	 * The value for a subscriber, without what has expired. It is that of `atLeast`, if given, or of a later position; where
	 * this node holds such a one, the broker is not asked.
	 */
	async snapshot(channel: string, route: ChannelRoute, atLeast?: Position): Promise<StateSnapshot> {
		let placed = atLeast === undefined ? undefined : this.#recent.get(channel);
		if (placed === undefined || !isAtLeast(placed.position, atLeast)) {
			placed = await this.#read(channel);
		}
		if (!isAtLeast(placed.position, atLeast)) {
			// The answer to somebody who had asked before.
			placed = await this.#read(channel, true);
		}
		this.#due.set(channel, placed.document.dueMs, retentionOf(route));
		return { position: placed.position, text: this.#textOf(placed) };
	}

	/** The value now, as the broker has it. */
	async value(channel: string): Promise<StateSnapshot> {
		const placed = await this.#read(channel, true);
		return { position: placed.position, text: this.#textOf(placed) };
	}

	/**
	 * Entries that this node was told of, in a channel that it has subscribers of. Another node may have set expiries with
	 * them, and die before their time: they are looked up some time later.
	 */
	noticed(channel: string, route: ChannelRoute, entries: readonly Entry[]): void {
		const last = entries.findLast((entry) => entry.key !== undefined);
		const known = this.#recent.get(channel)?.position.offset ?? -1;
		if (last !== undefined && last.offset > known) {
			this.#due.hasten(channel, this.#options.nowMs() + LOOK_MS, retentionOf(route));
		}
	}

	/** One channel's values, as the hub asks for them. */
	source(channel: string, route: ChannelRoute): StateSource {
		return {
			snapshot: (atLeast) => this.snapshot(channel, route, atLeast),
			merged: mergeEntries,
			noticed: (entries) => this.noticed(channel, route, entries),
		};
	}

	async #publish(channel: string, route: ChannelRoute, request: StateChange): Promise<Changed> {
		const { ifPosition } = request;
		const later = this.#pace.time();
		if (later !== undefined) {
			await later;
		}
		let placed = this.#recent.get(channel);
		let isFresh = placed === undefined;
		placed ??= await this.#read(channel, true);
		for (let tries = 0; tries < MAX_TRIES; tries++) {
			const isWrong = ifPosition !== undefined && !isSamePosition(placed.position, ifPosition);
			const present = placed;
			const step = isWrong ? undefined : await this.#pace.spend(() => this.#step(present, route, request.change));
			if (step !== undefined && !("status" in step)) {
				const result = await this.#append(channel, retentionOf(route), placed, step, request);
				if (result.status === "accepted") {
					return result;
				}
				if (result.status === "conflict" && result.early === true) {
					return { status: "early" };
				}
			} else if (isFresh) {
				// Final, unless it is the repeat of what was done before: to a value that is no longer this one.
				return (
					(await this.#doneBefore(channel, route, request)) ??
					step ?? { status: "conflict", position: placed.position, text: this.#textOf(placed) }
				);
			}
			placed = await this.#read(channel, true);
			isFresh = true;
		}
		return refused("unavailable", `other nodes were quicker ${MAX_TRIES} times`);
	}

	/** What is to be published, or why not. Synchronous where the schema is. */
	#step({ document }: Placed, { declaration }: ChannelRoute, change: Change): Step | Refused | Promise<Step | Refused> {
		const nowMs = this.#options.nowMs();
		const limits = declaration.state;
		const result = resultOf(document, change, nowMs);
		const bounded = (final: Result): Step | Refused => {
			const excess = limits && excessOf(final.value, final.text, limits);
			return excess === undefined ? stepOf(document, change, final, nowMs) : refused("too_large", excess);
		};
		const before = bounded(result);
		if ("status" in before || declaration.data === undefined) {
			return before;
		}
		const payload = { encoding: "json", bytes: result.text, value: result.value } as const;
		const checked = checkValue(declaration.data, payload);
		const conclude = (data: Awaited<typeof checked>): Step | Refused => {
			if (!data.ok) {
				return refused(data.code, data.message, data.issues);
			}
			return data.bytes === result.text
				? before
				: bounded({ text: new Uint8Array(data.bytes), value: decodeJson(data.bytes), asAsked: false });
		};
		return checked instanceof Promise ? checked.then(conclude) : conclude(checked);
	}

	async #append(
		channel: string,
		retention: Retention,
		placed: Placed,
		{ document, data, patch }: Step,
		request: Omit<StateChange, "change">,
	): Promise<PublishResult> {
		const { idempotencyKey, idempotencyMs, afterKey, attributes } = request;
		const snapshot = this.#pace.spend(() => recordOf(document));
		const result = await this.#broker
			.publish(
				channel,
				{ ...attributes, data, encoding: "json", ...(patch ? { patch } : {}) },
				{
					retention,
					snapshot,
					ifPosition: placed.position,
					...(idempotencyKey === undefined ? {} : { idempotencyKey }),
					...(idempotencyMs === undefined ? {} : { idempotencyMs }),
					...(afterKey === undefined ? {} : { afterKey }),
				},
			)
			.catch((cause: unknown) => {
				// Whether it was done is not known: what this node holds may be old.
				this.#recent.delete(channel);
				throw cause;
			});
		if (result.status === "accepted" && !result.duplicate) {
			// The text as a part of the record, which the broker may hold, too.
			const text = snapshot.subarray(snapshot.length - (document.text?.length ?? 0));
			const kept = new StateDocument(text, document.expires, document.value);
			this.#recent.set(channel, { position: result.position, document: kept });
			this.#due.set(channel, kept.dueMs, retention);
		}
		return result;
	}

	/** The first outcome of a repeated request, where it was accepted. */
	async #doneBefore(
		channel: string,
		route: ChannelRoute,
		{ idempotencyKey, idempotencyMs }: StateChange,
	): Promise<Changed | undefined> {
		if (idempotencyKey === undefined) {
			return undefined;
		}
		const result = await this.#broker.publish(
			channel,
			{ data: NOTHING, encoding: "json" },
			{
				retention: retentionOf(route),
				ifPosition: NOWHERE,
				idempotencyKey,
				...(idempotencyMs === undefined ? {} : { idempotencyMs }),
			},
		);
		return result.status === "accepted" ? result : undefined;
	}

	/** Reads the broker. Those who ask at one time share one answer, unless it must be `fresh`: not older than the call. */
	#read(channel: string, fresh = false): Promise<Placed> {
		const shared = fresh ? undefined : this.#reading.get(channel);
		if (shared !== undefined) {
			return shared;
		}
		const reading = this.#readNow(channel).finally(() => {
			if (this.#reading.get(channel) === reading) {
				this.#reading.delete(channel);
			}
		});
		this.#reading.set(channel, reading);
		return reading;
	}

	async #readNow(channel: string): Promise<Placed> {
		const { epoch, head, data } = await this.#broker.snapshot(channel);
		const document = this.#pace.spend(() => readRecord(data));
		const placed = { position: { epoch, offset: head }, document };
		this.#recent.set(channel, placed);
		return placed;
	}

	#textOf({ document }: Placed): Uint8Array | undefined {
		return document.at(this.#options.nowMs()).text;
	}

	/** Publishes that members have expired. Of several nodes that do, one succeeds, and the others find nothing left. */
	#expire(channel: string, retention: Retention): void {
		this.#lanes
			.run(channel, async () => {
				let placed = await this.#read(channel, true);
				for (let tries = 0; tries < MAX_TRIES; tries++) {
					const nowMs = this.#options.nowMs();
					const change = { kind: "expiry" } as const;
					if (placed.document.expiredPatch(nowMs) === undefined) {
						this.#due.set(channel, placed.document.dueMs, retention);
						return;
					}
					// The schema is not asked: time is stronger.
					const step = stepOf(placed.document, change, resultOf(placed.document, change, nowMs), nowMs);
					const result = await this.#append(channel, retention, placed, step, { attributes: {} });
					if (result.status === "accepted") {
						return;
					}
					placed = await this.#read(channel, true);
				}
				// So busy a channel has writers, who take the expired members along.
				this.#due.set(channel, this.#options.nowMs() + RETRY_MS, retention);
			})
			.catch((cause: unknown) => {
				if (this.#stopped) {
					return;
				}
				this.#options.failed(channel, cause);
				this.#due.set(channel, this.#options.nowMs() + RETRY_MS, retention);
			});
	}
}

function isSamePosition(a: Position, b: Position): boolean {
	return a.epoch === b.epoch && a.offset === b.offset;
}

/** A position in another epoch says nothing of the two. */
function isAtLeast(position: Position, least: Position | undefined): boolean {
	return least === undefined || (position.epoch === least.epoch && position.offset >= least.offset);
}

function refused(code: Refused["code"], message: string, issues: readonly Issue[] = []): Refused {
	return { status: "refused", code, message, issues };
}
