/**
 * The members that this node answers for: who they are, whose connection they have, and when their grace is over. What
 * they are is shown here at once, and marked to be written down.
 */
import { Wheel } from "../connection/wheel.ts";
import { RECORD_TTL_MS } from "./ledger.ts";
import type { Member, Row } from "./member.ts";
import type { NodeLease } from "./node-lease.ts";
import { Claim, type Room, type Seat } from "./room.ts";

export const TICK_MS = 1_000;
const WHEEL_SLOTS = 64;

export interface ClaimsOptions {
	readonly lease: Pick<NodeLease, "owner" | "seen">;
	readonly nowMs: () => number;
	/** The claim's record is not what the claim is. */
	readonly mark: (claim: Claim) => void;
	/** The room's roster may have changed. */
	readonly changed: (room: Room) => void;
	/** Nothing may be left of it. */
	readonly freed: (room: Room) => void;
}

export class Claims {
	readonly #options: ClaimsOptions;
	readonly #wheel: Wheel<Claim>;
	#size = 0;
	#refreshes = 0;

	constructor(options: ClaimsOptions) {
		this.#options = options;
		this.#wheel = new Wheel(TICK_MS, WHEEL_SLOTS, options.nowMs());
	}

	get size(): number {
		return this.#size;
	}

	/** Its connection is lost: it stays for a while. */
	detach(seat: Seat, graceMs: number): void {
		const { claim } = seat;
		if (claim === undefined || graceMs <= 0) {
			this.release(seat, false);
			return;
		}
		claim.seat = undefined;
		seat.claim = undefined;
		this.#wheel.set(claim, this.#options.nowMs() + graceMs);
	}

	/** To be called each `TICK_MS`. */
	tick(nowMs: number): void {
		for (const claim of this.#wheel.advance(nowMs)) {
			if (claim.seat === undefined) {
				this.leave(claim);
			} else {
				this.#refreshLater(claim);
				this.#options.mark(claim);
			}
		}
	}

	/** Members that were taken over and are gone now are those of the connections here again. */
	revive(room: Room): void {
		for (const [id, seat] of room.overtaken) {
			if (room.roster.get(id) === undefined && seat.overtaken !== undefined) {
				this.claim(seat, seat.overtaken);
			}
		}
	}

	/** It is no member any more, now or later. */
	release(seat: Seat, said: boolean): void {
		const { room, claim, overtaken } = seat;
		if (overtaken !== undefined && room.overtaken.get(overtaken.id) === seat) {
			room.overtaken.delete(overtaken.id);
		}
		seat.overtaken = undefined;
		if (claim !== undefined) {
			claim.said = said;
			this.leave(claim);
		}
	}

	/** Even where a member looks as before, it is written: another node may have had it in between. */
	claim(seat: Seat, member: Member): void {
		const { room } = seat;
		const known = room.roster.get(member.id);
		const stamp = Math.max((known?.stamp ?? 0) + 1, Math.floor(this.#options.nowMs()));
		const { id, user, data, sinceMs } = member;
		const row: Row = { id, user, data, sinceMs, owner: this.#options.lease.owner, stamp };
		let claim = room.claims.get(id);
		if (claim === undefined) {
			claim = new Claim(room, row, known);
			room.claims.set(id, claim);
			this.#size++;
		}
		room.overtaken.delete(id);
		seat.overtaken = undefined;
		claim.row = row;
		claim.leaving = false;
		claim.said = false;
		if (claim.seat !== undefined) {
			claim.seat.claim = undefined;
		}
		claim.seat = seat;
		seat.claim = claim;
		this.#refreshLater(claim);
		this.show(claim);
		this.#options.mark(claim);
	}

	leave(claim: Claim): void {
		if (claim.seat !== undefined) {
			claim.seat.claim = undefined;
			claim.seat = undefined;
		}
		claim.leaving = true;
		this.#wheel.remove(claim);
		claim.room.roster.remove(claim.row.id);
		this.#options.changed(claim.room);
		this.#options.mark(claim);
	}

	/** This node does not answer for it any more: it has left, or is with another node. */
	forget(claim: Claim): void {
		const { room, seat } = claim;
		this.#wheel.remove(claim);
		room.dirty.delete(claim);
		if (room.claims.get(claim.row.id) === claim) {
			room.claims.delete(claim.row.id);
			this.#size--;
		}
		if (seat !== undefined) {
			seat.claim = undefined;
			claim.seat = undefined;
		}
		this.#options.freed(room);
	}

	/**
	 * Another node has the session. Where its connection here lives on, that may have been the later one after all: it is
	 * the member again if the other fails.
	 */
	overtake(claim: Claim, by: Row): void {
		const { room, seat, row } = claim;
		this.forget(claim);
		room.roster.put(by);
		this.#options.lease.seen(by.owner);
		if (seat !== undefined) {
			seat.overtaken = row;
			room.overtaken.set(row.id, seat);
		}
		this.#options.changed(room);
	}

	show({ room, row, leaving }: Claim): void {
		if (!leaving) {
			room.roster.put(row);
			this.#options.changed(room);
		}
	}

	#refreshLater(claim: Claim): void {
		// Spread, so that those who came together are not written together.
		const part = 0.5 + (this.#refreshes++ % 256) / 1_024;
		this.#wheel.set(claim, this.#options.nowMs() + RECORD_TTL_MS * part);
	}

	/** Others may have been told that it left: they are told anew. */
	restore(claim: Claim): void {
		claim.told = undefined;
		this.#options.mark(claim);
	}
}
