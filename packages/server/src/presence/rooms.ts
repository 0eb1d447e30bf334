/**
 * The rooms of this node, and what they know of the members of other nodes: read from the records when a room opens, kept
 * up by what nodes tell, and read again where something was missed, and now and then in any case.
 */
import type { Broker, BrokerListener, Entry, KeyedRecord } from "@tidewire/broker";
import type { BrokerEar } from "../broker-ear.ts";
import { type Change, decodeChanges, decodeRow, type Row } from "./member.ts";
import type { NodeLease } from "./node-lease.ts";
import { type Claim, type PresenceChannel, Room } from "./room.ts";

const FEED = "$presence:";
const PAGE = 500;

export interface RoomsOptions {
	readonly broker: Broker;
	readonly ear: Pick<BrokerEar, "on">;
	readonly lease: NodeLease;
	readonly nowMs: () => number;
	/** The roster may have changed. */
	readonly changed: (room: Room) => void;
	/** A claim's record is not there, or not as it was: it is to be written again. */
	readonly missing: (claim: Claim) => void;
	/** Another node has the claim's session now. */
	readonly overtaken: (claim: Claim, by: Row) => void;
	/** The broker did not answer: `load` is to be called again. */
	readonly failed: (room: Room, cause: unknown) => void;
}

export class Rooms implements BrokerListener {
	readonly #options: RoomsOptions;
	readonly #rooms = new Map<string, Room>();

	constructor(options: RoomsOptions) {
		this.#options = options;
		options.ear.on(FEED, this);
	}

	get size(): number {
		return this.#rooms.size;
	}

	[Symbol.iterator](): Iterator<Room> {
		return this.#rooms.values();
	}

	find(name: string): Room | undefined {
		return this.#rooms.get(name);
	}

	/** Opens a room, or waits until it is open. `use` is called at once then. Rejects with the broker's error. */
	async open<T>(channel: PresenceChannel, use: (room: Room) => T): Promise<T> {
		const room = this.#rooms.get(channel.name) ?? this.#make(channel);
		room.opening++;
		try {
			await room.opened;
			return use(room);
		} finally {
			room.opening--;
			this.closeIfUnused(room, this.#options.nowMs());
		}
	}

	#make(channel: PresenceChannel): Room {
		const room = new Room(channel, FEED);
		this.#rooms.set(room.name, room);
		room.opened = this.#options.broker
			.subscribe(room.feed)
			.then(() => this.#read(room))
			.then(
				() => {
					room.opened = undefined;
				},
				(cause: unknown) => {
					// Whoever comes next tries again.
					this.#close(room);
					throw cause;
				},
			);
		return room;
	}

	closeIfUnused(room: Room, nowMs: number): void {
		if (room.unused && room.lingerMs <= nowMs && room.opened === undefined) {
			this.#close(room);
		}
	}

	#close(room: Room): void {
		if (!room.closed) {
			room.closed = true;
			this.#rooms.delete(room.name);
			this.#options.broker.unsubscribe(room.feed);
		}
	}

	// What nodes tell.

	entries(feed: string, epoch: string, entries: readonly Entry[]): void {
		const room = this.#rooms.get(feed.slice(FEED.length));
		if (room === undefined) {
			return;
		}
		for (const entry of entries) {
			const previous = entry.previous ?? entry.offset - 1;
			const seamless = room.epoch === undefined || (room.epoch === epoch && room.offset === previous);
			room.epoch = epoch;
			room.offset = entry.offset;
			for (const change of decodeChanges(entry.data)) {
				this.#hear(room, change);
			}
			if (!seamless) {
				void this.load(room);
			}
		}
		this.#options.changed(room);
	}

	reset(feed: string): void {
		const room = this.#rooms.get(feed.slice(FEED.length));
		if (room !== undefined) {
			room.epoch = undefined;
			void this.load(room);
		}
	}

