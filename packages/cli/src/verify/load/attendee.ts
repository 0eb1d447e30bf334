/**
 * One member of a run's presence channel: it enters and watches, comes back to its session when its connection is lost,
 * and in between leaves, comes back, changes its data and asks who is there. Whether what it is told is right is the
 * judge's to say; what it knows of the members itself is only for when the run may end.
 */
import type { Ack, ChannelEvent, Failure, ServerMessage, WireError } from "@tidewire/protocol";
import { between, type Random } from "../fault/random.ts";
import type { LoadClientOptions } from "./publisher.ts";
import { Staying } from "./staying.ts";
import type { Wire } from "./wire.ts";

export interface AttendeeOptions extends Omit<LoadClientOptions, "refused"> {
	readonly channel: string;
	/** What it does when, besides what it has to. */
	readonly whims: Random;
	/** The server knows no presence, or does not allow it here. */
	readonly off: (code: string, words: string) => void;
}

/** `out`: by its own wish, or until it may ask again. */
type State = "away" | "resuming" | "out" | "entering" | "in" | "exiting";

const WHIM_MS = { from: 200, to: 2_000 } as const;
const RETRY_MS = 200;
/** Errors of the list that say something of the moment, and nothing of what may be. */
const PASSING: readonly string[] = ["conflict", "rate_limited"];

export class Attendee {
	readonly name: string;
	readonly #options: AttendeeOptions;
	readonly #staying: Staying;
	#state: State = "away";
	#token: string | undefined;
	#session = "";
	/** When it does the next thing, on the clock of `performance.now()`. */
	#nextMs = 0;
	/** When it asked who is there; undefined where no answer is under way. */
	#askedAt: number | undefined;
	#updates = 0;
	#quiet = false;
	/** Who is there as it was told; undefined before the first list. */
	#members: Set<string> | undefined;

