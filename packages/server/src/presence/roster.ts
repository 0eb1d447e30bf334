/**
 * The members of one channel, as this node knows them: what the records say, kept up to date by what nodes tell. It also
 * notes what has changed since watchers were last told. Pure: no clock, no broker, no connections.
 */
import { looksAlike, type Member, type Row } from "./member.ts";

/** What changed since somebody last took it, with what was there before; undefined: nobody. */
export type Changes = ReadonlyMap<string, Member | undefined>;

/** `doubtful`: what is told and what is known do not fit together; only the record can say. */
export type Verdict = "applied" | "known" | "doubtful";

/** So many of those who left are remembered, to tell a late word about them from a new one. */
const MAX_LEFT = 1_000;

export interface Page {
	readonly members: readonly Member[];
	readonly more: boolean;
}

export class Roster {
	readonly #rows = new Map<string, Row>();
	readonly #users = new Map<string, number>();
	/** Made when a page is first asked for, and kept up. */
	#ids: string[] | undefined;
	#changes = new Map<string, Member | undefined>();
	/** Stamps of those who left lately. */
	readonly #left = new Map<string, number>();
	/** While the records are read: whom something was told of meanwhile, which is newer. */
	#touched: Set<string> | undefined;

	get size(): number {
		return this.#rows.size;
	}

	/** How many users there are; who is nobody does not count. */
	get users(): number {
		return this.#users.size;
	}

	get(id: string): Row | undefined {
		return this.#rows.get(id);
	}

	rows(): Iterable<Row> {
		return this.#rows.values();
	}

	sessionsOf(user: string): number {
		return this.#users.get(user) ?? 0;
	}

	get changed(): boolean {
		return this.#changes.size > 0;
	}

	takeChanges(): Changes {
		const changes = this.#changes;
		this.#changes = new Map();
		return changes;
	}

	// What other nodes tell.

	hearHere(row: Row): Verdict {
		const present = this.#rows.get(row.id);
		const before = present?.stamp ?? this.#left.get(row.id);
		if (before !== undefined && row.stamp <= before) {
			if (present !== undefined && present.owner === row.owner) {
				// An owner's words come in their order, so this one has been heard.
				return "known";
			}
			return "doubtful";
		}
		this.put(row);
		return "applied";
	}

	hearGone(id: string, owner: string, stamp: number): Verdict {
		const present = this.#rows.get(id);
		if (present === undefined) {
			this.#noteLeft(id, stamp);
			this.#touched?.add(id);
			return "known";
		}
		if (present.owner !== owner || present.stamp > stamp) {
			return "doubtful";
		}
		this.remove(id);
		return "applied";
	}

	// What is known to be so.

	put(row: Row): void {
		const present = this.#rows.get(row.id);
		this.#touched?.add(row.id);
		this.#left.delete(row.id);
		this.#rows.set(row.id, row);
		if (present === undefined || !looksAlike(present, row)) {
			this.#noteChange(row.id, present);
		}
		if (present === undefined) {
			this.#insertId(row.id);
		}
		if (present?.user !== row.user) {
			this.#countUser(present?.user, -1);
			this.#countUser(row.user, 1);
		}
	}

	remove(id: string): void {
		const present = this.#rows.get(id);
		if (present === undefined) {
			return;
		}
		this.#touched?.add(id);
		this.#noteLeft(id, present.stamp);
		this.#rows.delete(id);
		this.#noteChange(id, present);
		this.#countUser(present.user, -1);
		if (this.#ids !== undefined) {
			this.#ids.splice(placeOf(this.#ids, id), 1);
		}
	}

	/** From here on it is noted who something is told of. */
	beginReading(): void {
		this.#touched = new Set();
	}

	/** Whom something was told of since. */
	endReading(): ReadonlySet<string> {
		const touched = this.#touched ?? new Set();
		this.#touched = undefined;
		return touched;
	}

	/** Members in the order of their ids, after one of them. It holds at least one, and then no more than `maxBytes` of data. */
	page(after: string | undefined, limit: number, maxBytes: number): Page {
		this.#ids ??= [...this.#rows.keys()].sort();
		const ids = this.#ids;
		let at = after === undefined ? 0 : placeOf(ids, after);
		if (after !== undefined && ids[at] === after) {
			at++;
		}
		const members: Member[] = [];
		let bytes = 0;
		while (at < ids.length && members.length < limit) {
			const row = this.#rows.get(ids[at]!)!;
			bytes += row.id.length + (row.user?.length ?? 0) + (row.data?.length ?? 0);
			if (members.length > 0 && bytes > maxBytes) {
				break;
			}
			members.push(row);
			at++;
		}
		return { members, more: at < ids.length };
	}

	#insertId(id: string): void {
		if (this.#ids !== undefined) {
			this.#ids.splice(placeOf(this.#ids, id), 0, id);
		}
	}

	/** What was there before the first change counts; a change that is undone is none. */
	#noteChange(id: string, before: Member | undefined): void {
		if (!this.#changes.has(id)) {
			this.#changes.set(id, before);
		}
	}

	#noteLeft(id: string, stamp: number): void {
		this.#left.delete(id);
		this.#left.set(id, stamp);
		if (this.#left.size > MAX_LEFT) {
			for (const oldest of this.#left.keys()) {
				this.#left.delete(oldest);
				break;
			}
		}
	}

	#countUser(user: string | null | undefined, by: 1 | -1): void {
		if (user === null || user === undefined) {
			return;
		}
		const count = (this.#users.get(user) ?? 0) + by;
		if (count === 0) {
			this.#users.delete(user);
		} else {
			this.#users.set(user, count);
		}
	}
}

/** Where an id stands in a sorted list, or would. */
function placeOf(ids: readonly string[], id: string): number {
	let low = 0;
	let high = ids.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (ids[middle]! < id) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}
