/**
 * The same publishers and subscribers on the SDK: what is judged then is what an application sees through it. Reconnects
 * are the SDK's business, so the record holds one subscription for each channel, and its gaps and resets.
 */
import { type Channel, type Client, connect, TidewireError } from "@tidewire/client";
import type { Contract } from "@tidewire/contract";
import { ERROR_CODES, parsePosition } from "@tidewire/protocol";
import type { Position } from "../record/event.ts";
import type { LoadClientOptions, Publisher } from "./publisher.ts";
import { readValue, type Subscriber } from "./subscriber.ts";

export interface SdkOptions extends Omit<LoadClientOptions, "dial" | "random"> {
	readonly url: URL;
	readonly token: string | undefined;
	/** What an acknowledgement means at this server; the SDK does not tell. */
	readonly durability: string;
}

const MOST_OPEN = 256;

/** A connected client, whose connections the record knows of as one. */
function open(options: SdkOptions): Client<Contract> {
	const { name, url, token, durability, record, now } = options;
	const client = connect(url, { ...(token === undefined ? {} : { token }), maxBackoffMs: 1_000, onError: () => {} });
	let greeted = false;
	client.on("state", (state, why) => {
		if (state === "connected" && !greeted) {
			greeted = true;
			const session = client.session ?? "";
			record({ t: now(), event: "connected", client: name, session, resumed: false, durability, node: "" });
		} else if (state === "closed" && why !== undefined && why.code !== "closed") {
			options.refused(`the server refuses ${name}: ${why.message} (${why.code})`);
		}
	});
	return client;
}

export class SdkPublisher implements Publisher {
	readonly name: string;
	readonly localPort = undefined;
	readonly #options: SdkOptions;
	readonly #counts = new Map<string, number>();
	#client: Client<Contract> | undefined;
	#waiting = 0;
	#stopped = false;

	constructor(options: SdkOptions) {
		this.name = options.name;
		this.#options = options;
	}

	get ready(): boolean {
		return this.#client?.state === "connected" && this.#waiting < MOST_OPEN;
	}

	get waiting(): number {
		return this.#waiting;
	}

	get trouble(): string {
		return this.#client?.state ?? "";
	}

	start(): void {
		this.#client = open(this.#options);
	}

	publish(channel: string): void {
		if (this.#client !== undefined) {
			void this.#publish(this.#client.channel(channel));
		}
	}

	tick(): void {}

	stop(): void {
		this.#stopped = true;
		void this.#client?.close();
	}

	/** Never rejects. */
	async #publish(channel: Channel<unknown, unknown>): Promise<void> {
		const { record, now } = this.#options;
		const n = (this.#counts.get(channel.name) ?? 0) + 1;
		this.#counts.set(channel.name, n);
		const about = { client: this.name, channel: channel.name, n };
		this.#waiting++;
		record({ t: now(), event: "publish", ...about, id: n });
		try {
			const position = parsePosition(await channel.publish({ by: this.name, n, on: channel.name }));
			if (!this.#stopped) {
				record({ t: now(), event: "ack", ...about, epoch: position?.epoch ?? "", offset: position?.offset ?? 0 });
			}
		} catch (error) {
			const code = error instanceof TidewireError ? error.code : "";
			if (!this.#stopped && Object.hasOwn(ERROR_CODES, code)) {
				record({ t: now(), event: "refused", ...about, code });
			} else if (!this.#stopped) {
				record({ t: now(), event: "unknown", ...about });
			}
		} finally {
			this.#waiting--;
		}
	}
}

export class SdkSubscriber implements Subscriber {
	readonly name: string;
	readonly localPort = undefined;
	readonly #options: SdkOptions;
	readonly #channels: readonly string[];
	readonly #positions = new Map<string, Position>();
	#client: Client<Contract> | undefined;

	constructor(options: SdkOptions, channels: readonly string[]) {
		this.name = options.name;
		this.#options = options;
		this.#channels = channels;
	}

	get ready(): boolean {
		const client = this.#client;
		return client !== undefined && this.#channels.every((name) => client.channel(name).state === "subscribed");
	}

	get trouble(): string {
		return this.#client?.state ?? "";
	}

	start(): void {
		this.#client = open(this.#options);
		for (const name of this.#channels) {
			this.#follow(this.#client.channel(name));
		}
	}

	tick(): void {}

	reached(channel: string, { epoch, offset }: Position): boolean {
		const position = this.#positions.get(channel);
		return position?.epoch === epoch && position.offset >= offset;
	}

	stop(): void {
		void this.#client?.close();
	}

	#follow(channel: Channel<unknown, unknown>): void {
		const { record, now, refused } = this.#options;
		const about = { client: this.name, channel: channel.name };
		record({ t: now(), event: "subscribe", ...about });
		const reach = (position: string | undefined): Position => {
			const found = parsePosition(position ?? "") ?? { epoch: "", offset: 0 };
			this.#positions.set(channel.name, found);
			return found;
		};
		channel.subscribe(
			(data, { position }) => {
				record({ t: now(), event: "message", ...about, ...reach(position), value: readValue(data, channel.name) });
			},
			{
				onState: (state) => {
					if (state === "subscribed" && !this.#positions.has(channel.name)) {
						record({ t: now(), event: "subscribed", ...about, ...reach(channel.position) });
					}
				},
				onGap: ({ from, to, reason }) => {
					const range = { from, to };
					if (reason === "conflated") {
						record({ t: now(), event: "conflated", ...about, ...range });
						return;
					}
					const { epoch = "", offset = 0 } = this.#positions.get(channel.name) ?? {};
					this.#positions.set(channel.name, { epoch, offset: Math.max(offset, to) });
					record({ t: now(), event: "gap", ...about, ...range, reason });
				},
				onReset: ({ position }) => record({ t: now(), event: "reset", ...about, ...reach(position) }),
				onError: ({ code, message }) => {
					if (channel.state === "ended" && code !== "closed") {
						record({ t: now(), event: "unsubscribed", ...about, by: "server", code });
						refused(`the server refuses to subscribe to ${channel.name}: ${message} (${code})`);
					}
				},
			},
		);
	}
}
