/**
 * Who was told of which members, against who was there (I7). What the clients did says when a member has to be there and
 * when it has to be gone; between the two, while it comes, goes or is given its grace, either is right. What one watcher is
 * told has to agree with itself as well: joins and leaves of a member alternate, and the list is the sum of them.
 */
import type { ConnectedEvent, LostEvent, MembersEvent, PresenceEvent, ToldEvent } from "../record/event.ts";
import type { Findings } from "./counters.ts";

export interface PresenceOptions {
	readonly findings: Findings;
	/** For how long the server keeps a member whose connection is lost. */
	readonly graceMs: number;
	/** How much later than it is due a change may be known. */
	readonly lateMs: number;
}

interface Member {
	readonly id: string;
	readonly client: string;
	/** Since when it has been there for certain; undefined while it has not. */
	sinceMs: number | undefined;
	/** Until when that holds: open while it is connected. */
	untilMs: number;
	/** From when it has to be gone; open while it may be there. */
	goneByMs: number;
	line: number;
	/** What is wrong if it comes back to its session in time, and is nothing otherwise. */
	suspicions: (() => void)[];
}

interface Watcher {
	readonly client: string;
	/** Whether it is told what changes. */
	watching: boolean;
	/** Whether it wants to be, and was not refused. */
	wanted: boolean;
	/** What it was told of each member: there, or gone. Of others nothing, or, where `whole`, that they are not there. */
	told: Map<string, boolean>;
	whole: boolean;
}

interface Room {
	readonly name: string;
	readonly members: Map<string, Member>;
	readonly watchers: Map<string, Watcher>;
}

/** What the end of a connection by accident is recorded with: after anything else a server may see its client off. */
const ACCIDENT = 1006;

export class Presence {
	readonly #findings: Findings;
	readonly #graceMs: number;
	readonly #lateMs: number;
	readonly #rooms = new Map<string, Room>();

	constructor({ findings, graceMs, lateMs }: PresenceOptions) {
		this.#findings = findings;
		this.#graceMs = graceMs;
		this.#lateMs = lateMs;
	}

	/** With another session the members of those before are nobody's, and go when their grace is over. */
	connected({ client, session, t }: ConnectedEvent): void {
		for (const member of this.#membersOf(client)) {
			if (member.id !== session) {
				this.#mayGo(member, t);
				member.goneByMs = Math.min(member.goneByMs, t + this.#graceMs + this.#lateMs);
			}
		}
	}

	/** Half of the grace is certain: the rest may have been used up before the client knew (a lease, a heartbeat). */
	lost({ client, code, t }: LostEvent, line: number): void {
		for (const { watchers } of this.#rooms.values()) {
			const watcher = watchers.get(client);
			if (watcher !== undefined) {
				forget(watcher);
			}
		}
		for (const member of this.#membersOf(client)) {
			member.untilMs = Math.min(member.untilMs, code === ACCIDENT ? t + this.#graceMs / 2 : t);
			if (isPresent(member)) {
				member.goneByMs = t + this.#graceMs + this.#lateMs;
				member.line = line;
			}
		}
	}

	see(event: PresenceEvent, line: number): void {
		const room = this.#room(event.channel);
		const watcher = watcherOf(room, event.client);
		const { t } = event;
		switch (event.event) {
			case "enter": {
				watcher.wanted = true;
				const member = memberOf(room, event.member, event.client, line);
				member.goneByMs = Number.POSITIVE_INFINITY;
				if (t > member.untilMs) {
					this.#mayGo(member, t);
				}
				break;
			}
			case "entered":
				watcher.watching = true;
				this.#entered(memberOf(room, event.member, event.client, line), t, line);
				break;
			case "not-entered":
			case "exit":
				forget(watcher);
				watcher.wanted = false;
				for (const member of of(room, event.client)) {
					this.#mayGo(member, t);
				}
				break;
			case "exited":
				for (const member of of(room, event.client).filter(isPresent)) {
					member.goneByMs = t + this.#lateMs;
					member.line = line;
				}
				break;
			case "join":
			case "leave":
			case "update":
				if (watcher.watching) {
					this.#told(room, watcher, event, line);
				}
				break;
			case "count":
				watcher.told = new Map();
				watcher.whole = false;
				this.#counted(room, watcher, event.count, t, line);
				break;
			case "members":
				if (watcher.watching && event.more !== true) {
					this.#listed(room, watcher, event, line);
				}
				break;
			default:
				event satisfies never;
		}
	}

	/** Everybody was given the time to know: what the watchers were told is to be who is there. */
	end(t: number, line: number, healed: boolean): void {
		for (const room of this.#rooms.values()) {
			for (const watcher of room.watchers.values()) {
				const { client, told, whole, watching, wanted } = watcher;
				if (!watching && wanted && healed) {
					this.#findings.add("stuck", [line], () => `${client} did not get back among the members of ${room.name}`);
				}
				for (const member of room.members.values()) {
					const shown = told.get(member.id);
					if (watching && shown === true && t > member.goneByMs) {
						this.#addGhost(room, watcher, member, line, "in the end was still told that it is there");
					} else if (watching && (shown === false || (whole && shown === undefined)) && this.#isSure(member, t)) {
						this.#suspect(room, watcher, member, line, "in the end was not told that it is there");
					}
				}
			}
		}
	}

	#told(room: Room, watcher: Watcher, { event, member: id, t }: ToldEvent, line: number): void {
		const { told, whole, client } = watcher;
		const member = room.members.get(id);
		const before = told.get(id) ?? (whole ? false : undefined);
		told.set(id, event !== "leave");
		if (member === undefined) {
			this.#findings.add("ghost", [line], () => `${client} was told of ${id} on ${room.name}, who never entered`);
		} else if (event === "join" && before === true) {
			this.#addGhost(room, watcher, member, line, "was told that it joins twice, and not that it left");
		} else if (event !== "join" && before === false) {
			this.#addMissing(room, watcher, member, line, `was told of its ${event}, and not that it had joined`);
		} else if (event !== "leave" && t > member.goneByMs) {
			this.#addGhost(room, watcher, member, line, `was told of its ${event} after it had gone`);
		} else if (event === "leave" && this.#isSure(member, t)) {
			this.#suspect(room, watcher, member, line, "was told that it left, which it had not");
		}
	}

	#listed(room: Room, watcher: Watcher, { members, asked, t }: MembersEvent, line: number): void {
		const { told, whole, client } = watcher;
		const listed = new Set(members);
		for (const id of listed) {
			const member = room.members.get(id);
			const before = told.get(id) ?? (whole ? false : undefined);
			if (member === undefined) {
				this.#findings.add("ghost", [line], () => `${client} has ${id} in the list of ${room.name}, who never entered`);
			} else if (asked > member.goneByMs) {
				this.#addGhost(room, watcher, member, line, "has it in the list after it had gone");
			} else if (before === false) {
				this.#addMissing(room, watcher, member, line, "has it in the list, but was not told that it joined");
			}
		}
		for (const member of room.members.values()) {
			if (!listed.has(member.id)) {
				if (told.get(member.id) === true) {
					this.#addGhost(room, watcher, member, line, "was not told that it left: it is not in the list any more");
				} else if (this.#isSure(member, asked) && this.#isSure(member, t)) {
					this.#suspect(room, watcher, member, line, "does not have it in the list");
				}
			}
		}
		watcher.told = new Map(members.map((id) => [id, true]));
		watcher.whole = true;
	}

