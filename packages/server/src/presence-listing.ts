/** Who is in a channel, for the application's own code. */
import { refuseUnknownNames } from "./option-names.ts";
import type { Presence } from "./presence/presence.ts";

export interface PresenceListOptions {
	/** Members after the one with this id: the last of the page before. */
	readonly after?: string;
	/** How many, at most 1,000; that is the default, too. */
	readonly limit?: number;
}

/** One session in a channel. */
export interface PresenceMember {
	/** The session's name. */
	readonly id: string;
	/** Null for anonymous callers. */
	readonly user: string | null;
	/** What it says of itself; undefined: nothing. */
	readonly data: unknown;
	/** Milliseconds since 1970. */
	readonly sinceMs: number;
}

export interface PresenceListing {
	/** In the order of their ids. */
	readonly members: readonly PresenceMember[];
	/** Whether there are members after the last of these. */
	readonly more: boolean;
	/** How many members there are in all. */
	readonly count: number;
	/** How many users they are; who is nobody does not count. */
	readonly users: number;
}

export function listPresence(
	presence: Presence,
	channel: { readonly name: string; readonly wireName: string },
	options: PresenceListOptions = {},
): Promise<PresenceListing> {
	refuseUnknownNames(
		"the options of presence",
		options,
		["after", "limit"] satisfies (keyof PresenceListOptions)[],
		"option",
	);
	return presence.list({ ...channel, maxMembers: 0 }, options, ({ members, more, count, users }) => ({
		members: members.map(({ id, user, data, sinceMs }) => ({
			id,
			user,
			data: data === undefined ? undefined : JSON.parse(data),
			sinceMs,
		})),
		more,
		count,
		users,
	}));
}
