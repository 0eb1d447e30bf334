/** How the raw clients of `tidewire verify` connect in a simulation. */
import { type Hello, jsonClient, type ServerMessage } from "@tidewire/protocol";
import type { Dial } from "../../packages/cli/src/verify/load/staying.ts";
import type { Wire, WireEvents } from "../../packages/cli/src/verify/load/wire.ts";
import { ClientSocket } from "./client-socket.ts";

const TIMEOUT_MS = 3_000;

class SimulatedWire implements Wire {
	hello!: Hello["hello"];
	heardMs = performance.now();
	readonly #socket: ClientSocket;

	constructor(socket: ClientSocket) {
		this.#socket = socket;
	}

	get localPort(): number {
		return this.#socket.link?.number ?? 0;
	}

	send(message: object): void {
		this.#socket.send(JSON.stringify(message));
	}

	close(): void {
		this.#socket.close();
	}

	drop(): void {
		this.#socket.drop();
	}
}

/** Connects as this user. */
export function dialAs(name: string): Dial {
	return (events: WireEvents) =>
		new Promise<Wire>((resolve, reject) => {
			const socket = new ClientSocket(`ws://nodes/connect?token=${name}`, jsonClient.subprotocol);
			const wire = new SimulatedWire(socket);
			let greeted = false;
			const timer = setTimeout(() => socket.drop(), TIMEOUT_MS);
			socket.onmessage = ({ data }) => {
				wire.heardMs = performance.now();
				const message: ServerMessage = jsonClient.decode(data as string);
				if ("hello" in message) {
					greeted = true;
					clearTimeout(timer);
					wire.hello = message.hello;
					resolve(wire);
				} else {
					// Whoever waits for the wire has it before.
					queueMicrotask(() => events.message(message));
				}
			};
			socket.onclose = ({ code, reason }) => {
				clearTimeout(timer);
				if (greeted) {
					queueMicrotask(() => events.lost(code, reason));
				} else {
					reject(new Error(`closed with ${code}`));
				}
			};
		});
}
