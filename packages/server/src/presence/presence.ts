/**
 * Presence on this node: connections enter channels and watch them, a lost connection's member stays for the grace, and the
 * node answers for its members with one lease. Who is there is told from the present state: `audience.ts` says how to those
 * who watch, `ledger.ts` how to other nodes. Who may do what is not its business.
 */
import type { Broker } from "@tidewire/broker";
import { CLOSE_REASONS, type CloseReason } from "@tidewire/protocol";
import type { BrokerEar } from "../broker-ear.ts";
import type { Subscriber } from "../hub/subscription.ts";
import type { Log } from "../observe/log.ts";
import { Refusal } from "../refusal.ts";
import { Claims, TICK_MS } from "./claims.ts";
import { Ledger } from "./ledger.ts";
import type { Member } from "./member.ts";
import { NodeLease } from "./node-lease.ts";
import type { PresenceChannel, Room, Seat } from "./room.ts";
import { Rooms } from "./rooms.ts";

export interface PresenceOptions {
	readonly broker: Broker;
	readonly ear: Pick<BrokerEar, "on">;
	readonly log: Log;
	/** For how long a member stays after the last sign of life of its connection, or its node. */
	readonly graceMs: number;
	/** After how long a silence a connection is given up: it has used up as much of its grace then. */
	readonly silenceMs: number;
	/** Milliseconds since 1970. */
	readonly nowMs: () => number;
	/** Runs a task later, once; the result calls it off. */
	readonly after: (delayMs: number, task: () => void) => () => void;
}

/** A connection, as far as presence knows it. */
export interface Attendant extends Subscriber {
	readonly closed: boolean;
}

/** What a connection asks for when it subscribes. */
export interface Part {
	readonly enter: boolean;
	readonly watch: boolean;
	readonly user: string | null;
	/** A JSON text; undefined: what the session's member had. */
	readonly data: string | undefined;
}

export interface ListOptions {
	/** Members after this one, in the order of their ids. */
	readonly after?: string | undefined;
	readonly limit?: number | undefined;
}

/** Who is in a channel: one page of the members, and how many there are. */
export interface Listing {
	readonly members: readonly Member[];
	/** Whether there are members after the last of these. */
	readonly more: boolean;
	readonly count: number;
	/** How many users they are; who is nobody does not count. */
	readonly users: number;
}

const MAX_PAGE = 1_000;
const MAX_PAGE_BYTES = 256 * 1024;
/** How often a room's records are read again; of many that are due, no more at a tick than it takes in half that time. */
const READ_EVERY_MS = 60_000;
const READ_ALL_TICKS = 30;
/** For how long a room stays open for those who only ask; and beyond how many rooms it does not. */
const LINGER_MS = 10_000;
const MAX_LINGERING = 1_000;
const WARN_EVERY_MS = 60_000;

export class Presence {
	readonly #options: PresenceOptions;
	readonly #lease: NodeLease;
	readonly #ledger: Ledger;
	readonly #rooms: Rooms;
	readonly #claims: Claims;
	readonly #seats = new Map<Subscriber, Seat[]>();
	readonly #retry = new Set<Room>();
	#cancelTick: (() => void) | undefined;
	#warnedMs = Number.NEGATIVE_INFINITY;
	#stopped = false;

