/**
 * Histories for the judge to judge: a small model of a server, its network and its clients, driven by a seed, that writes
 * a record. Without a bug the record is one that a correct server may cause: with cuts, lost answers, retries, unknown
 * outcomes, restarts, announced losses, conflation, revocations. With a bug it does wrong once, in a way that shows.
 */
import { between, pick, type Random, seeded } from "../../src/verify/fault/random.ts";
import { formatValue, type RecordEvent } from "../../src/verify/record/event.ts";
import { PRESENCE_BUGS, PresenceModel } from "./presence-history.ts";

export const BUGS = [
	"drop one",
	"duplicate one",
	"swap two",
	"ack before store",
	"reuse an offset after restart",
	"skip one on resume",
	"deliver after revoke",
	"perform a retry twice",
	"deliver what was refused",
	"lose stored messages with their epoch",
	"lose silently behind a recovered:false in the same epoch",
	"say nothing to one subscriber any more",
	"acknowledge twice",
	"append out of order",
	"tell subscribers different things",
	"pass over a hole without a gap",
	...PRESENCE_BUGS,
] as const;

export type Bug = (typeof BUGS)[number];

export interface History {
	readonly events: readonly RecordEvent[];
	/** Whether the bug found its moment. */
	readonly planted: boolean;
}

/** What is recorded, without its time. */
type Untimed = RecordEvent extends infer E ? (E extends RecordEvent ? Omit<E, "t"> : never) : never;

interface Entry {
	readonly value: string;
}

interface Log {
	readonly name: string;
	epoch: string;
	entries: Entry[];
	/** Entries up to here are not kept. */
	tail: number;
}

interface Request {
	readonly channel: string;
	readonly n: number;
}

type Frame = Untimed;

interface Client {
	readonly name: string;
	connected: boolean;
	session: string;
	/** What the server has not read, and what the client has not read. */
	inbox: Request[];
	outbox: Frame[];
	/** A publisher's: not answered yet, in the order of sending. */
	open: Request[];
	readonly sent: Map<string, number>;
	/** A subscriber's: where it stands as it knows, per channel. */
	readonly at: Map<string, { epoch: string; offset: number }>;
	/** The server's: to what it is subscribed. */
	readonly attached: Set<string>;
	readonly gone: Set<string>;
}

class World {
	readonly events: RecordEvent[] = [];
	planted = false;
	readonly #random: Random;
	readonly #bug: Bug | undefined;
	readonly #durability: "memory" | "stored";
	readonly #logs: Log[];
	readonly #publishers: Client[];
	readonly #subscribers: Client[];
	/** Idempotent replies by session, channel and n. */
	#performed = new Map<string, number>();
	readonly #presence: PresenceModel;
	#healed = false;
	#ids = 0;
	#t = 0;

	constructor(seed: number, bug: Bug | undefined) {
		this.#random = seeded(seed);
		this.#bug = bug;
		this.#durability = this.#random() < 0.5 || bug === "lose stored messages with their epoch" ? "stored" : "memory";
		this.#logs = ["a", "b"].map((name) => ({ name, epoch: `e${++this.#ids}`, entries: [], tail: 0 }));
		this.#publishers = ["p1", "p2", "p3"].map(client);
		this.#subscribers = ["s1", "s2", "s3", "s4"].map(client);
		const world = this;
		this.#presence = new PresenceModel(seed, {
			now: () => this.#t,
			pass: (ms) => {
				this.#t += ms;
			},
			say: (event) => {
				this.events.push({ ...event, t: this.#t } as RecordEvent);
			},
			plant: (bug) => this.#plant(bug),
			get planted() {
				return world.planted;
			},
		});
	}

	run(steps: number): void {
		for (const each of this.#clients) {
			this.#connect(each);
		}
		for (let step = 0; step < steps; step++) {
			this.#step();
			this.#presence.step();
		}
		for (const each of this.#clients) {
			this.#connect(each);
		}
		this.#settle();
		this.#healed = true;
		this.#say({ event: "heal", channels: this.#logs.map(({ name }) => name) });
		for (const log of this.#logs) {
			this.#publish(this.#publishers[0]!, log);
			this.#publish(this.#publishers[0]!, log);
		}
		this.#settle();
		this.#presence.settle();
		this.#say({ event: "end" });
	}

