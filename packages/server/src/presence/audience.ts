/**
 * Who watches a channel's members, and what they are told. There is no queue for each: changes are noted in segments, each
 * made of what was there before, and a watcher points at the first that it has not been told of. What it is told is the
 * difference between then and now, so joins and leaves of a member alternate, whatever happened in between. Segments
 * that nobody points at are garbage; whoever is too many changes behind is told to ask anew.
 *
 * In large channels only the count is told, at most once a second.
 */
import type { ChannelEvent } from "@tidewire/protocol";
import type { Encoding } from "../hub/encoding.ts";
import type { Subscriber } from "../hub/subscription.ts";
import type { Member } from "./member.ts";
import type { Changes, Roster } from "./roster.ts";

/** More members than the first: only counts; no more than the second: each by name again. */
export const COUNTS_ABOVE = 1_000;
export const NAMES_UP_TO = 800;
/** Changes that a watcher may be behind. */
export const MAX_BEHIND = 1_000;
/** How often watchers are told: of members, and of the count. */
export const TELL_EVERY_MS = 100;
export const COUNT_EVERY_MS = 1_000;

/** `next`: what it has not been told yet; undefined where it is to ask anew, or is told counts only. */
export interface Watcher {
	readonly subscriber: Subscriber;
	next: Segment | undefined;
	/** The count that it was told last. */
	count: number;
}

class Segment {
	/** How many changes were noted before it. */
	readonly start: number;
	/** Undefined while it is the last, whose changes are still with the roster. */
	changes: Changes | undefined;
	next: Segment | undefined;

	constructor(start: number) {
		this.start = start;
	}
}

/** A member that came, left or changed. */
interface Difference {
	readonly event: "join" | "leave" | "update";
	readonly member: Member;
	/** The user that it belonged to before, if it is no join. */
	readonly before: Member | undefined;
}

/** What is said to all watchers that are equally far behind: made once for each encoding. */
interface Telling {
	readonly differences: readonly Difference[];
	readonly frames: (Uint8Array | undefined)[];
}

export class Audience {
	readonly #wireName: string;
	readonly #roster: Roster;
	readonly #watchers = new Set<Watcher>();
	#last = new Segment(0);
	#counting = false;
	#toldMs = Number.NEGATIVE_INFINITY;

	constructor(wireName: string, roster: Roster) {
		this.#wireName = wireName;
		this.#roster = roster;
	}

	get size(): number {
		return this.#watchers.size;
	}

	/** Watches from now on: what is there now, it has to ask for. */
	add(subscriber: Subscriber): Watcher {
		this.#cut();
		this.#judge();
		const watcher: Watcher = { subscriber, next: this.#counting ? undefined : this.#last, count: -1 };
		this.#watchers.add(watcher);
		if (this.#counting) {
			this.#bring(watcher, new Map());
		}
		return watcher;
	}

	remove(watcher: Watcher): void {
		this.#watchers.delete(watcher);
	}

	/** Tells what there is to tell, if it is time. How long until it should be called again, or undefined: nothing waits. */
	tell(nowMs: number): number | undefined {
		const left = this.#toldMs + (this.#counting ? COUNT_EVERY_MS : TELL_EVERY_MS) - nowMs;
		if (left > 0) {
			return left;
		}
		this.#cut();
		this.#judge();
		this.#toldMs = nowMs;
		const tellings = new Map<Segment, Telling>();
		let waiting = false;
		for (const watcher of this.#watchers) {
			if (watcher.subscriber.blocked) {
				waiting = true;
				if (watcher.next !== undefined && this.#last.start - watcher.next.start > MAX_BEHIND) {
					watcher.next = undefined;
				}
			} else {
				this.#bring(watcher, tellings);
			}
		}
		// Where names are told, the blocked come by themselves when they are not any more.
		return this.#counting && waiting ? COUNT_EVERY_MS : undefined;
	}

	/** The watcher takes more again, or asks for the members: it is told all up to now, whatever the others are. */
	catchUp(watcher: Watcher): void {
		if (!this.#counting) {
			this.#cut();
			this.#bring(watcher, new Map());
		}
	}

	/** Notes what has changed as something that all have still to be told. */
	#cut(): void {
		if (!this.#roster.changed) {
			return;
		}
		const changes = this.#roster.takeChanges();
		const segment = this.#last;
		this.#last = new Segment(segment.start + changes.size);
		segment.changes = changes;
		segment.next = this.#last;
	}