	constructor(options: PresenceOptions) {
		this.#options = options;
		const { broker, ear, nowMs, after } = options;
		const failed = (room: Room, cause: unknown): void => this.#failed(cause, room);
		this.#lease = new NodeLease({
			records: broker.records,
			graceMs: options.graceMs,
			nowMs,
			lost: () => this.#reassert(),
		});
		this.#claims = new Claims({
			lease: this.#lease,
			nowMs,
			mark: (claim) => this.#ledger.mark(claim),
			changed: (room) => this.#changed(room),
			freed: (room) => this.#rooms.closeIfUnused(room, nowMs()),
		});
		this.#ledger = new Ledger({
			broker,
			lease: this.#lease,
			nowMs,
			after,
			failed,
			ended: (claim) => this.#claims.forget(claim),
			overtaken: (claim, by) => this.#claims.overtake(claim, by),
			corrected: (claim) => this.#claims.show(claim),
			settled: (room) => this.#rooms.closeIfUnused(room, this.#options.nowMs()),
		});
		this.#rooms = new Rooms({
			broker,
			ear,
			lease: this.#lease,
			nowMs,
			changed: (room) => this.#changed(room),
			missing: (claim) => this.#claims.restore(claim),
			overtaken: (claim, by) => this.#claims.overtake(claim, by),
			failed,
		});
	}

	/** How many channels this node keeps up with. */
	get rooms(): number {
		return this.#rooms.size;
	}

	/** How many members this node answers for. */
	get size(): number {
		return this.#claims.size;
	}

	/**
	 * Takes part in a channel, or changes how. Resolves when the member is in; what the result does, begins to watch: for
	 * after the reply. Rejects with `Refusal` (`limit_reached`), or the broker's error.
	 */
	async join(subscriber: Attendant, channel: PresenceChannel, part: Part): Promise<() => void> {
		return this.#open(channel, (room) => {
			if (subscriber.closed) {
				return () => {};
			}
			const held = this.#seatOf(subscriber, channel.wireName);
			if (part.enter) {
				const isNew = held?.claim === undefined && room.roster.get(subscriber.session) === undefined;
				if (isNew && room.roster.size >= channel.maxMembers) {
					throw new Refusal("limit_reached", `the channel has the ${channel.maxMembers} members that it may have`);
				}
			}
			const seat = held ?? this.#takeSeat(subscriber, room);
			if (part.enter) {
				this.#enter(seat, part);
			} else {
				this.#claims.release(seat, true);
			}
			if (!part.watch) {
				this.#unwatch(seat);
			}
			return () => {
				if (part.watch && seat.watcher === undefined && this.#seats.get(subscriber)?.includes(seat)) {
					seat.watcher = room.audience.add(subscriber);
				}
			};
		});
	}

	/** The subscription has ended: the member leaves at once. */
	leave(subscriber: Subscriber, wireName: string): void {
		const seat = this.#seatOf(subscriber, wireName);
		if (seat === undefined) {
			return;
		}
		const left = this.#seats.get(subscriber)!.filter((other) => other !== seat);
		if (left.length === 0) {
			this.#seats.delete(subscriber);
		} else {
			this.#seats.set(subscriber, left);
		}
		this.#vacate(seat);
	}

	/**
	 * The connection has ended. `why`: what either side said, or undefined for an accident. Who will not come back leaves at
	 * once.
	 */
	ended(subscriber: Subscriber, why: CloseReason | undefined): void {
		const seats = this.#seats.get(subscriber);
		if (seats === undefined) {
			return;
		}
		this.#seats.delete(subscriber);
		const { graceMs, silenceMs } = this.#options;
		const comesBack = why === undefined || CLOSE_REASONS[why].reconnect;
		const left = why === "heartbeat_lost" ? graceMs - silenceMs : graceMs;
		for (const seat of seats) {
			this.#vacate(seat, comesBack ? left : undefined);
		}
	}

	/** The connection takes more again. */
	unblocked(subscriber: Subscriber): void {
		for (const { watcher, room } of this.#seats.get(subscriber) ?? []) {
			if (watcher !== undefined && !subscriber.blocked) {
				room.audience.catchUp(watcher);
			}
		}
	}

	/** Changes the member's data. Whether this connection has a member there. */
	update(subscriber: Subscriber, wireName: string, data: string): boolean {
		const seat = this.#seatOf(subscriber, wireName);
		const member = seat?.claim?.row ?? seat?.overtaken;
		if (seat === undefined || member === undefined) {
			return false;
		}
		this.#claims.claim(seat, { ...member, data });
		return true;
	}

	/**
	 * Hands `use` who is there, as soon as that is known; at that moment `subscriber`, if it watches, has been told all up
	 * to then. Rejects with the broker's error.
	 */
	list<T>(
		channel: PresenceChannel,
		{ after, limit = MAX_PAGE }: ListOptions,
		use: (listing: Listing) => T,
		subscriber?: Subscriber,
	): Promise<T> {
		return this.#open(channel, (room) => {
			if (this.#rooms.size <= MAX_LINGERING) {
				room.lingerMs = this.#options.nowMs() + LINGER_MS;
			}
			const watcher = subscriber && this.#seatOf(subscriber, channel.wireName)?.watcher;
			if (watcher !== undefined) {
				room.audience.catchUp(watcher);
			}
			const { roster } = room;
			const page = roster.page(after, Math.min(limit, MAX_PAGE), MAX_PAGE_BYTES);
			return use({ ...page, count: roster.size, users: roster.users });
		});
	}

	/**
	 * Writes what is to be written, and renews the lease for the last time: members have the grace from here to come back
	 * to another node.
	 */
	async stop(): Promise<void> {
		this.#stopped = true;
		this.#cancelTick?.();
		try {
			await this.#ledger.finish();
			if (this.#claims.size > 0) {
				await this.#lease.renew();
			}
		} catch (cause) {
			this.#failed(cause);
		}
	}

	// Seats and claims.

	#open<T>(channel: PresenceChannel, use: (room: Room) => T): Promise<T> {
		this.#cancelTick ??= this.#options.after(TICK_MS, this.#tick);
		return this.#rooms.open(channel, use);
	}

	#seatOf(subscriber: Subscriber, wireName: string): Seat | undefined {
		return this.#seats.get(subscriber)?.find(({ room }) => room.wireName === wireName);
	}

	#takeSeat(subscriber: Subscriber, room: Room): Seat {
		const seat: Seat = { room, subscriber, watcher: undefined, claim: undefined, overtaken: undefined };
		const seats = this.#seats.get(subscriber);
		if (seats === undefined) {
			this.#seats.set(subscriber, [seat]);
		} else {
			seats.push(seat);
		}
		room.seats++;
		return seat;
	}

	/** `graceMs` undefined: it has said that it leaves. */
	#vacate(seat: Seat, graceMs?: number): void {
		const { room } = seat;
		this.#unwatch(seat);
		room.seats--;
		if (graceMs === undefined) {
			this.#claims.release(seat, true);
		} else {
			this.#claims.detach(seat, graceMs);
		}
		this.#rooms.closeIfUnused(room, this.#options.nowMs());
	}

	#unwatch(seat: Seat): void {
		if (seat.watcher !== undefined) {
			seat.room.audience.remove(seat.watcher);
			seat.watcher = undefined;
		}
	}

	#enter(seat: Seat, { user, data }: Part): void {
		const { room, subscriber } = seat;
		const id = subscriber.session;
		const known = room.roster.get(id);
		if (seat.claim !== undefined && known?.user === user && (data ?? known.data) === known.data) {
			return;
		}
		const sinceMs = known?.sinceMs ?? Math.floor(this.#options.nowMs());
		this.#claims.claim(seat, { id, user, data: data ?? known?.data, sinceMs });
	}

	#reassert(): void {
		for (const room of this.#rooms) {
			for (const claim of room.claims.values()) {
				this.#claims.restore(claim);
			}
		}
	}

	// Telling.

	#changed(room: Room): void {
		this.#claims.revive(room);
		if (!room.tellDue && !this.#stopped) {
			room.tellDue = true;
			// What happens in one turn is told as one.
			queueMicrotask(() => this.#tell(room));
		}
	}

	#tell(room: Room): void {
		room.tellDue = false;
		const wait = room.closed ? undefined : room.audience.tell(this.#options.nowMs());
		if (wait !== undefined && !this.#stopped) {
			room.tellDue = true;
			this.#options.after(wait, () => this.#tell(room));
		}
	}

	// The clock.

	readonly #tick = (): void => {
		this.#cancelTick = undefined;
		const nowMs = this.#options.nowMs();
		this.#claims.tick(nowMs);
		for (const room of this.#retry) {
			this.#retry.delete(room);
			this.#ledger.write(room);
			void this.#rooms.load(room);
		}
		void this.#watchNodes();
		let reads = Math.ceil(this.#rooms.size / READ_ALL_TICKS);
		for (const room of this.#rooms) {
			this.#rooms.closeIfUnused(room, nowMs);
			if (reads > 0 && nowMs - room.readMs >= READ_EVERY_MS) {
				reads--;
				void this.#rooms.load(room);
			}
		}
		if (this.#rooms.size > 0 && !this.#stopped) {
			this.#cancelTick = this.#options.after(TICK_MS, this.#tick);
		}
	};

	/** Renews this node's lease, and looks after those of the others. Never rejects. */
	async #watchNodes(): Promise<void> {
		try {
			if (this.#claims.size > 0 && this.#lease.due) {
				await this.#lease.renew();
			}
			if (!this.#lease.alone) {
				this.#rooms.bury(await this.#lease.look());
			}
		} catch (cause) {
			this.#failed(cause);
		}
	}

	#failed(cause: unknown, room?: Room): void {
		this.#lease.blind();
		if (room !== undefined && !room.closed) {
			this.#retry.add(room);
		}
		const nowMs = this.#options.nowMs();
		if (nowMs - this.#warnedMs >= WARN_EVERY_MS) {
			this.#warnedMs = nowMs;
			this.#options.log.warn("presence could not be kept up with the broker; it is tried again", { cause });
		}
	}
}