	constructor(options: AttendeeOptions) {
		this.name = options.name;
		this.#options = options;
		this.#staying = new Staying(options, {
			opened: (wire) => this.#opened(wire),
			message: (message) => this.#message(message),
			lost: (code, reason) => this.#lost(code, reason),
		});
	}

	/** Whether it is in, and knows who else is. */
	get ready(): boolean {
		return this.#state === "in" && this.#members !== undefined && this.#askedAt === undefined;
	}

	/** Its member's id. */
	get session(): string {
		return this.#session;
	}

	get members(): ReadonlySet<string> | undefined {
		return this.#members;
	}

	get localPort(): number | undefined {
		return this.#staying.wire?.localPort;
	}

	get trouble(): string {
		return this.#staying.trouble;
	}

	start(): void {
		this.#staying.start();
	}

	/** No more whims: it goes in and stays. */
	quiet(): void {
		this.#quiet = true;
		this.#nextMs = 0;
	}

	/** Asks who is there. */
	ask(data?: object): void {
		if (this.#state === "in" && this.#askedAt === undefined) {
			this.#askedAt = this.#now;
			const { channel } = this.#options;
			this.#send({ id: "members", action: "presence", channel, ...(data === undefined ? {} : { data }) });
		}
	}

	tick(nowMs: number): void {
		this.#staying.tick(nowMs);
		if (nowMs < this.#nextMs) {
			return;
		}
		if (this.#state === "out") {
			this.#enter();
		} else if (this.#state === "in" && this.#members === undefined) {
			// What it is told is nothing without a list to add it to.
			this.ask();
		} else if (this.#state === "in" && !this.#quiet && this.#askedAt === undefined) {
			this.#whim();
		}
	}

	stop(): void {
		this.#staying.stop();
	}

	#whim(): void {
		const what = this.#options.whims();
		if (what < 0.3) {
			this.#exit();
		} else {
			this.ask(what < 0.6 ? { by: this.name, n: ++this.#updates } : undefined);
		}
		this.#rest();
	}

	#rest(): void {
		this.#nextMs = this.#quiet ? 0 : performance.now() + between(this.#options.whims, WHIM_MS.from, WHIM_MS.to);
	}

	#enter(): void {
		const { channel } = this.#options;
		this.#state = "entering";
		this.#record({ event: "enter", member: this.#session });
		this.#send({ id: "enter", action: "subscribe", channel, presence: { enter: true, watch: true } });
	}

	#exit(): void {
		this.#forget("exiting");
		this.#record({ event: "exit" });
		this.#send({ id: "exit", action: "unsubscribe", channel: this.#options.channel });
	}

	#opened(wire: Wire): void {
		this.#state = "resuming";
		if (this.#token === undefined) {
			this.#begin(wire, wire.hello.session, wire.hello.resume, false);
		} else {
			wire.send({ id: "resume", action: "resume", token: this.#token });
		}
	}

	#begin(wire: Wire, session: string, token: string, resumed: boolean): void {
		const { durability, node } = wire.hello;
		this.#token = token;
		this.#session = session;
		const about = { client: this.name, session, resumed, durability, node };
		this.#options.record({ t: this.#now, event: "connected", ...about });
		this.#enter();
	}

	#lost(code: number, reason: string): void {
		// Before the reply to `resume` the connection was none that the record knows of.
		if (this.#state !== "resuming") {
			this.#options.record({ t: this.#now, event: "lost", client: this.name, code, reason });
		}
		this.#forget("away");
	}

	#forget(state: State): void {
		this.#state = state;
		this.#members = undefined;
		this.#askedAt = undefined;
	}

	#message(message: ServerMessage): void {
		if ("ack" in message && message.ack !== undefined) {
			this.#answered(message);
		} else if ("event" in message) {
			this.#told(message);
		}
	}

	#answered(reply: Ack | Failure): void {
		switch (reply.ack) {
			case "resume":
				this.#resumed(reply);
				break;
			case "enter":
				if (reply.error === undefined) {
					this.#state = "in";
					this.#record({ event: "entered", member: this.#session });
					this.#rest();
					this.ask();
				} else {
					this.#refused(reply.error);
				}
				break;
			case "exit":
				this.#forget("out");
				this.#record({ event: "exited" });
				this.#rest();
				break;
			case "members":
				this.#listed(reply);
				break;
			default:
		}
	}

	#resumed(reply: Ack | Failure): void {
		const wire = this.#staying.wire;
		if (wire === undefined) {
			return;
		}
		const { session, resume } = wire.hello;
		if (reply.error !== undefined) {
			this.#begin(wire, session, resume, false);
		} else {
			this.#begin(wire, reply.session ?? session, reply.resume ?? resume, reply.resumed === true);
		}
	}

	#refused({ code, message, retryable, retryAfter }: WireError): void {
		this.#forget("out");
		this.#record({ event: "not-entered", code });
		this.#nextMs = performance.now() + (retryAfter === undefined ? RETRY_MS : retryAfter * 1_000);
		if (retryable !== true) {
			this.#options.off(code, message);
		}
	}

	#listed(reply: Ack | Failure): void {
		const asked = this.#askedAt;
		this.#askedAt = undefined;
		if (asked === undefined) {
			return;
		}
		if (reply.error !== undefined) {
			const { code, message, retryable } = reply.error;
			if (retryable !== true && !PASSING.includes(code)) {
				this.#record({ event: "not-entered", code });
				this.#options.off(code, message);
			}
			this.#nextMs = performance.now() + RETRY_MS;
			return;
		}
		const members = (reply.members ?? []).map(({ id }) => id);
		this.#members = new Set(members);
		this.#record({ event: "members", asked, members, ...(reply.more === true ? { more: true } : {}) });
	}

	#told(message: ChannelEvent): void {
		if (message.event === "join" || message.event === "leave" || message.event === "update") {
			const { id } = message.member;
			if (message.event === "leave") {
				this.#members?.delete(id);
			} else {
				this.#members?.add(id);
			}
			this.#record({ event: message.event, member: id });
		} else if (message.event === "presence") {
			this.#members = undefined;
			const { count, anew } = message;
			this.#record({ event: "count", count, ...(anew === true ? { anew } : {}) });
			if (anew === true) {
				this.ask();
			}
		} else if (message.event === "unsubscribed") {
			this.#refused(message.error);
		}
	}

	#send(message: object): void {
		this.#staying.wire?.send(message);
	}

	#record(what: Told): void {
		this.#options.record({ t: this.#now, client: this.name, channel: this.#options.channel, ...what });
	}

	get #now(): number {
		return this.#options.now();
	}
}

/** What is recorded of it besides when, who and where. */
type Told =
	| { readonly event: "enter" | "entered" | "join" | "leave" | "update"; readonly member: string }
	| { readonly event: "exit" | "exited" }
	| { readonly event: "not-entered"; readonly code: string }
	| { readonly event: "count"; readonly count: number; readonly anew?: boolean }
	| { readonly event: "members"; readonly asked: number; readonly members: readonly string[]; readonly more?: boolean };
