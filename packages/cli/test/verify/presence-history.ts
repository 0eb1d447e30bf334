/**
 * The presence part of the modelled histories: a few clients that enter a channel, watch each other, leave, lose their
 * connections and come back to their sessions or to others; and a server that keeps a roster and tells each watcher the
 * difference. Its draws are its own, so that the rest of a history is the same with it and without.
 */
import { between, pick, type Random, seeded } from "../../src/verify/fault/random.ts";
import type { RecordEvent } from "../../src/verify/record/event.ts";

export const PRESENCE_BUGS = [
	"lose one leave event",
	"lose one join event",
	"keep a member beyond its grace",
	"tell of leaving though it came back within the grace",
	"leave a member out of the list",
] as const;

export type PresenceBug = (typeof PRESENCE_BUGS)[number];

type Untimed = RecordEvent extends infer E ? (E extends RecordEvent ? Omit<E, "t"> : never) : never;

export interface PresenceWorld {
	now(): number;
	pass(ms: number): void;
	/** Records it, at this moment. */
	say(event: Untimed): void;
	plant(bug: PresenceBug): boolean;
	/** Whether the bug, whichever it is, has come. */
	readonly planted: boolean;
}

interface Attendee {
	readonly client: string;
	session: string;
	connected: boolean;
	inside: boolean;
	/** What it was told; undefined where it does not watch. */
	told: Set<string> | undefined;
	listed: boolean;
}

const CHANNEL = "room";
const GRACE_MS = 15_000;

export class PresenceModel {
	readonly #random: Random;
	readonly #world: PresenceWorld;
	readonly #attendees: readonly Attendee[];
	/** When each member goes. */
	readonly #roster = new Map<string, number>();
	#ids = 0;

	constructor(seed: number, world: PresenceWorld) {
		this.#random = seeded(seed ^ 0x5eed);
		this.#world = world;
		this.#attendees = ["m1", "m2", "m3", "m4"].map((client) => {
			return { client, session: "", connected: false, inside: false, told: undefined, listed: false };
		});
	}

	step(): void {
		this.#world.pass(between(this.#random, 0, 10));
		this.#expire();
		const each = pick(this.#random, this.#attendees);
		const dice = this.#random();
		if (dice < 0.3) {
			this.#enter(each);
		} else if (dice < 0.6) {
			this.#tell(each);
		} else if (dice < 0.75) {
			this.#list(each);
		} else if (this.#world.planted) {
			this.#connect(each);
		} else if (dice < 0.85) {
			this.#exit(each);
		} else if (dice < 0.9) {
			this.#cut(each);
		} else if (dice < 0.98) {
			this.#connect(each);
		} else {
			this.#world.pass(between(this.#random, 0, GRACE_MS));
		}
	}

	/** Everybody comes back, and all is told, also of those whose grace is over then. */
	settle(): void {
		for (const each of this.#attendees) {
			this.#enter(each);
		}
		this.#world.pass(2 * GRACE_MS);
		this.#expire();
		for (const each of this.#attendees) {
			this.#tell(each);
		}
		for (const each of this.#attendees) {
			this.#list(each);
		}
	}

	#expire(): void {
		for (const [id, goneMs] of this.#roster) {
			if (goneMs <= this.#world.now() && !this.#world.plant("keep a member beyond its grace")) {
				this.#roster.delete(id);
			} else if (goneMs <= this.#world.now()) {
				this.#roster.set(id, Number.POSITIVE_INFINITY);
			}
		}
	}

	#connect(each: Attendee): void {
		if (each.connected) {
			return;
		}
		const resumed = each.session !== "" && this.#random() < 0.7;
		each.session = resumed ? each.session : `member${++this.#ids}`;
		each.connected = true;
		const about = { client: each.client, session: each.session, resumed, durability: "stored", node: "n" };
		this.#world.say({ event: "connected", ...about });
	}

	#enter(each: Attendee): void {
		this.#connect(each);
		if (each.inside) {
			return;
		}
		const about = { client: each.client, channel: CHANNEL, member: each.session };
		this.#world.say({ event: "enter", ...about });
		this.#world.pass(between(this.#random, 0, 50));
		const stayed = this.#roster.get(each.session);
		this.#roster.set(each.session, Number.POSITIVE_INFINITY);
		each.inside = true;
		this.#world.say({ event: "entered", ...about });
		each.told = new Set(this.#roster.keys());
		each.listed = false;
		const inTime = stayed !== undefined && stayed - this.#world.now() > GRACE_MS / 2;
		const other = this.#attendees.find(({ told, listed }) => listed && told?.has(each.session) === true);
		const sure = this.#since.get(each.session) ?? Number.POSITIVE_INFINITY;
		if (inTime && other !== undefined && sure + 6_000 < this.#world.now()) {
			if (this.#world.plant("tell of leaving though it came back within the grace")) {
				this.#world.say({ event: "leave", ...about, client: other.client });
				this.#world.say({ event: "join", ...about, client: other.client });
			}
		} else if (!inTime) {
			this.#since.set(each.session, this.#world.now());
		}
	}

	/** Since when a member has been there without a break, as far as its watchers have to know. */
	readonly #since = new Map<string, number>();

	#exit(each: Attendee): void {
		if (!each.inside) {
			return;
		}
		const about = { client: each.client, channel: CHANNEL };
		this.#world.say({ event: "exit", ...about });
		this.#leave(each);
		this.#roster.delete(each.session);
		this.#world.say({ event: "exited", ...about });
	}

	#cut(each: Attendee): void {
		if (!each.connected) {
			return;
		}
		each.connected = false;
		this.#world.say({ event: "lost", client: each.client, code: 1006, reason: "" });
		if (each.inside) {
			this.#roster.set(each.session, this.#world.now() + GRACE_MS);
		}
		this.#leave(each);
	}

	#leave(each: Attendee): void {
		each.inside = false;
		each.told = undefined;
		each.listed = false;
	}

	/** The difference between what it was told and what is there. */
	#tell(each: Attendee): void {
		const { told, client } = each;
		if (told === undefined) {
			return;
		}
		for (const member of this.#roster.keys()) {
			const about = { client, channel: CHANNEL, member };
			if (!told.has(member)) {
				told.add(member);
				if (!(each.listed && this.#world.plant("lose one join event"))) {
					this.#world.say({ event: "join", ...about });
				}
			} else if (this.#random() < 0.05) {
				this.#world.say({ event: "update", ...about });
			}
		}
		for (const member of told) {
			if (!this.#roster.has(member)) {
				told.delete(member);
				if (!(each.listed && this.#world.plant("lose one leave event"))) {
					this.#world.say({ event: "leave", client, channel: CHANNEL, member });
				}
			}
		}
	}

	#list(each: Attendee): void {
		if (each.told === undefined) {
			return;
		}
		const asked = this.#world.now();
		this.#tell(each);
		const members = [...this.#roster.keys()];
		if (each.listed && members.length > 1 && this.#world.plant("leave a member out of the list")) {
			members.pop();
		}
		this.#world.say({ event: "members", client: each.client, channel: CHANNEL, asked, members });
		each.listed = true;
	}
}
