/** What this node holds of one channel's presence: who is there, who watches here, and whom this node answers for. */
import type { WheelItem } from "../connection/wheel.ts";
import type { Subscriber } from "../hub/subscription.ts";
import { Audience, type Watcher } from "./audience.ts";
import type { Member, Row } from "./member.ts";
import { Roster } from "./roster.ts";

/** A channel, as presence is asked for it. */
export interface PresenceChannel {
	/** The broker's. */
	readonly name: string;
	/** What those who watch know it by, the same for all of them. */
	readonly wireName: string;
	readonly maxMembers: number;
}

/** One connection's part in a room. */
export interface Seat {
	readonly room: Room;
	readonly subscriber: Subscriber;
	watcher: Watcher | undefined;
	/** The member that it is. Another connection of its session may take it over. */
	claim: Claim | undefined;
	/** The member that it was, and is again when the connection that took it over fails. */
	overtaken: Member | undefined;
}

/** A member that this node answers for. On the wheel for the end of its grace, or to have its record renewed. */
export class Claim implements WheelItem {
	wheelNext: WheelItem | undefined;
	wheelPrevious: WheelItem | undefined;
	dueMs = 0;
	readonly room: Room;
	/** What it is to be. */
	row: Row;
	/** What its record is, as far as is known. */
	stored: Row | undefined;
	/** What other nodes have been told, for sure. */
	told: Row | undefined;
	/** Whether they may have heard of it at all. */
	heardOf: boolean;
	/** How often it was marked as changed. */
	marks = 0;
	/** Undefined while it waits for its session to come back. */
	seat: Seat | undefined;
	leaving = false;
	/** Its session has said that it leaves. */
	said = false;

	constructor(room: Room, row: Row, stored: Row | undefined) {
		this.room = room;
		this.row = row;
		this.stored = stored;
		this.heardOf = stored !== undefined;
	}
}

export class Room {
	readonly name: string;
	readonly wireName: string;
	/** The internal channel in which nodes tell each other. */
	readonly feed: string;
	/** What the keys of its records begin with: of no other channel's, whatever names look like. */
	readonly keys: string;
	readonly roster = new Roster();
	readonly audience: Audience;
	readonly claims = new Map<string, Claim>();
	/** Claims whose records are not what they should be. */
	readonly dirty = new Set<Claim>();
	seats = 0;
	/** Seats whose members were taken over by other nodes, by member. */
	readonly overtaken = new Map<string, Seat>();
	/** How many wait for it to open. */
	opening = 0;
	opened: Promise<void> | undefined;
	/** Until then it stays open for those who only ask who is there. */
	lingerMs = Number.NEGATIVE_INFINITY;
	/** Where the feed stands; undefined until something has come by it. */
	epoch: string | undefined;
	offset = 0;
	writing = false;
	/** When the last batch was begun to be written. */
	wroteMs = Number.NEGATIVE_INFINITY;
	/** A telling is on its way. */
	tellDue = false;
	loading: Promise<void> | undefined;
	/** When its records were last read. */
	readMs = Number.NEGATIVE_INFINITY;
	closed = false;

	constructor({ name, wireName }: PresenceChannel, feedPrefix: string) {
		this.name = name;
		this.wireName = wireName;
		this.feed = feedPrefix + name;
		this.keys = `presence:${name.length}:${name}:`;
		this.audience = new Audience(wireName, this.roster);
	}

	keyOf(id: string): string {
		return this.keys + id;
	}

	get unused(): boolean {
		return this.seats === 0 && this.opening === 0 && this.claims.size === 0 && !this.writing;
	}
}
