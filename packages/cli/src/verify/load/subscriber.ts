/** One subscriber of a run: subscribes to every channel, comes back with its positions, and records what it is told. */
import {
	type ChannelEvent,
	type ChannelMessage,
	formatPosition,
	parsePosition,
	type ServerMessage,
	type Subscribed,
	type WireError,
} from "@tidewire/protocol";
import { formatValue, type Position } from "../record/event.ts";
import type { LoadClientOptions } from "./publisher.ts";
import { Staying } from "./staying.ts";
import type { Wire } from "./wire.ts";

/** What a run needs of a subscriber, whichever client it uses. */
export interface Subscriber {
	readonly name: string;
	/** Whether it is subscribed to every channel. */
	readonly ready: boolean;
	readonly localPort: number | undefined;
	readonly trouble: string;
	start(): void;
	tick(nowMs: number): void;
	/** Whether it has got, or was told that it will not get, everything up to here. */
	reached(channel: string, position: Position): boolean;
	/** Unsubscribes from every channel, and comes back. Not through every client. */
	leave?(): void;
	stop(): void;
}

interface Following {
	readonly channel: string;
	/** Up to where messages came, or were announced as not coming. */
	position: Position | undefined;
	state: "waiting" | "asked" | "subscribed" | "leaving" | "refused";
	/** When to ask again after a failure that may pass, on the clock of `performance.now()`. */
	againAtMs: number;
}

const RETRY_SECONDS = 0.2;
/** What the ids of `unsubscribe` begin with; those of `subscribe` are the channels' names. */
const LEAVING = "leave ";

export class WireSubscriber implements Subscriber {
	readonly name: string;
	readonly #options: LoadClientOptions;
	readonly #staying: Staying;
	readonly #following: ReadonlyMap<string, Following>;

