/**
 * One publisher of a run. It resends what was not acknowledged, under the same id, where the server resumes its session;
 * otherwise it records the outcome as unknown and goes on with new messages, which is what the protocol asks of clients.
 */
import { type Ack, type Failure, parsePosition, type ServerMessage, type WireError } from "@tidewire/protocol";
import { isDefinite, type Recorder } from "../record/event.ts";
import { Staying, type StayingOptions } from "./staying.ts";
import type { Wire } from "./wire.ts";

/** What a run needs of a publisher, whichever client it uses. */
export interface Publisher {
	readonly name: string;
	/** Whether a publish would leave at once. */
	readonly ready: boolean;
	/** How many publishes wait for their answer. */
	readonly waiting: number;
	/** Where its connection comes from; undefined while there is none, or where the client does not tell. */
	readonly localPort: number | undefined;
	readonly trouble: string;
	start(): void;
	publish(channel: string): void;
	tick(nowMs: number): void;
	/** What is not answered by now is unknown; nothing is sent any more. */
	stop(): void;
}

export interface LoadClientOptions extends StayingOptions {
	readonly name: string;
	/** Milliseconds since the run began. */
	readonly now: () => number;
	readonly record: Recorder;
	/** The server refuses for good what the run is made of. */
	readonly refused: (words: string) => void;
}

interface Open {
	readonly channel: string;
	readonly n: number;
	readonly id: string;
	tries: number;
	/** Not to be sent again before this moment, on the clock of `performance.now()`; undefined: under way. */
	againAtMs: number | undefined;
}

/** How many answers it waits for before it waits with the next. */
const MOST_OPEN = 256;
const MOST_TRIES = 5;
const RETRY_SECONDS = 0.2;

export class WirePublisher implements Publisher {
	readonly name: string;
	readonly #options: LoadClientOptions;
	readonly #staying: Staying;
	readonly #counts = new Map<string, number>();
	readonly #open = new Map<string, Open>();
	#token: string | undefined;
	/** The greeted wire, once it is known whether the session goes on. */
	#wire: Wire | undefined;

	constructor(options: LoadClientOptions) {
		this.name = options.name;
		this.#options = options;
		this.#staying = new Staying(options, {
			opened: (wire) => this.#opened(wire),
			message: (message) => this.#message(message),
			lost: (code, reason) => this.#lost(code, reason),
		});
	}

	get ready(): boolean {
		return this.#wire !== undefined && this.#open.size < MOST_OPEN;
	}

	get waiting(): number {
		return this.#open.size;
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

	publish(channel: string): void {
		const n = (this.#counts.get(channel) ?? 0) + 1;
		this.#counts.set(channel, n);
		const open: Open = { channel, n, id: `${n}@${channel}`, tries: 0, againAtMs: undefined };
		this.#open.set(open.id, open);
		this.#send(open);
	}

	tick(nowMs: number): void {
		this.#staying.tick(nowMs);
		for (const open of this.#wire === undefined ? [] : this.#open.values()) {
			if (open.againAtMs !== undefined && open.againAtMs <= nowMs) {
				this.#send(open);
			}
		}
	}

	stop(): void {
		this.#giveUp();
		this.#wire = undefined;
		this.#staying.stop();
	}

	#send(open: Open): void {
		const { channel, n, id } = open;
		open.tries++;
		open.againAtMs = undefined;
		this.#options.record({ t: this.#options.now(), event: "publish", client: this.name, channel, n, id });
		this.#wire?.send({ id, action: "publish", channel, data: { by: this.name, n, on: channel } });
	}

	#opened(wire: Wire): void {
		if (this.#token === undefined) {
			this.#begin(wire, wire.hello.session, wire.hello.resume, false);
		} else {
			wire.send({ id: "resume", action: "resume", token: this.#token });
		}
	}

	/** The session is known: sends again what it knows of, or gives it up. */
	#begin(wire: Wire, session: string, token: string, resumed: boolean): void {
		const { durability, node } = wire.hello;
		const client = this.name;
		if (!resumed) {
			this.#giveUp();
		}
		this.#token = token;
		this.#wire = wire;
		this.#options.record({ t: this.#options.now(), event: "connected", client, session, resumed, durability, node });
		for (const open of this.#open.values()) {
			this.#send(open);
		}
	}

	#giveUp(): void {
		for (const { channel, n } of this.#open.values()) {
			this.#options.record({ t: this.#options.now(), event: "unknown", client: this.name, channel, n });
		}
		this.#open.clear();
	}

	#lost(code: number, reason: string): void {
		// Before the reply to `resume` the connection was none that the record knows of.
		if (this.#wire !== undefined) {
			this.#wire = undefined;
			this.#options.record({ t: this.#options.now(), event: "lost", client: this.name, code, reason });
		}
	}

	#message(message: ServerMessage): void {
		if (!("ack" in message) || message.ack === undefined || message.ack === "alive") {
			return;
		}
		if (message.ack === "resume") {
			this.#resumed(message);
		} else {
			this.#answered(String(message.ack), message);
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

	#answered(id: string, reply: Ack | Failure): void {
		const { record, now } = this.#options;
		const at = id.indexOf("@");
		// An answer to what was never sent is recorded too: the judge is to see it.
		const n = Math.max(1, Number.parseInt(id.slice(0, at), 10) || 1);
		const about = { t: now(), client: this.name, channel: at < 0 ? id : id.slice(at + 1), n };
		if (reply.error !== undefined) {
			record({ event: "refused", ...about, code: reply.error.code });
			this.#failed(id, reply.error);
			return;
		}
		const position = parsePosition(reply.position ?? "");
		record({ event: "ack", ...about, epoch: position?.epoch ?? "", offset: position?.offset ?? 0 });
		this.#open.delete(id);
	}

	#failed(id: string, { code, message, retryable, retryAfter }: WireError): void {
		const open = this.#open.get(id);
		if (open === undefined) {
			return;
		}
		if (retryable === true && open.tries < MOST_TRIES) {
			open.againAtMs = performance.now() + (retryAfter ?? RETRY_SECONDS) * 1_000;
			return;
		}
		this.#open.delete(id);
		const { channel, n } = open;
		if (!isDefinite(code)) {
			this.#options.record({ t: this.#options.now(), event: "unknown", client: this.name, channel, n });
		} else if (retryable !== true) {
			this.#options.refused(`the server refuses to publish to ${channel}: ${message} (${code})`);
		}
	}
}
