/**
 * A raw client that is present in a room, watches who else is, and calls an action: what `tidewire verify` does not do. It
 * comes back with its session, and repeats the calls that were not answered. What it was told it holds against itself at
 * once (joins and leaves of a member alternate, lists agree with what was told), and against the others in the end.
 */
import type { Ack, Failure, ServerMessage } from "@tidewire/protocol";
import { Staying, type StayingOptions } from "../../packages/cli/src/verify/load/staying.ts";
import type { Wire } from "../../packages/cli/src/verify/load/wire.ts";

export const ROOM = "room";
export const ACTION = "count";
const RETRY_MS = 200;
const REPLACED = 4004;

/** How often each call was begun by a handler, by whom and under which number. */
export type Performed = Map<string, number>;

export interface AttendeeOptions extends StayingOptions {
	readonly name: string;
	readonly performed: Performed;
	/** What happens, for those who read the trace. */
	readonly note: (what: string) => void;
	readonly wrong: (what: string) => void;
}

interface Call {
	readonly n: number;
	againAtMs: number;
}

export class Attendee {
	readonly #options: AttendeeOptions;
	readonly #staying: Staying;
	#token: string | undefined;
	/** There once it is known whether the session goes on. */
	#wire: Wire | undefined;
	session: string | undefined;
	#state: "away" | "asked" | "in" = "away";
	#againAtMs = 0;
	/** What was told in this subscription: whether the member is there. */
	#told = new Map<string, boolean>();
	/** The list, and what was told on top of it; undefined until it came. */
	#roster: Set<string> | undefined;
	#lists = 0;
	#calls = 0;
	readonly #open = new Map<number, Call>();