	constructor(options: LoadClientOptions, channels: readonly string[]) {
		this.name = options.name;
		this.#options = options;
		this.#following = new Map(
			channels.map((channel) => [channel, { channel, position: undefined, state: "waiting", againAtMs: 0 }]),
		);
		this.#staying = new Staying(options, {
			opened: (wire) => this.#opened(wire),
			message: (message) => this.#message(message),
			lost: (code, reason) => this.#lost(code, reason),
		});
	}

	get ready(): boolean {
		return [...this.#following.values()].every(({ state }) => state === "subscribed" || state === "refused");
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

	tick(nowMs: number): void {
		this.#staying.tick(nowMs);
		for (const each of this.#staying.wire === undefined ? [] : this.#following.values()) {
			if (each.state === "waiting" && each.againAtMs <= nowMs) {
				this.#subscribe(each);
			}
		}
	}

	reached(channel: string, { epoch, offset }: Position): boolean {
		const position = this.#following.get(channel)?.position;
		return position?.epoch === epoch && position.offset >= offset;
	}

	leave(): void {
		const wire = this.#staying.wire;
		for (const each of wire === undefined ? [] : this.#following.values()) {
			if (each.state === "subscribed") {
				const { channel } = each;
				each.state = "leaving";
				this.#options.record({ t: this.#now, event: "unsubscribe", client: this.name, channel });
				wire?.send({ id: `${LEAVING}${channel}`, action: "unsubscribe", channel });
			}
		}
	}

	stop(): void {
		this.#staying.stop();
	}

	#opened({ hello }: Wire): void {
		const { session, durability, node } = hello;
		const client = this.name;
		this.#options.record({ t: this.#now, event: "connected", client, session, resumed: false, durability, node });
		for (const each of this.#following.values()) {
			if (each.state !== "refused") {
				this.#subscribe(each);
			}
		}
	}

	#lost(code: number, reason: string): void {
		this.#options.record({ t: this.#now, event: "lost", client: this.name, code, reason });
		for (const each of this.#following.values()) {
			if (each.state !== "refused") {
				each.state = "waiting";
			}
		}
	}

	#subscribe(each: Following): void {
		const { channel, position } = each;
		each.state = "asked";
		const since = position === undefined ? {} : { since: { ...position } };
		this.#options.record({ t: this.#now, event: "subscribe", client: this.name, channel, ...since });
		const from = position === undefined ? {} : { since: formatPosition(position) };
		this.#staying.wire?.send({ id: channel, action: "subscribe", channel, ...from });
	}

	#message(message: ServerMessage): void {
		if ("ack" in message && message.ack !== undefined) {
			const id = String(message.ack);
			const each = this.#following.get(id);
			if (id.startsWith(LEAVING)) {
				this.#left(id.slice(LEAVING.length));
			} else if (each !== undefined) {
				if (message.error === undefined) {
					this.#subscribed(each, message);
				} else {
					this.#notSubscribed(each, message.error);
				}
			}
		} else if ("offset" in message && "data" in message) {
			this.#delivered(message);
		} else if ("event" in message) {
			this.#told(message);
		}
	}

	#subscribed(each: Following, reply: Pick<Subscribed, "recovered"> & { readonly position?: string }): void {
		const position = parsePosition(reply.position ?? "") ?? { epoch: "", offset: 0 };
		const recovered = reply.recovered === undefined ? {} : { recovered: reply.recovered };
		each.state = "subscribed";
		each.position = position;
		this.#options.record({
			t: this.#now,
			event: "subscribed",
			client: this.name,
			channel: each.channel,
			...position,
			...recovered,
		});
	}

	#notSubscribed(each: Following, { code, message, retryable, retryAfter }: WireError): void {
		const { channel } = each;
		this.#options.record({ t: this.#now, event: "not-subscribed", client: this.name, channel, code });
		this.#tryLater(each, retryable === true, retryAfter);
		if (retryable !== true) {
			this.#options.refused(`the server refuses to subscribe to ${channel}: ${message} (${code})`);
		}
	}

	#left(channel: string): void {
		const each = this.#following.get(channel);
		if (each?.state === "leaving") {
			each.state = "waiting";
			each.againAtMs = 0;
			this.#options.record({ t: this.#now, event: "unsubscribed", client: this.name, channel, by: "client" });
		}
	}

	#tryLater(each: Following, retryable: boolean, retryAfter = RETRY_SECONDS): void {
		each.state = retryable ? "waiting" : "refused";
		each.againAtMs = performance.now() + retryAfter * 1_000;
	}

	#delivered({ channel, offset, prev, data }: ChannelMessage): void {
		const each = this.#following.get(channel);
		const { epoch = "", offset: before = 0 } = each?.position ?? {};
		if (each !== undefined) {
			// A server that goes back does wrong, and is not asked for all of it again.
			each.position = { epoch, offset: Math.max(before, offset) };
		}
		this.#options.record({
			t: this.#now,
			event: "message",
			client: this.name,
			channel,
			epoch,
			offset,
			...(prev === undefined ? {} : { prev }),
			value: readValue(data, channel),
		});
	}

	#told(message: ChannelEvent): void {
		const { channel } = message;
		const each = this.#following.get(channel);
		if (each === undefined) {
			return;
		}
		const about = { t: this.#now, client: this.name, channel };
		switch (message.event) {
			case "gap": {
				const { from, to, reason } = message;
				const { epoch = "", offset = 0 } = each.position ?? {};
				each.position = { epoch, offset: Math.max(offset, to) };
				this.#options.record({ event: "gap", ...about, from, to, reason });
				break;
			}
			case "conflated":
				this.#options.record({ event: "conflated", ...about, from: message.from, to: message.to });
				break;
			case "reset":
				each.position = parsePosition(message.position) ?? { epoch: "", offset: 0 };
				this.#options.record({ event: "reset", ...about, ...each.position });
				break;
			case "unsubscribed":
				this.#options.record({ event: "unsubscribed", ...about, by: "server", code: message.error.code });
				this.#tryLater(each, message.error.retryable === true, message.error.retryAfter);
				break;
			default:
			// Of presence and state a run asks for nothing.
		}
	}

	get #now(): number {
		return this.#options.now();
	}
}

/** What was published, as the judge knows it; anything else as its JSON text, which is nobody's. */
export function readValue(data: unknown, channel: string): string {
	if (typeof data === "object" && data !== null && "by" in data && "n" in data && "on" in data) {
		const { by, n, on } = data;
		if (typeof by === "string" && typeof n === "number" && on === channel) {
			return formatValue(by, n);
		}
	}
	return JSON.stringify(data) ?? "undefined";
}