	#hear(room: Room, change: Change): void {
		const { lease, missing, overtaken } = this.#options;
		const { id, owner, stamp } = change.kind === "here" ? change.row : change;
		if (owner === lease.owner) {
			return;
		}
		const claim = claimOf(room, id);
		if (claim !== undefined && room.dirty.has(claim)) {
			// What this node claims is about to be written: the record will show who was first.
			return;
		}
		if (claim !== undefined) {
			if (change.kind === "here" && stamp > claim.row.stamp) {
				overtaken(claim, change.row);
			} else {
				missing(claim);
				return;
			}
		}
		lease.seen(owner);
		if (change.kind === "gone" && change.said) {
			room.overtaken.delete(id);
		}
		const verdict = change.kind === "here" ? room.roster.hearHere(change.row) : room.roster.hearGone(id, owner, stamp);
		if (verdict === "doubtful") {
			void this.#verify(room, id);
		}
	}

	/** What is known of a member does not fit what is told: the record decides. */
	async #verify(room: Room, id: string): Promise<void> {
		const before = room.roster.get(id);
		try {
			const bytes = await this.#options.broker.records.get(room.keyOf(id));
			// What was told meanwhile is newer.
			if (room.closed || room.roster.get(id) !== before || claimOf(room, id) !== undefined) {
				return;
			}
			const row = bytes === undefined ? undefined : decodeRow(bytes);
			if (row === undefined) {
				room.roster.remove(id);
			} else {
				this.#options.lease.seen(row.owner);
				room.roster.put(row);
			}
			this.#options.changed(room);
		} catch (cause) {
			this.#options.failed(room, cause);
		}
	}

	/** The nodes have died: whoever is there only by their word leaves. */
	bury(dead: readonly string[]): void {
		const owners = new Set(dead);
		for (const room of this.#rooms.values()) {
			const left = [...room.roster.rows()].filter((row) => owners.has(row.owner));
			for (const row of left) {
				room.roster.remove(row.id);
			}
			if (left.length > 0) {
				this.#options.changed(room);
				void this.#erase(room, left);
			}
		}
	}

	/** Their records say nothing any more. Every node with the room does so: the first finds them. */
	async #erase(room: Room, rows: readonly Row[]): Promise<void> {
		const { records } = this.#options.broker;
		try {
			for (const row of rows) {
				const key = room.keyOf(row.id);
				const bytes = await records.get(key);
				if (bytes !== undefined && decodeRow(bytes)?.owner === row.owner) {
					await records.replace(key, bytes, undefined, 1);
				}
			}
		} catch (cause) {
			this.#options.failed(room, cause);
		}
	}

	// What the records say.

	/** Reads them again. Never rejects. */
	load(room: Room): Promise<void> {
		if (room.opened !== undefined || room.closed) {
			return Promise.resolve();
		}
		room.loading ??= this.#read(room)
			.catch((cause: unknown) => this.#options.failed(room, cause))
			.finally(() => {
				room.loading = undefined;
			});
		return room.loading;
	}

	async #read(room: Room): Promise<void> {
		const { lease, nowMs } = this.#options;
		room.readMs = nowMs();
		room.roster.beginReading();
		let touched: ReadonlySet<string>;
		const rows: Row[] = [];
		let living: ReadonlySet<string> | undefined;
		try {
			for await (const page of this.#pages(room)) {
				rows.push(...page.flatMap(({ value }) => decodeRow(value) ?? []));
			}
			if (!lease.isBlind && rows.some(({ owner }) => !lease.knows(owner))) {
				// After the records, since a node holds its lease before it writes one.
				living = await lease.living();
			}
		} finally {
			touched = room.roster.endReading();
		}
		if (!room.closed) {
			this.#compare(room, rows, touched, living);
		}
	}

	#compare(room: Room, rows: readonly Row[], touched: ReadonlySet<string>, living?: ReadonlySet<string>): void {
		const { lease, missing, changed } = this.#options;
		const found = new Map<string, Row>();
		const garbage: Row[] = [];
		for (const row of rows) {
			const { id, owner } = row;
			const mine = owner === lease.owner;
			const isDead = living?.has(owner) === false;
			if (mine ? !room.claims.has(id) : isDead) {
				garbage.push(row);
				continue;
			}
			found.set(id, row);
			lease.seen(owner);
			if (!mine && !touched.has(id) && claimOf(room, id) === undefined) {
				room.roster.put(row);
			}
		}
		for (const { id } of [...room.roster.rows()]) {
			if (!found.has(id) && !touched.has(id) && claimOf(room, id) === undefined) {
				room.roster.remove(id);
			}
		}
		for (const claim of room.claims.values()) {
			const { id } = claim.row;
			if (!room.dirty.has(claim) && !touched.has(id) && found.get(id)?.owner !== lease.owner) {
				missing(claim);
			}
		}
		if (garbage.length > 0) {
			void this.#erase(room, garbage);
		}
		changed(room);
	}

	async *#pages(room: Room): AsyncGenerator<readonly KeyedRecord[]> {
		const { records } = this.#options.broker;
		let after: string | undefined;
		for (;;) {
			const page = await records.list(room.keys, { limit: PAGE, ...(after === undefined ? {} : { after }) });
			yield page;
			after = page.at(-1)?.key;
			if (page.length < PAGE) {
				return;
			}
		}
	}
}

/** Whom this node answers for, and goes on to. */
function claimOf(room: Room, id: string): Claim | undefined {
	const claim = room.claims.get(id);
	return claim?.leaving === true ? undefined : claim;
}
