/**
 * The client's end of a simulated connection: a `WebSocket` class as browsers have it, on the real RFC 6455 engine. The
 * SDK gets it as the global one, and the raw clients use it as well. Which network it belongs to, is set once for all.
 */
import { Connection, type Handler, resolveLimits } from "@tidewire/websocket";
import type { Link } from "./link.ts";
import type { Receiver } from "./pipe.ts";
import type { World } from "./world.ts";

/** What a client's end needs of the network. */
export interface Way {
	readonly world: World;
	/** Begins to connect: the answer comes by the link, or `broken` says that there is none. */
	connect(client: ClientSocket, url: URL, protocol: string): void;
}

let way: Way | undefined;

export function useNetwork(network: Way): void {
	way = network;
}

const LIMITS = resolveLimits();
const HEAD_END = "\r\n\r\n";
const decoder = new TextDecoder();

const HANDLER: Handler<ClientSocket> = {
	message: (socket, data, text) => socket.received(data, text),
	ping() {},
	pong() {},
	close: (socket, code, reason) => socket.lost(code, reason),
	write: (socket, bytes) => socket.link?.up.write(bytes.slice()),
	end: (socket) => socket.link?.finish("up"),
};

export class ClientSocket implements Receiver {
	/** Whoever made it: the clients together, or one page. */
	readonly owner: string;
	binaryType = "blob";
	readyState = 0;
	onopen: () => void = () => {};
	onmessage: (event: { readonly data: string | ArrayBuffer }) => void = () => {};
	onclose: (event: { readonly code: number; readonly reason: string }) => void = () => {};
	onerror: () => void = () => {};
	/** There once the node was reached. */
	link: Link | undefined;
	readonly #way: Way;
	/** What has come of the answer's head. */
	#head: string | undefined = "";
	readonly #engine: Connection<ClientSocket>;

	constructor(url: string | URL, protocol: string) {
		if (way === undefined) {
			throw new Error("there is no network");
		}
		this.#way = way;
		const { world } = way;
		this.owner = world.owner;
		this.#engine = new Connection("client", HANDLER, this, LIMITS, () => (world.random() * 2 ** 32) | 0);
		way.connect(this, new URL(url), protocol);
	}

	send(payload: string | Uint8Array): void {
		if (this.readyState !== 1) {
			return;
		}
		if (typeof payload === "string") {
			this.#engine.sendText(payload);
		} else {
			this.#engine.sendBinary(payload);
		}
		if (this.link?.silent === true) {
			this.link.tell("client", this.#way.world.random() * 50);
		}
	}

	close(code = 1000): void {
		if (this.readyState === 1) {
			this.readyState = 2;
			this.#engine.close(code);
			// As browsers: a server that does not answer is not waited for.
			this.#way.world.after(CLOSE_TIMEOUT_MS, () => this.broken(), this.owner);
		} else if (this.readyState === 0) {
			this.drop();
		}
	}

	/** Ends it without a goodbye, as a process that is killed does. */
	drop(): void {
		if (this.readyState < 3) {
			this.link?.reset("up", this.#way.world.random() * 20);
			this.lost(1006, "");
		}
	}

	data(bytes: Uint8Array): void {
		if (this.readyState === 3) {
			return;
		}
		if (this.#head === undefined) {
			this.#engine.receive(bytes);
			return;
		}
		this.#head += Buffer.from(bytes).toString("latin1");
		const end = this.#head.indexOf(HEAD_END);
		if (end < 0) {
			return;
		}
		const answer = this.#head;
		this.#head = undefined;
		if (!answer.startsWith("HTTP/1.1 101 ")) {
			this.drop();
			return;
		}
		this.readyState = 1;
		this.onopen();
		const rest = answer.slice(end + HEAD_END.length);
		if (rest !== "") {
			this.data(new Uint8Array(Buffer.from(rest, "latin1")));
		}
	}

	ended(): void {
		this.#gone();
	}

	/** The other end is gone, or was not reached, and this one has learnt of it. */
	broken(): void {
		this.#gone();
	}

	#gone(): void {
		if (this.#head === undefined) {
			this.#engine.receiveEnd();
		}
		this.lost(1006, "");
	}

	/** From the engine. `data` is valid during this call only. */
	received(data: Uint8Array, text: boolean): void {
		if (this.readyState < 2) {
			this.onmessage({ data: text ? decoder.decode(data) : (data.slice().buffer as ArrayBuffer) });
		}
	}

	lost(code: number, reason: string): void {
		if (this.readyState < 3) {
			this.readyState = 3;
			this.onclose({ code, reason });
		}
	}
}

const CLOSE_TIMEOUT_MS = 3_000;
