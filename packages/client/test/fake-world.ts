/** A world for the client that stands still until a test moves it: clock, timers, randomness, network, sockets. */
import type { ServerMessage } from "@tidewire/protocol";
import type { Environment, NetworkEvent } from "../src/index.ts";

/** A client message as it travels. */
export type Sent = { readonly id: number; readonly action: string } & Readonly<Record<string, unknown>>;

export class FakeWorld implements Environment {
	time = 0;
	randomness = 0.5;
	/** Every socket ever opened, oldest first. */
	readonly sockets: FakeSocket[] = [];
	/** What a new socket does, besides waiting for the test. */
	onSocket: (socket: FakeSocket) => void = () => {};
	readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>();
	readonly #watchers = new Set<(event: NetworkEvent) => void>();
	readonly webSocket: typeof WebSocket;

	constructor() {
		const world = this;
		this.webSocket = class extends FakeSocket {
			constructor(url: string, protocol: string) {
				super(url, protocol);
				world.sockets.push(this);
				queueMicrotask(() => world.onSocket(this));
			}
		} as unknown as typeof WebSocket;
	}

	readonly now = (): number => this.time;
	readonly random = (): number => this.randomness;
	readonly setTimer = (callback: () => void, delayMs: number): (() => void) => {
		if (!(delayMs >= 0 && delayMs <= 2 ** 31 - 1)) {
			throw new RangeError(`a timer of ${delayMs} ms`);
		}
		const timer = { at: this.time + delayMs, callback };
		this.#timers.add(timer);
		return () => this.#timers.delete(timer);
	};
	readonly watchNetwork = (listener: (event: NetworkEvent) => void): (() => void) => {
		this.#watchers.add(listener);
		return () => this.#watchers.delete(listener);
	};

	get timers(): number {
		return this.#timers.size;
	}

	get watchers(): number {
		return this.#watchers.size;
	}

	get socket(): FakeSocket {
		const socket = this.sockets.at(-1);
		if (socket === undefined) {
			throw new Error("no socket was opened");
		}
		return socket;
	}

	/** Sockets that the client holds. */
	get held(): number {
		return this.sockets.filter((socket) => socket.readyState < 2).length;
	}

	network(event: NetworkEvent): void {
		for (const watcher of this.#watchers) {
			watcher(event);
		}
	}

	/** Lets everything happen that waits for nothing but its turn. */
	async settle(): Promise<void> {
		for (let turn = 0; turn < 30; turn += 1) {
			await Promise.resolve();
		}
	}

	/** Lets time pass; timers fire in order, each at its own moment. */
	async advance(ms: number): Promise<void> {
		const end = this.time + ms;
		await this.settle();
		for (;;) {
			const next = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
			if (next === undefined) {
				break;
			}
			this.#timers.delete(next);
			this.time = Math.max(this.time, next.at);
			next.callback();
			await this.settle();
		}
		this.time = end;
	}
}

export class FakeSocket {
	readonly url: string;
	readonly protocol: string;
	readyState = 0;
	binaryType = "blob";
	onopen: (() => void) | null = null;
	onmessage: ((event: { data: unknown }) => void) | null = null;
	onclose: ((event: { code: number; reason: string }) => void) | null = null;
	onerror: (() => void) | null = null;
	readonly sent: Sent[] = [];
	/** How the client closed it. */
	closedWith: { readonly code: number; readonly reason: string } | undefined;
	onSent: (message: Sent) => void = () => {};

	constructor(url: string, protocol: string) {
		this.url = url;
		this.protocol = protocol;
	}

	send(payload: string): void {
		const message = JSON.parse(payload) as Sent;
		this.sent.push(message);
		queueMicrotask(() => this.readyState === 1 && this.onSent(message));
	}

	close(code: number, reason = ""): void {
		this.closedWith ??= { code, reason };
		this.end(code, reason);
	}

	/** The messages of one action that the client sent here. */
	of(action: string): Sent[] {
		return this.sent.filter((message) => message.action === action);
	}

	accept(): void {
		this.readyState = 1;
		this.onopen?.();
	}

	/** The server sends this, whatever it is. */
	say(message: ServerMessage | Readonly<Record<string, unknown>> | string | ArrayBuffer): void {
		const raw = typeof message === "string" || message instanceof ArrayBuffer;
		this.onmessage?.({ data: raw ? message : JSON.stringify(message) });
	}

	end(code: number, reason = ""): void {
		if (this.readyState < 3) {
			this.readyState = 3;
			queueMicrotask(() => this.onclose?.({ code, reason }));
		}
	}
}
