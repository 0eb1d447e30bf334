/**
 * A publisher on the SDK with an outbox: its page may be gone from one moment to the next, and the next page goes on with
 * what the outbox kept. What it promises is judged as for every publisher: accepted once, in order.
 */
import { type Client, connect, TidewireError } from "@tidewire/client";
import { createOutbox, type KeepingOutbox, type KeptMessage, type OutboxStore } from "@tidewire/client/outbox";
import type { Contract } from "@tidewire/contract";
import { type Ack, ERROR_CODES, parsePosition } from "@tidewire/protocol";
import type { Publisher } from "../../packages/cli/src/verify/load/publisher.ts";
import type { SdkOptions } from "../../packages/cli/src/verify/load/sdk.ts";
import type { Network } from "./network.ts";
import type { Task, World } from "./world.ts";

const WRITE_MS = 10;

/** What outlives pages: written a while after it is asked for, all or nothing, or not at all where the page is gone. */
class Disk {
	readonly #world: World;
	#records: ReadonlyMap<string, unknown> = new Map();

	constructor(world: World) {
		this.#world = world;
	}

	open(): OutboxStore {
		const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, this.#world.random() * WRITE_MS));
		return {
			load: () => later().then(() => new Map(this.#records)),
			write: async (changes) => {
				await later();
				const records = new Map(this.#records);
				for (const [key, value] of changes) {
					if (value === undefined) {
						records.delete(key);
					} else {
						records.set(key, structuredClone(value));
					}
				}
				this.#records = records;
				await later();
			},
			close() {},
		};
	}
}

export class OutboxPublisher implements Publisher {
	readonly name: string;
	readonly localPort = undefined;
	readonly #options: SdkOptions;
	readonly #world: World;
	readonly #disk: Disk;
	readonly #counts = new Map<string, number>();
	#outbox: KeepingOutbox | undefined;
	/** Where messages were acknowledged: a page that is gone may not have kept that it was told so, and the next is told anew. */
	readonly #positions = new Map<string, string>();
	#client: Client<Contract> | undefined;
	#pages = 0;
	/** Opens the next page. */
	#next: Task | undefined;

	constructor(options: SdkOptions, world: World) {
		this.name = options.name;
		this.#options = options;
		this.#world = world;
		this.#disk = new Disk(world);
	}

	get ready(): boolean {
		return this.#client?.state === "connected";
	}

	get waiting(): number {
		return this.#outbox?.waiting().length ?? 0;
	}

	get trouble(): string {
		return this.#client?.state ?? "";
	}

	start(): void {
		const owner = `${this.name}#${++this.#pages}`;
		this.#world.after(0, () => this.#openPage(), owner);
	}

	#openPage(): void {
		const { url, token = "", record, now, durability, name } = this.#options;
		const outbox = createOutbox(this.#disk.open(), {
			onOutcome: (message, outcome) => this.#settled(message, outcome),
		});
		this.#outbox = outbox;
		const client = connect(url, { token, maxBackoffMs: 1_000, onError: () => {}, outbox });
		this.#client = client;
		let greeted = false;
		client.on("state", (state) => {
			if (state === "connected" && !greeted) {
				greeted = true;
				const session = client.session ?? "";
				record({ t: now(), event: "connected", client: name, session, resumed: true, durability, node: "" });
			}
		});
	}

	/** The page is gone at once, and the next one there soon. What it had not kept yet is nobody's. */
	reload(network: Network): void {
		const owner = `${this.name}#${this.#pages}`;
		this.#world.kill(owner);
		for (const { client, whole } of network.links) {
			if (whole && client.owner === owner) {
				client.onclose = () => {};
				client.drop();
			}
		}
		this.#client = undefined;
		this.#options.record({ t: this.#options.now(), event: "lost", client: this.name, code: 1006, reason: "reload" });
		this.#outbox = undefined;
		if (this.#next !== undefined) {
			this.#next.cancelled = true;
		}
		this.#next = this.#world.after(this.#world.random() * 100, () => this.start(), "clients");
	}

	publish(channel: string): void {
		const client = this.#client;
		if (client === undefined) {
			return;
		}
		const n = (this.#counts.get(channel) ?? 0) + 1;
		this.#counts.set(channel, n);
		const { record, now } = this.#options;
		const page = this.#pages;
		record({ t: now(), event: "publish", client: this.name, channel, n, id: n });
		this.#world.after(
			0,
			() => {
				const data = { by: this.name, n, on: channel };
				client
					.channel(channel)
					.publish(data)
					.then(
						(position) => page === this.#pages && this.#acked(channel, n, position),
						(error: unknown) => page === this.#pages && this.#failed(channel, n, error),
					);
			},
			`${this.name}#${page}`,
		);
	}

	tick(): void {}

	stop(): void {
		void this.#client?.close();
	}

	/** Of a message of an earlier page. */
	#settled({ channel = "", data }: KeptMessage, outcome: Ack | TidewireError): void {
		const { n } = data as { readonly n: number };
		if (outcome instanceof TidewireError) {
			this.#failed(channel, n, outcome);
		} else {
			this.#acked(channel, n, outcome.position ?? "");
		}
	}

	#acked(channel: string, n: number, position: string): void {
		const { record, now } = this.#options;
		const key = `${channel}:${n}`;
		if (this.#positions.get(key) === position) {
			return;
		}
		this.#positions.set(key, position);
		const { epoch = "", offset = 0 } = parsePosition(position) ?? {};
		record({ t: now(), event: "ack", client: this.name, channel, n, epoch, offset });
	}

	#failed(channel: string, n: number, error: unknown): void {
		const { record, now } = this.#options;
		const key = `${channel}:${n}`;
		const code = error instanceof TidewireError ? error.code : "";
		if (this.#positions.has(key)) {
			return;
		}
		const about = { t: now(), client: this.name, channel, n };
		record(Object.hasOwn(ERROR_CODES, code) ? { event: "refused", ...about, code } : { event: "unknown", ...about });
	}
}
