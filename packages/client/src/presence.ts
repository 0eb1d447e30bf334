/**
 * Who is in a channel: the members, kept up to date by what the server tells, and this session's own part in it. Asked anew
 * after each subscribe, since presence is in no log. An entry of its own, so that the SDK's core stays small.
 */
import type { Member } from "@tidewire/protocol";
import type { Channel, PresenceEvent } from "./channel.ts";
import { TidewireError } from "./error.ts";

export type { Member } from "@tidewire/protocol";

export interface PresenceOptions {
	/** Be a member from the start, with this data. */
	readonly enter?: { readonly data?: unknown } | boolean;
	/** `false`: do not follow the others; `members` stays empty. */
	readonly watch?: boolean;
	/** Trouble: the channel or its presence is refused, or the members could not be asked for. */
	readonly onError?: (error: TidewireError) => void;
}

/** `members`: the list was asked for anew, or begins or ceases to be a count only. */
export type PresenceChange =
	| { readonly type: "join" | "leave" | "update"; readonly member: Member }
	| { readonly type: "members" }
	| { readonly type: "count" };

export interface Presence {
	/** By their ids. Empty where `counting`, and until the server has answered. */
	readonly members: ReadonlyMap<string, Member>;
	readonly count: number;
	/** The channel is so large that the server tells only how many there are. */
	readonly counting: boolean;
	/** Calls back after each change. Returns how to stop. */
	subscribe(listener: (change: PresenceChange) => void): () => void;
	/** Becomes a member, now and after each reconnect. Resolves when the server has answered. */
	enter(data?: unknown): Promise<void>;
	/** Changes what this member says of itself. */
	update(data: unknown): Promise<void>;
	/** Is no member any more, and goes on watching. */
	leave(): Promise<void>;
	/** Neither member nor watcher any more. */
	close(): void;
}

/** How many members are asked for at a time. */
const PAGE = 500;
/** More than any server tells by name: whoever sends more pages than this is broken. */
const MAX_MEMBERS = 100_000;

export function presence<Data, Input>(channel: Channel<Data, Input>, options: PresenceOptions = {}): Presence {
	const { watch = true, onError } = options;
	const { name } = channel;
	const listeners = new Set<(change: PresenceChange) => void>();
	let members = new Map<string, Member>();
	let count = 0;
	let counting = false;
	let entered = options.enter !== undefined && options.enter !== false;
	let data = typeof options.enter === "object" ? options.enter.data : undefined;
	let closed = false;
	/** Lists are asked for one after the other, and only the last one asked for counts. */
	let asked = 0;
	/** The list that is being read, page by page: what is told meanwhile goes there, too. */
	let reading: Map<string, Member> | undefined;

	function tell(change: PresenceChange): void {
		for (const listener of listeners) {
			try {
				listener(change);
			} catch (error) {
				queueMicrotask(() => {
					throw error;
				});
			}
		}
	}

	function fail(error: unknown): void {
		if (onError) {
			onError(error as TidewireError);
		} else {
			console.error(error);
		}
	}

	/** Takes part as it is wanted now: subscribing again changes nothing else. */
	async function takePart(): Promise<void> {
		const part = { enter: entered, watch, ...(data === undefined ? {} : { data }) };
		await channel.ask("again", {
			type: "subscribe",
			targets: [{ channel: name, since: null }],
			many: false,
			presence: part,
		});
	}

	async function list(): Promise<void> {
		asked += 1;
		const mine = asked;
		const found = new Map<string, Member>();
		reading = found;
		let total = 0;
		for (let after: string | undefined, more = true; more; ) {
			const question = {
				type: "presence",
				channel: name,
				limit: PAGE,
				...(after === undefined ? {} : { after }),
			} as const;
			const ack = await channel.ask("again", question);
			if (mine !== asked) {
				return;
			}
			const page = ack.members ?? [];
			for (const member of page) {
				found.set(member.id, member);
			}
			after = page.at(-1)?.id;
			total = ack.count ?? found.size;
			more = ack.more === true && after !== undefined && found.size < MAX_MEMBERS && !counting;
		}
		reading = undefined;
		members = counting ? new Map() : found;
		count = counting ? total : members.size;
		tell({ type: "members" });
	}

	async function begin(): Promise<void> {
		counting = false;
		try {
			await takePart();
			if (watch && !closed) {
				await list();
			}
		} catch (error) {
			if (!closed) {
				fail(error);
			}
		}
	}

	function heard(event: PresenceEvent): void {
		if (event.event === "presence") {
			({ count } = event);
			// `anew`: from here on they are told by name again.
			if (event.anew === true) {
				counting = false;
				list().catch(fail);
			} else {
				counting = true;
				members = new Map();
			}
			tell({ type: "count" });
			return;
		}
		const { event: type, member } = event;
		if (counting) {
			return;
		}
		for (const map of new Set([members, reading ?? members])) {
			if (type === "leave") {
				map.delete(member.id);
			} else {
				map.set(member.id, member);
			}
		}
		count = members.size;
		tell({ type, member });
	}

	const stop = channel.subscribe(() => {}, {
		// Losses are for those to hear who read the messages.
		onGap: () => {},
		onReset: () => {},
		onPresence: heard,
		onState(state) {
			if (state === "subscribed") {
				void begin();
			} else {
				// What was asked on the connection before is void.
				asked += 1;
				reading = undefined;
			}
		},
		onError: fail,
	});
	if (channel.state === "subscribed") {
		void begin();
	}

	/** Now, where there is a connection to say it on; else with the next subscribe. */
	async function change(): Promise<void> {
		if (closed) {
			throw new TidewireError("closed", `the presence of ${name} was closed`);
		}
		if (channel.state === "subscribed") {
			await takePart();
		}
	}

	return {
		get members() {
			return members;
		},
		get count() {
			return count;
		},
		get counting() {
			return counting;
		},
		subscribe(listener) {
			listeners.add(listener);
			return () => listeners.delete(listener);
		},
		async enter(next) {
			entered = true;
			data = next;
			await change();
		},
		async update(next) {
			data = next;
			if (entered && channel.state === "subscribed" && !closed) {
				await channel.ask("again", { type: "presence", channel: name, data: next, limit: 1 });
			}
		},
		async leave() {
			entered = false;
			data = undefined;
			await change();
		},
		close() {
			if (closed) {
				return;
			}
			closed = true;
			asked += 1;
			stop();
			// Where others listen to the channel, it is still subscribed to, and only presence ends.
			if (channel.state === "subscribed") {
				const targets = [{ channel: name, since: null }];
				const part = { enter: false, watch: false };
				channel.ask("tell", { type: "subscribe", targets, many: false, presence: part }).catch(() => {});
			}
		},
	};
}