	constructor(options: AttendeeOptions) {
		this.#options = options;
		this.#staying = new Staying(options, {
			opened: (wire) => this.#opened(wire),
			message: (message) => this.#message(message),
			lost: (code) => this.#lost(code),
		});
	}

	/** Whether it is in the room, knows who else is, and has no call open. */
	get ready(): boolean {
		return this.#roster !== undefined && this.#open.size === 0;
	}

	/** The sessions that it takes for present. */
	get roster(): ReadonlySet<string> {
		return this.#roster ?? new Set();
	}

	start(): void {
		this.#staying.start();
	}

	tick(nowMs: number): void {
		this.#staying.tick(nowMs);
		if (this.#wire === undefined) {
			return;
		}
		if (this.#state === "away" && this.#againAtMs <= nowMs) {
			this.#enter(this.#wire);
		} else if (this.#state === "in" && this.#roster === undefined && this.#againAtMs <= nowMs) {
			this.#list(this.#wire);
		}
		for (const call of this.#open.values()) {
			if (call.againAtMs <= nowMs) {
				this.#send(call);
			}
		}
	}

	call(): void {
		if (this.#wire !== undefined) {
			const call = { n: ++this.#calls, againAtMs: 0 };
			this.#open.set(call.n, call);
			this.#send(call);
		}
	}

	#send(call: Call): void {
		call.againAtMs = Number.POSITIVE_INFINITY;
		this.#options.note(`makes call ${call.n}`);
		this.#wire?.send({ id: call.n, action: ACTION, input: { n: call.n } });
	}

	#opened(wire: Wire): void {
		if (this.#token === undefined) {
			this.#begin(wire, wire.hello.session, wire.hello.resume, false);
		} else {
			wire.send({ id: "resume", action: "resume", token: this.#token });
		}
	}

	#begin(wire: Wire, session: string, token: string, resumed: boolean): void {
		this.#options.note(`${resumed ? "goes on with" : "begins"} session ${session} on ${wire.hello.node}`);
		if (!resumed) {
			// What was sent in a session that is over is not sent as if it were new.
			this.#open.clear();
		}
		this.#token = token;
		this.session = session;
		this.#wire = wire;
		this.#enter(wire);
		for (const call of this.#open.values()) {
			this.#send(call);
		}
	}

	#enter(wire: Wire): void {
		this.#state = "asked";
		this.#told = new Map();
		this.#roster = undefined;
		wire.send({ id: "enter", action: "subscribe", channel: ROOM, presence: true });
	}

	#list(wire: Wire): void {
		this.#againAtMs = Number.POSITIVE_INFINITY;
		wire.send({ id: `list ${++this.#lists}`, action: "presence", channel: ROOM });
	}

	#lost(code: number): void {
		this.#options.note(`lost its connection (${code})`);
		this.#wire = undefined;
		this.#state = "away";
		this.#roster = undefined;
		this.#againAtMs = 0;
		if (code === REPLACED) {
			// Somebody else goes on with it: by the protocol it is not fought for.
			this.#token = undefined;
		}
	}

	#message(message: ServerMessage): void {
		if ("ack" in message && message.ack !== undefined) {
			this.#answered(message);
			return;
		}
		if ("event" in message) {
			if (message.event === "join" || message.event === "leave") {
				this.#changed(message.event, message.member.id);
			} else if (message.event === "presence" && message.anew === true) {
				this.#told = new Map();
				this.#roster = undefined;
				this.#againAtMs = 0;
			} else if (message.event === "unsubscribed") {
				this.#options.note("is sent out");
				this.#state = "away";
				this.#againAtMs = performance.now() + RETRY_MS;
			}
		}
	}

	#answered(reply: (Ack | Failure) & { readonly ack?: string | number }): void {
		const { ack } = reply;
		const wire = this.#staying.wire;
		if (wire === undefined) {
			return;
		}
		if (ack === "resume") {
			const { session, resume } = wire.hello;
			if (reply.error === undefined) {
				this.#begin(wire, reply.session ?? session, reply.resume ?? resume, reply.resumed === true);
			} else if (reply.error.retryable === true) {
				wire.drop();
			} else {
				this.#begin(wire, session, resume, false);
			}
		} else if (ack === "enter") {
			this.#options.note(`is ${reply.error === undefined ? "in" : `not let in: ${reply.error.message}`}`);
			this.#state = reply.error === undefined ? "in" : "away";
			this.#againAtMs = reply.error === undefined ? 0 : performance.now() + RETRY_MS;
			if (reply.error === undefined) {
				this.#list(wire);
			}
		} else if (ack === `list ${this.#lists}`) {
			this.#listed(reply);
		} else if (typeof ack === "number") {
			this.#called(ack, reply);
		}
	}

	#listed(reply: Ack | Failure): void {
		if (reply.error !== undefined) {
			this.#options.note(`gets no list: ${reply.error.message}`);
			this.#againAtMs = performance.now() + RETRY_MS;
			return;
		}
		const { name, wrong } = this.#options;
		const roster = new Set((reply.members ?? []).map(({ id }) => id));
		for (const [id, isThere] of this.#told) {
			if (roster.has(id) !== isThere) {
				wrong(`presence: ${name} was told that ${id} is ${isThere ? "there" : "gone"}, and the list says no`);
			}
		}
		this.#options.note(`is told who is there: ${[...roster].join(", ")}`);
		this.#roster = roster;
	}

	#changed(event: "join" | "leave", id: string): void {
		const { name, wrong, note } = this.#options;
		const joins = event === "join";
		note(`is told of the ${event} of ${id}`);
		if (this.#told.get(id) === joins) {
			wrong(`presence: ${name} was told of two ${event}s of ${id} with nothing between`);
		}
		this.#told.set(id, joins);
		if (joins) {
			this.#roster?.add(id);
		} else {
			this.#roster?.delete(id);
		}
	}

	#called(n: number, reply: Ack | Failure): void {
		const { name, performed, wrong, note } = this.#options;
		const call = this.#open.get(n);
		const data = reply.error === undefined ? (reply as Ack).data : undefined;
		note(`gets ${JSON.stringify(reply.error?.code ?? data)} for call ${n}`);
		if (call === undefined) {
			return;
		}
		if (reply.error?.retryable === true) {
			call.againAtMs = performance.now() + RETRY_MS;
			return;
		}
		this.#open.delete(n);
		const times = performed.get(`${name}:${n}`) ?? 0;
		if (reply.error === undefined && times !== 1) {
			wrong(`calls: ${name} has the reply to call ${n}, which was performed ${times} times`);
		}
		if (reply.error === undefined && (data as { readonly n?: number } | undefined)?.n !== n) {
			wrong(`calls: ${name} got ${JSON.stringify(data)} for call ${n}`);
		}
	}
}

/** What those who are there take for present, against who is; undefined where they agree. */
export function disagreement(attendees: readonly Attendee[]): string | undefined {
	const there = new Set(attendees.map(({ session }) => session));
	for (const { roster, session } of attendees) {
		for (const id of roster) {
			if (!there.has(id)) {
				return `ghost: ${session} takes ${id} for present, who is gone`;
			}
		}
		for (const id of there) {
			if (id !== undefined && !roster.has(id)) {
				return `missing_member: ${session} does not know that ${id} is present`;
			}
		}
	}
	return undefined;
}
