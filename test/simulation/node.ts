/**
 * One node of a simulated cluster: the real server, attached to an HTTP server that consists of its events only, on a
 * broker node that takes its time. It is started, told to go, or killed; after each start it is another owner on the
 * world's clock.
 */
import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import type { Server } from "node:http";
import type { Broker } from "@tidewire/broker";
import type { Contract } from "@tidewire/contract";
import { createServer, type Log, type ServerOptions, type TidewireServer, type User } from "@tidewire/server";
import { ACTION } from "./attendee.ts";
import type { Link } from "./link.ts";
import type { Host } from "./network.ts";
import { NodeBroker } from "./node-broker.ts";
import type { World } from "./world.ts";

export interface NodeOptions {
	readonly contract: Contract;
	readonly server: Pick<ServerOptions, "limits" | "heartbeat" | "presenceGraceMs" | "windowMs">;
	/** What the action does. */
	readonly count: (user: string, n: number) => Promise<unknown>;
	/** One more node of the broker's cluster. */
	readonly broker: () => Broker;
	/** The longest way to it, and back. */
	readonly brokerLatencyMs: number;
	/** The server says that something went wrong within it. */
	readonly failed: (cause: unknown) => void;
}

export class Node implements Host {
	readonly name: string;
	/** As long as it takes connections, or is about to refuse them politely. */
	owner: string | undefined;
	/** Whether it is there to stay. */
	up = false;
	broker: NodeBroker | undefined;
	readonly #world: World;
	readonly #options: NodeOptions;
	#starts = 0;
	#http = new EventEmitter();
	#server: TidewireServer | undefined;

	constructor(name: string, world: World, options: NodeOptions) {
		this.name = name;
		this.#world = world;
		this.#options = options;
	}

	start(): void {
		const owner = `${this.name}#${++this.#starts}`;
		this.owner = owner;
		this.up = true;
		this.#world.after(0, () => this.#create(owner), owner);
	}

	#create(owner: string): void {
		const { contract, server, broker, brokerLatencyMs, count } = this.#options;
		this.broker = new NodeBroker(this.#world, owner, broker(), brokerLatencyMs);
		this.#http = new EventEmitter();
		this.#server = createServer(contract, {
			...server,
			authenticate: ({ token }) => (token === undefined ? undefined : { id: token }),
			actions: {
				[ACTION]: ({ user, input }: { user: User | null; input: unknown }) =>
					count(user?.id ?? "", (input as { readonly n: number }).n),
			},
			may: { subscribe: everywhere(contract), publish: everywhere(contract), call: { [ACTION]: true } },
			log: this.#log,
			node: owner,
			broker: this.broker,
			nowMs: () => Date.now(),
		} as ServerOptions) as TidewireServer;
		this.#server.attach(this.#http as Server);
	}

	request(link: Link, target: string, protocol: string): void {
		const key = randomBytes(16).toString("base64");
		const headers = {
			host: "nodes",
			upgrade: "websocket",
			connection: "Upgrade",
			"sec-websocket-key": key,
			"sec-websocket-version": "13",
			"sec-websocket-protocol": protocol,
		};
		const rawHeaders = Object.entries(headers).flat();
		const request = { method: "GET", httpVersion: "1.1", url: target, headers, rawHeaders };
		this.#http.emit("upgrade", request, link.server, new Uint8Array(0));
	}

	/** Its process ends at once, with all that it holds. */
	kill(): void {
		if (this.owner !== undefined) {
			this.#world.kill(this.owner);
			this.broker?.kill();
			this.owner = undefined;
			this.up = false;
		}
	}

	/** It is told to go, and goes when it is ready. */
	drain(drainMs: number, gone: () => void): void {
		const { owner } = this;
		if (owner === undefined) {
			return;
		}
		this.up = false;
		this.#world.after(
			0,
			() => {
				void this.#server?.close({ drainMs }).then(() => {
					if (this.owner === owner) {
						this.owner = undefined;
						gone();
					}
				});
			},
			owner,
		);
	}

	readonly #log: Log = {
		info() {},
		warn() {},
		error: (message, { cause } = {}) => {
			if (!isOutage(cause)) {
				this.#options.failed(new Error(`${this.name}: ${message}`, { cause }));
			}
		},
	};
}

function everywhere({ channels }: Contract): Readonly<Record<string, true>> {
	return Object.fromEntries(Object.keys(channels).map((pattern) => [pattern, true]));
}

/** The broker is away now and then, and the server may say so. */
function isOutage(cause: unknown): boolean {
	return cause instanceof Error && cause.name === "BrokerError";
}
