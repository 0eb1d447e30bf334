/**
 * A TCP proxy that treats bytes badly, as networks do: late, in pieces, held back one way, cut off. It never loses or
 * changes a byte of a connection that lives, because TCP does not either. It knows nothing of what the bytes mean.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Random } from "./random.ts";

export interface Disturbance {
	/** Each piece comes so late, and up to `jitterMs` later, never out of order. */
	readonly delayMs?: number;
	readonly jitterMs?: number;
	/** Bytes go on in pieces of 1 to this many, each in a packet of its own where the kernel lets it. */
	readonly pieceBytes?: number;
}

/** What a direction may hold before it stops reading. */
const MAX_HELD_BYTES = 256 * 1024;
/** Pieces above this many of one chunk are not made: 1-byte packets of a megabyte would last for ever. */
const MAX_PIECES = 256;

interface Piece {
	readonly bytes: Uint8Array;
	readonly dueMs: number;
}

/** One direction of one connection. */
export class Lane {
	readonly #from: Socket;
	readonly #to: Socket;
	readonly #random: Random;
	#disturbance: Disturbance = {};
	#held: Piece[] = [];
	#heldBytes = 0;
	#lastDueMs = 0;
	#stalled = false;
	#ended = false;
	#timer: NodeJS.Timeout | undefined;
	#soon: NodeJS.Immediate | undefined;

	constructor(from: Socket, to: Socket, random: Random) {
		this.#from = from;
		this.#to = to;
		this.#random = random;
		from.on("data", (chunk) => this.#take(chunk));
		from.on("end", () => {
			this.#ended = true;
			this.#pump();
		});
		to.on("drain", () => this.#pump());
	}

	/** From now on nothing passes, and nothing is read: the sender's buffers fill. */
	stall(): void {
		this.#stalled = true;
		this.#from.pause();
	}

	disturb(disturbance: Disturbance): void {
		this.#disturbance = disturbance;
	}

	/** Everything passes again, what was held first. */
	heal(): void {
		this.#stalled = false;
		this.#disturbance = {};
		this.#pump();
	}

	stop(): void {
		clearTimeout(this.#timer);
		clearImmediate(this.#soon);
		this.#held = [];
	}

	#take(chunk: Uint8Array): void {
		const { delayMs = 0, jitterMs = 0, pieceBytes } = this.#disturbance;
		const least = pieceBytes === undefined ? chunk.length : Math.ceil(chunk.length / MAX_PIECES);
		for (let at = 0; at < chunk.length; ) {
			const length = Math.max(least, 1 + Math.floor(this.#random() * (pieceBytes ?? 1)));
			const dueMs = performance.now() + delayMs + this.#random() * jitterMs;
			this.#lastDueMs = Math.max(this.#lastDueMs, dueMs);
			this.#held.push({ bytes: chunk.subarray(at, at + length), dueMs: this.#lastDueMs });
			at += length;
		}
		this.#heldBytes += chunk.length;
		this.#pump();
	}

	#pump(): void {
		clearTimeout(this.#timer);
		clearImmediate(this.#soon);
		while (!this.#stalled && !this.#to.writableNeedDrain) {
			const first = this.#held[0];
			if (first === undefined) {
				this.#finish();
				break;
			}
			const waitMs = this.#disturbance.delayMs === undefined ? 0 : first.dueMs - performance.now();
			if (waitMs > 0) {
				this.#timer = setTimeout(() => this.#pump(), waitMs);
				break;
			}
			this.#held.shift();
			this.#heldBytes -= first.bytes.length;
			this.#to.write(first.bytes);
			if (this.#disturbance.pieceBytes !== undefined) {
				// The next piece in a packet of its own.
				this.#soon = setImmediate(() => this.#pump());
				break;
			}
		}
		if (this.#stalled || this.#heldBytes > MAX_HELD_BYTES || this.#to.writableNeedDrain) {
			this.#from.pause();
		} else {
			this.#from.resume();
		}
	}

	#finish(): void {
		if (this.#ended && !this.#to.writableEnded) {
			this.#to.end();
		}
	}
}

/** One connection through the proxy. */
export class Link {
	/** The port that the client connects from: which client it is. */
	readonly clientPort: number;
	readonly toServer: Lane;
	readonly toClient: Lane;
	readonly #sockets: readonly Socket[];

	constructor(client: Socket, server: Socket, random: Random) {
		this.clientPort = client.remotePort ?? 0;
		this.toServer = new Lane(client, server, random);
		this.toClient = new Lane(server, client, random);
		this.#sockets = [client, server];
		for (const socket of this.#sockets) {
			socket.setNoDelay(true);
			// "close" follows each error, and ends both.
			socket.on("error", () => {});
			socket.on("close", () => this.#close(socket));
		}
	}

	/** Both ends see a reset; what was under way is lost. */
	cut(): void {
		this.#sockets.forEach(reset);
	}

	heal(): void {
		this.toServer.heal();
		this.toClient.heal();
	}

	/** A socket that closed after both ends had said theirs leaves the other to write its last bytes. */
	#close(closed: Socket): void {
		for (const socket of this.#sockets) {
			if (socket !== closed && closed.errored !== null) {
				reset(socket);
			} else if (socket !== closed && !(closed.readableEnded && closed.writableFinished)) {
				socket.destroy();
			}
		}
		if (this.#sockets.every(({ destroyed }) => destroyed)) {
			this.toServer.stop();
			this.toClient.stop();
		}
	}
}

/** A handle whose end is being sent refuses a reset, and then neither closes nor lets the process end. */
function reset(socket: Socket): void {
	if (socket.writableEnded) {
		socket.destroy();
	} else {
		socket.resetAndDestroy();
	}
}

export interface ProxyOptions {
	/** Where connections go on to. */
	readonly host: string;
	readonly port: number;
	readonly random: Random;
}

export class FaultProxy {
	readonly #server: Server;
	readonly #links = new Map<number, Link>();
	#disturb: ((link: Link) => void) | undefined;

	private constructor(server: Server) {
		this.#server = server;
	}

	/** Listens on a free port of this machine's loopback. */
	static async open({ host, port, random }: ProxyOptions): Promise<FaultProxy> {
		const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
		const proxy = new FaultProxy(server);
		server.on("connection", (client) => {
			const upstream = connect({ host, port, allowHalfOpen: true });
			const link = new Link(client, upstream, random);
			proxy.#links.set(link.clientPort, link);
			client.on("close", () => {
				if (proxy.#links.get(link.clientPort) === link) {
					proxy.#links.delete(link.clientPort);
				}
			});
			upstream.on("connect", () => client.resume());
			proxy.#disturb?.(link);
		});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		return proxy;
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	get links(): readonly Link[] {
		return [...this.#links.values()];
	}

	/** The connection of the client that connects from this port. */
	link(clientPort: number): Link | undefined {
		return this.#links.get(clientPort);
	}

	/** Disturbs all connections, those to come too, until `heal`. */
	disturbAll(disturb: (link: Link) => void): void {
		this.#disturb = disturb;
		this.links.forEach(disturb);
	}

	heal(): void {
		this.#disturb = undefined;
		for (const link of this.links) {
			link.heal();
		}
	}

	/** Cuts what is there and listens no more. */
	async close(): Promise<void> {
		const closed = once(this.#server, "close");
		this.#server.close();
		for (const link of this.links) {
			link.cut();
		}
		await closed;
	}
}