	/** Names or counts? Who changes from one to the other begins anew. */
	#judge(): void {
		const { size } = this.#roster;
		const counting = this.#counting ? size > NAMES_UP_TO : size > COUNTS_ABOVE;
		if (counting === this.#counting) {
			return;
		}
		this.#counting = counting;
		for (const watcher of this.#watchers) {
			watcher.next = undefined;
			watcher.count = -1;
		}
	}

	#bring(watcher: Watcher, tellings: Map<Segment, Telling>): void {
		const { subscriber, next } = watcher;
		if (next === this.#last) {
			return;
		}
		const { encoding } = subscriber;
		if (next === undefined) {
			const count = this.#roster.size;
			if (!this.#counting) {
				watcher.next = this.#last;
			} else if (watcher.count === count) {
				return;
			}
			watcher.count = count;
			subscriber.send(countFrame(encoding, this.#wireName, count, !this.#counting));
			return;
		}
		watcher.next = this.#last;
		let telling = tellings.get(next);
		if (telling === undefined) {
			telling = { differences: this.#differences(next), frames: [] };
			tellings.set(next, telling);
		}
		if (telling.differences.length > 0) {
			telling.frames[encoding.index] ??= this.#frames(encoding, telling.differences);
			const frames = telling.frames[encoding.index]!;
			if (frames.length > 0) {
				subscriber.send(frames);
			}
		}
	}

	/** From what was there before a segment to what is there now. */
	#differences(from: Segment): readonly Difference[] {
		let befores = from.changes ?? new Map();
		if (from.next !== this.#last) {
			const merged = new Map(befores);
			for (let segment = from.next; segment?.changes !== undefined; segment = segment.next) {
				for (const [id, before] of segment.changes) {
					if (!merged.has(id)) {
						merged.set(id, before);
					}
				}
			}
			befores = merged;
		}
		const differences: Difference[] = [];
		for (const [id, before] of befores) {
			const member: Member | undefined = this.#roster.get(id);
			if (before === undefined) {
				if (member !== undefined) {
					differences.push({ event: "join", member, before });
				}
			} else if (member === undefined) {
				differences.push({ event: "leave", member: before, before });
			} else if (member.user !== before.user || member.data !== before.data) {
				differences.push({ event: "update", member, before });
			}
		}
		return differences;
	}

	#frames(encoding: Encoding, differences: readonly Difference[]): Uint8Array {
		const { codec } = encoding;
		if (codec.enveloped) {
			return encoding.frames(
				differences.map(({ event, member }) =>
					codec.encode({ channel: this.#wireName, event, member: toWire(member) } satisfies ChannelEvent),
				),
			);
		}
		return plainFrames(
			encoding,
			usersOf(differences, (user) => this.#roster.sessionsOf(user)),
		);
	}
}

interface UserEvent {
	readonly type: "user_joined" | "user_left";
	readonly user: string | null;
}

/** Plain clients are told of users, not of sessions: of the first to come and the last to go. */
function usersOf(differences: readonly Difference[], sessionsOf: (user: string) => number): readonly UserEvent[] {
	const events: UserEvent[] = [];
	const moved = new Map<string, number>();
	const note = (user: string | null, by: 1 | -1): void => {
		if (user === null) {
			events.push({ type: by === 1 ? "user_joined" : "user_left", user });
		} else {
			moved.set(user, (moved.get(user) ?? 0) + by);
		}
	};
	for (const { event, member, before } of differences) {
		if (event !== "leave" && member.user !== before?.user) {
			note(member.user, 1);
		}
		if (before !== undefined && (event === "leave" || member.user !== before.user)) {
			note(before.user, -1);
		}
	}
	for (const [user, by] of moved) {
		const now = sessionsOf(user);
		const then = now - by;
		if (now > 0 !== then > 0) {
			events.push({ type: now > 0 ? "user_joined" : "user_left", user });
		}
	}
	return events;
}

function plainFrames({ codec, frames }: Encoding, events: readonly object[]): Uint8Array {
	return frames(
		events.map((event) =>
			codec.encodeEntry("", { offset: 0, data: Buffer.from(JSON.stringify(event)), encoding: "json" }),
		),
	);
}

function countFrame(encoding: Encoding, channel: string, count: number, anew: boolean): Uint8Array {
	if (!encoding.codec.enveloped) {
		return plainFrames(encoding, [{ type: "user_count", count }]);
	}
	const event = { channel, event: "presence", count, ...(anew ? { anew } : {}) } as const;
	return encoding.frame(encoding.codec.encode(event satisfies ChannelEvent));
}

/** As the protocol has it. */
export function toWire({ id, user, data, sinceMs }: Member): {
	readonly id: string;
	readonly user: string | null;
	readonly data?: unknown;
	readonly since: number;
} {
	const since = sinceMs / 1_000;
	return data === undefined ? { id, user, since } : { id, user, data: JSON.parse(data) as unknown, since };
}