	get #clients(): readonly Client[] {
		return [...this.#publishers, ...this.#subscribers];
	}

	#log(channel: string): Log {
		return this.#logs.find(({ name }) => name === channel)!;
	}

	#say(event: Untimed): void {
		this.#t += between(this.#random, 0, 20);
		this.events.push({ ...event, t: this.#t } as RecordEvent);
	}

	/**
	 * Whether this is the moment of the bug, which comes once. From then on nothing else happens to the network, so that
	 * what it did is not undone by a cut.
	 */
	#plant(bug: Bug, chance = 0.3): boolean {
		if (this.#bug !== bug || this.planted || this.#random() > chance) {
			return false;
		}
		this.planted = true;
		return true;
	}

	#step(): void {
		const dice = this.#random();
		const publisher = pick(this.#random, this.#publishers);
		const subscriber = pick(this.#random, this.#subscribers);
		const log = pick(this.#random, this.#logs);
		if (dice < 0.25) {
			this.#publish(publisher, log);
		} else if (dice < 0.5) {
			this.#serve(publisher);
		} else if (dice < 0.88) {
			this.#receive(this.#random() < 0.3 ? publisher : subscriber);
		} else if (this.planted) {
			this.#connect(pick(this.#random, this.#clients));
		} else if (dice < 0.91) {
			this.#cut(this.#random() < 0.5 ? publisher : subscriber);
		} else if (dice < 0.96) {
			this.#connect(pick(this.#random, this.#clients));
		} else if (dice < 0.97) {
			this.#outrun(subscriber, log);
		} else if (dice < 0.975) {
			log.tail = Math.max(log.tail, between(this.#random, 0, log.entries.length));
		} else if (dice < 0.98) {
			this.#unsubscribe(subscriber, log);
		} else if (dice < 0.985) {
			this.#revoke(subscriber, log);
		} else if (dice < 0.99) {
			this.#restart();
		} else if (this.#durability === "memory" && this.#bug !== "lose stored messages with their epoch") {
			this.#reset(log);
		} else {
			this.#loseStored(log);
		}
	}

	#publish(publisher: Client, log: Log): void {
		if (!publisher.connected) {
			return;
		}
		const n = (publisher.sent.get(log.name) ?? 0) + 1;
		publisher.sent.set(log.name, n);
		const request = { channel: log.name, n };
		publisher.open.push(request);
		this.#send(publisher, request);
	}

	#send(publisher: Client, request: Request): void {
		const { channel, n } = request;
		this.#say({ event: "publish", client: publisher.name, channel, n, id: `${channel}.${n}` });
		publisher.inbox.push(request);
	}

	/** The server reads one request. */
	#serve(publisher: Client, answered = true): void {
		const [first, second] = publisher.inbox;
		const swapped = second !== undefined && first?.channel === second.channel && this.#isNew(publisher, first, second);
		if (swapped && answered && this.#plant("append out of order")) {
			publisher.inbox.splice(0, 2, second, first!);
		}
		const request = publisher.inbox.shift();
		if (request === undefined) {
			return;
		}
		const { channel, n } = request;
		const key = `${publisher.session} ${channel} ${n}`;
		const known = this.#performed.get(key);
		const log = this.#log(channel);
		const about = { client: publisher.name, channel, n };
		const shown = answered && known !== undefined && this.#wasDelivered(log, known);
		if (known !== undefined && !(shown && this.#plant("perform a retry twice", 1))) {
			this.#answer(publisher, answered, { event: "ack", ...about, epoch: log.epoch, offset: known });
			return;
		}
		const dice = this.#healed || this.planted ? 1 : this.#random();
		if (dice < 0.03) {
			this.#answer(publisher, answered, { event: "refused", ...about, code: "forbidden" });
			const heard = this.#subscribers.some(({ attached }) => attached.has(channel));
			if (answered && heard && this.#isNew(publisher, request) && this.#plant("deliver what was refused", 1)) {
				this.#append(log, publisher, n);
			}
			return;
		}
		if (dice < 0.06) {
			if (this.#random() < 0.5) {
				this.#performed.set(key, this.#append(log, publisher, n));
			}
			this.#answer(publisher, answered, { event: "refused", ...about, code: "unavailable" });
			return;
		}
		const store = !(answered && this.#plant("ack before store"));
		const offset = store ? this.#append(log, publisher, n) : log.entries.length + 1;
		if (store) {
			this.#performed.set(key, offset);
		}
		this.#answer(publisher, answered, { event: "ack", ...about, epoch: log.epoch, offset });
		if (answered && this.#plant("acknowledge twice")) {
			this.#answer(publisher, answered, { event: "ack", ...about, epoch: log.epoch, offset });
		}
	}

	/** Whether neither has been sent before. */
	#isNew({ session }: Client, ...requests: readonly Request[]): boolean {
		return requests.every(({ channel, n }) => !this.#retried.has(`${session} ${channel} ${n}`));
	}

	readonly #retried = new Set<string>();

	#answer(publisher: Client, answered: boolean, reply: Frame): void {
		if (answered) {
			publisher.outbox.push(reply);
		}
	}

	#append(log: Log, publisher: Client, n: number): number {
		log.entries.push({ value: formatValue(publisher.name, n) });
		const offset = log.entries.length;
		for (const subscriber of this.#subscribers) {
			if (subscriber.attached.has(log.name)) {
				subscriber.outbox.push(this.#message(subscriber, log, offset));
			}
		}
		return offset;
	}

	#message({ name }: Client, log: Log, offset: number): Frame {
		const { value } = log.entries[offset - 1]!;
		return { event: "message", client: name, channel: log.name, epoch: log.epoch, offset, value };
	}

	/** The client reads one frame. */
	#receive(each: Client): void {
		const frame = each.outbox.shift();
		if (frame === undefined || !each.connected) {
			return;
		}
		const next = each.outbox.findIndex(({ event }) => event === "message");
		const follower = each.outbox[next];
		const pair =
			frame.event === "message" && follower?.event === "message" && follower.channel === frame.channel && next === 0;
		if (pair && this.#plant("drop one")) {
			this.#take(each, each.outbox.shift()!);
			return;
		}
		if (pair && this.#plant("swap two")) {
			this.#take(each, each.outbox.shift()!);
		}
		if (frame.event === "message" && this.#plant("duplicate one", 0.1)) {
			this.#take(each, frame);
		}
		const followed = frame.event === "gap" && follower?.event === "message" && follower.channel === frame.channel;
		if (followed && next === 0 && this.#plant("pass over a hole without a gap", 1)) {
			return;
		}
		if (
			frame.event === "message" &&
			this.#wasDelivered(this.#log(frame.channel), frame.offset) &&
			this.#plant("tell subscribers different things")
		) {
			const other = this.#log(frame.channel).entries.find(({ value }) => value !== frame.value);
			this.planted = other !== undefined;
			this.#take(each, { ...frame, value: other?.value ?? frame.value });
			return;
		}
		this.#take(each, frame);
	}

	#wasDelivered({ name, epoch }: Log, offset: number): boolean {
		return this.events.some(
			(event) =>
				event.event === "message" && event.channel === name && event.epoch === epoch && event.offset === offset,
		);
	}

	#take(each: Client, frame: Frame): void {
		this.#say(frame);
		switch (frame.event) {
			case "ack":
				each.open = each.open.filter(({ channel, n }) => channel !== frame.channel || n !== frame.n);
				break;
			case "refused":
				if (frame.code === "unavailable") {
					this.#say({ event: "unknown", client: each.name, channel: frame.channel, n: frame.n });
				}
				each.open = each.open.filter(({ channel, n }) => channel !== frame.channel || n !== frame.n);
				break;
			case "message":
			case "reset":
			case "subscribed":
				each.at.set(frame.channel, { epoch: frame.epoch, offset: frame.offset });
				break;
			case "gap":
				each.at.set(frame.channel, { ...each.at.get(frame.channel)!, offset: frame.to });
				break;
			case "unsubscribed":
				each.at.delete(frame.channel);
				break;
			default:
		}
	}

	#cut(each: Client): void {
		if (!each.connected) {
			return;
		}
		// What was on its way may still be performed, unanswered.
		for (let count = between(this.#random, 0, each.inbox.length); count > 0; count--) {
			this.#serve(each, false);
		}
		each.inbox = [];
		each.outbox = [];
		each.connected = false;
		each.attached.clear();
		this.#say({ event: "lost", client: each.name, code: 1006, reason: "" });
	}

	#connect(each: Client): void {
		if (each.connected) {
			return;
		}
		const resumed = each.session !== "" && this.#random() < 0.7;
		each.session = resumed ? each.session : `session${++this.#ids}`;
		each.connected = true;
		const durability = this.#durability;
		this.#say({ event: "connected", client: each.name, session: each.session, resumed, durability, node: "n" });
		for (const request of each.open) {
			if (resumed) {
				this.#retried.add(`${each.session} ${request.channel} ${request.n}`);
				this.#send(each, request);
			} else {
				this.#say({ event: "unknown", client: each.name, channel: request.channel, n: request.n });
			}
		}
		each.open = resumed ? each.open : [];
		for (const log of this.#subscribers.includes(each) ? this.#logs : []) {
			this.#subscribe(each, log);
		}
	}

	#subscribe(each: Client, log: Log): void {
		if (each.gone.has(log.name) || each.attached.has(log.name)) {
			return;
		}
		const client = each.name;
		const channel = log.name;
		const since = each.at.get(channel);
		this.#say({ event: "subscribe", client, channel, ...(since === undefined ? {} : { since: { ...since } }) });
		each.attached.add(channel);
		const head = { epoch: log.epoch, offset: log.entries.length };
		if (since === undefined) {
			each.outbox.push({ event: "subscribed", client, channel, ...head });
			return;
		}
		const missed = log.entries.length - since.offset;
		const whole = since.epoch === log.epoch && since.offset >= log.tail && missed >= 0;
		if (!whole) {
			each.outbox.push({ event: "subscribed", client, channel, ...head, recovered: false });
			return;
		}
		each.outbox.push({ event: "subscribed", client, channel, ...since, recovered: true });
		const frames = log.entries.slice(since.offset).map((_, index) => {
			return this.#message(each, log, since.offset + index + 1);
		});
		if (missed > 1 && this.#plant("skip one on resume")) {
			frames.shift();
			each.outbox.push(...frames.splice(0, 1));
			while (each.outbox.length > 0) {
				this.#take(each, each.outbox.shift()!);
			}
		}
		if (missed > 1 && this.#plant("lose silently behind a recovered:false in the same epoch")) {
			// It says that it recovered, and begins at the head.
			each.outbox.splice(-1, 1, { event: "subscribed", client, channel, ...head, recovered: true });
			frames.splice(0);
		}
		each.outbox.push(...frames);
	}

	/** A slow subscriber: what waits for it is announced as lost, or conflated to the last. */
	#outrun(each: Client, log: Log): void {
		const waiting = each.outbox.filter((frame) => frame.event === "message" && frame.channel === log.name);
		const first = waiting[0];
		const last = waiting.at(-1);
		const settled = each.outbox.every(
			({ event }) => event === "message" || event === "subscribed" || event === "gap" || event === "conflated",
		);
		if (first?.event !== "message" || last?.event !== "message" || !settled || first.epoch !== last.epoch) {
			return;
		}
		const range = { client: each.name, channel: log.name, from: first.offset, to: last.offset };
		const rest = each.outbox.filter((frame) => !waiting.includes(frame));
		if (waiting.length !== last.offset - first.offset + 1) {
			return;
		}
		const instead: Frame[] =
			this.#random() < 0.5
				? [{ event: "gap", ...range, reason: "slow" }]
				: [{ event: "conflated", ...range }, this.#message(each, log, last.offset)];
		each.outbox = [...rest, ...instead];
	}

	#unsubscribe(each: Client, log: Log): void {
		if (!each.connected || !each.attached.has(log.name)) {
			return;
		}
		const about = { client: each.name, channel: log.name };
		this.#flush(each);
		this.#say({ event: "unsubscribe", ...about });
		each.attached.delete(log.name);
		this.#take(each, { event: "unsubscribed", ...about, by: "client" });
		if (this.#random() < 0.5) {
			this.#subscribe(each, log);
		} else {
			each.gone.add(log.name);
		}
	}

	#revoke(each: Client, log: Log): void {
		const revoked = this.#subscribers.filter(({ gone }) => gone.has(log.name)).length;
		if (!each.connected || !each.attached.has(log.name) || revoked > 1) {
			return;
		}
		this.#flush(each);
		each.attached.delete(log.name);
		each.gone.add(log.name);
		this.#say({ event: "revoked", client: each.name, channel: log.name });
		if (log.entries.length > 0 && this.#plant("deliver after revoke", 1)) {
			this.#t += 5_000;
			log.entries.push({ value: this.#anyValue(log) });
			this.#say(this.#message(each, log, log.entries.length));
			log.entries.pop();
		}
	}

	#anyValue(log: Log): string {
		return log.entries[0]?.value ?? "";
	}

	/** The only node ends and comes back: with everything where it is stored, with nothing where it was memory. */
	#restart(): void {
		for (const each of this.#clients) {
			this.#cut(each);
		}
		const reuse = this.#logs.find((log) => this.#lastIsKnown(log));
		if (reuse !== undefined && this.#plant("reuse an offset after restart", 1)) {
			reuse.entries.pop();
			return;
		}
		if (this.#durability === "memory") {
			this.#performed = new Map();
			for (const each of this.#clients) {
				each.session = "";
			}
			for (const log of this.#logs) {
				this.#begin(log);
			}
		}
	}

	#lastIsKnown({ name, epoch, entries }: Log): boolean {
		return this.events.some(
			(event) =>
				(event.event === "ack" || event.event === "message") &&
				event.channel === name &&
				event.epoch === epoch &&
				event.offset === entries.length,
		);
	}

	#begin(log: Log): void {
		log.epoch = `e${++this.#ids}`;
		log.entries = [];
		log.tail = 0;
		// A retry of what the old epoch held would be performed anew: its ids are forgotten with it, and so are sessions.
	}

	/** The broker lost a channel's log while nodes live. */
	#reset(log: Log): void {
		for (const publisher of this.#publishers) {
			this.#cut(publisher);
			publisher.session = "";
		}
		this.#begin(log);
		for (const each of this.#subscribers) {
			if (each.attached.has(log.name)) {
				each.outbox.push({ event: "reset", client: each.name, channel: log.name, epoch: log.epoch, offset: 0 });
			}
		}
	}

	#loseStored(log: Log): void {
		const behind = this.#subscribers.some(({ connected, at, gone }) => {
			const position = at.get(log.name);
			return !connected && !gone.has(log.name) && position?.epoch === log.epoch && this.#hasAcked(log, position.offset);
		});
		if (behind && this.#plant("lose stored messages with their epoch", 1)) {
			this.#reset(log);
		}
	}

	#hasAcked({ name, epoch }: Log, after: number): boolean {
		return this.events.some(
			(event) => event.event === "ack" && event.channel === name && event.epoch === epoch && event.offset > after,
		);
	}

	/** The client reads all that there is. */
	#flush(each: Client): void {
		while (each.outbox.length > 0) {
			this.#receive(each);
		}
	}

	/** Everything is read and answered; what was refused for the moment is unknown by then. */
	#settle(): void {
		const mute = this.#subscribers.find(({ connected, attached }) => connected && attached.size > 0);
		for (const publisher of this.#publishers) {
			while (publisher.inbox.length > 0) {
				this.#serve(publisher);
			}
			this.#flush(publisher);
		}
		for (const subscriber of this.#subscribers) {
			const waits = subscriber.outbox.some(({ event }) => event === "message");
			if (subscriber === mute && waits && this.#plant("say nothing to one subscriber any more", 1)) {
				subscriber.outbox = [];
				subscriber.attached.clear();
			}
			this.#flush(subscriber);
		}
	}
}

function client(name: string): Client {
	return {
		name,
		connected: false,
		session: "",
		inbox: [],
		outbox: [],
		open: [],
		sent: new Map(),
		at: new Map(),
		attached: new Set(),
		gone: new Set(),
	};
}

/** The record of a run of so many steps. The same seed makes the same history. */
export function history(seed: number, bug?: Bug, steps = 800): History {
	const world = new World(seed, bug);
	world.run(steps);
	return { events: world.events, planted: world.planted };
}
