/**
 * One TCP connection between a client and a node: a pipe each way, and the ways in which it ends without either's
 * wish. Either end may learn late of the other's end, or by its own heartbeat only.
 */

import type { ClientSocket } from "./client-socket.ts";
import { FIN, Pipe } from "./pipe.ts";
import { ServerSocket } from "./server-socket.ts";
import type { World } from "./world.ts";

export type Direction = "up" | "down";

export interface LinkOptions {
	readonly number: number;
	readonly node: string;
	/** In whose name the node's tasks are done: another after each restart. */
	readonly nodeOwner: string;
	readonly windowBytes: number;
	readonly splits: number;
	readonly latencyMs: () => number;
}

export class Link {
	readonly number: number;
	readonly node: string;
	readonly client: ClientSocket;
	readonly server: ServerSocket;
	readonly up: Pipe;
	readonly down: Pipe;
	/** Whether bytes go both ways still. */
	whole = true;
	/** The node is gone without a word: whoever writes to it is told so then. */
	silent = false;
	readonly #world: World;

	constructor(world: World, client: ClientSocket, options: LinkOptions) {
		const { number, node, nodeOwner, windowBytes, splits, latencyMs } = options;
		this.#world = world;
		this.number = number;
		this.node = node;
		this.client = client;
		this.server = new ServerSocket(world, this, nodeOwner, windowBytes);
		this.up = new Pipe(world, { receiver: this.server, latencyMs, splits });
		this.down = new Pipe(world, { receiver: client, latencyMs, splits });
		this.server.begin();
	}

	/** One end closes its half, after what it has written. */
	finish(direction: Direction): void {
		this[direction].write(FIN);
	}

	/** One end is gone at once. The other still gets a part of what is under way, and is told after that. */
	reset(from: Direction, afterMs: number): void {
		if (!this.whole) {
			return;
		}
		this.whole = false;
		const { random } = this.#world;
		const sent = this[from];
		sent.cut(Math.floor(random() * (sent.bytes + 1)));
		this[from === "up" ? "down" : "up"].cut(0);
		this.tell(from === "up" ? "server" : "client", afterMs);
	}

	/** The way between is gone: what is under way is lost from some byte on. Undefined: that end is not told. */
	cut(clientAfterMs: number | undefined, serverAfterMs: number | undefined): void {
		if (!this.whole) {
			return;
		}
		this.whole = false;
		const { random } = this.#world;
		this.up.cut(Math.floor(random() * (this.up.bytes + 1)));
		this.down.cut(Math.floor(random() * (this.down.bytes + 1)));
		if (clientAfterMs !== undefined) {
			this.tell("client", clientAfterMs);
		}
		if (serverAfterMs !== undefined) {
			this.tell("server", serverAfterMs);
		}
	}

	tell(end: "client" | "server", afterMs: number): void {
		if (end === "client") {
			this.#world.after(afterMs, () => this.client.broken(), this.client.owner);
		} else {
			this.#world.after(afterMs, () => this.server.broken(), this.server.owner);
		}
	}
}