	#counted(room: Room, { client }: Watcher, count: number, t: number, line: number): void {
		const all = [...room.members.values()];
		const least = all.filter((member) => isPresent(member) && this.#isSure(member, t)).length;
		const most = all.filter(({ goneByMs }) => goneByMs >= t).length;
		if (count < least || count > most) {
			this.#findings.add(count < least ? "missing_member" : "ghost", [line], () => {
				return `${client} was told that ${room.name} has ${count} members, where ${least} to ${most} were there`;
			});
		}
	}

	/** Whether it has been there for so long that everybody had to know, and is still. */
	#isSure({ sinceMs, untilMs }: Member, t: number): boolean {
		return sinceMs !== undefined && sinceMs + this.#lateMs <= t && t <= untilMs;
	}

	#entered(member: Member, t: number, line: number): void {
		if (member.sinceMs === undefined || t > member.untilMs) {
			member.sinceMs = t;
			member.line = line;
		} else {
			for (const confirm of member.suspicions) {
				confirm();
			}
		}
		member.suspicions = [];
		member.untilMs = Number.POSITIVE_INFINITY;
		member.goneByMs = Number.POSITIVE_INFINITY;
	}

	/** From here on it need not be there any more. */
	#mayGo(member: Member, t: number): void {
		member.sinceMs = undefined;
		member.untilMs = Math.min(member.untilMs, t);
		member.suspicions = [];
	}

	#addGhost({ name }: Room, { client }: Watcher, { id, line: since }: Member, line: number, what: string): void {
		this.#findings.add("ghost", [since, line], () => `${client} on ${name} and the member ${id}: ${client} ${what}`);
	}

	#addMissing({ name }: Room, { client }: Watcher, { id, line: since }: Member, line: number, what: string): void {
		this.#findings.add("missing_member", [since, line], () => {
			return `${client} on ${name} and the member ${id}: ${client} ${what}`;
		});
	}

	/** It was there and is not shown. Of one whose connection is lost it turns out later whether its session lives on. */
	#suspect(room: Room, watcher: Watcher, member: Member, line: number, what: string): void {
		if (isPresent(member)) {
			this.#addMissing(room, watcher, member, line, what);
		} else {
			member.suspicions.push(() => this.#addMissing(room, watcher, member, line, what));
		}
	}

	*#membersOf(client: string): Generator<Member> {
		for (const room of this.#rooms.values()) {
			yield* of(room, client);
		}
	}

	#room(name: string): Room {
		let room = this.#rooms.get(name);
		if (room === undefined) {
			room = { name, members: new Map(), watchers: new Map() };
			this.#rooms.set(name, room);
		}
		return room;
	}
}

function of({ members }: Room, client: string): readonly Member[] {
	return [...members.values()].filter((member) => member.client === client);
}

/** Whether it has a connection, or asks to be let in. */
function isPresent({ goneByMs }: Member): boolean {
	return goneByMs === Number.POSITIVE_INFINITY;
}

function memberOf({ members }: Room, id: string, client: string, line: number): Member {
	let member = members.get(id);
	if (member === undefined) {
		const open = Number.POSITIVE_INFINITY;
		member = { id, client, sinceMs: undefined, untilMs: open, goneByMs: open, line, suspicions: [] };
		members.set(id, member);
	}
	return member;
}

function watcherOf({ watchers }: Room, client: string): Watcher {
	let watcher = watchers.get(client);
	if (watcher === undefined) {
		watcher = { client, watching: false, wanted: false, told: new Map(), whole: false };
		watchers.set(client, watcher);
	}
	return watcher;
}

/** It is told nothing any more, and what it was told is void. */
function forget(watcher: Watcher): void {
	watcher.watching = false;
	watcher.told = new Map();
	watcher.whole = false;
}
