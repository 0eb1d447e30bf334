/**
 * One direction of a connection: bytes that take their time, arrive in order, in pieces that are not those in which
 * they were written, and may be held back or lost from some byte on. Its end is a chunk of its own (`FIN`).
 */
import type { Task, World } from "./world.ts";

export const FIN = Symbol("fin");

type Chunk = Uint8Array | typeof FIN;

export interface Receiver {
	/** Its tasks are done in this name. */
	readonly owner: string;
	data(bytes: Uint8Array): void;
	ended(): void;
}

export interface PipeOptions {
	readonly receiver: Receiver;
	/** Of the next chunk. */
	readonly latencyMs: () => number;
	/** How likely a chunk arrives in two pieces. */
	readonly splits: number;
}

export class Pipe {
	/** How many bytes are under way. */
	bytes = 0;
	/** Called whenever bytes have arrived. */
	moved: () => void = () => {};
	readonly #world: World;
	readonly #options: PipeOptions;
	readonly #queue: { chunk: Chunk; atMs: number }[] = [];
	/** For how many reasons nothing arrives for now. */
	#holds = 0;
	#lastMs = 0;
	#broken = false;
	#task: Task | undefined;

	constructor(world: World, options: PipeOptions) {
		this.#world = world;
		this.#options = options;
	}

	write(chunk: Chunk): void {
		if (this.#broken) {
			return;
		}
		this.#lastMs = Math.max(this.#lastMs, this.#world.nowMs + this.#options.latencyMs());
		this.#queue.push({ chunk, atMs: this.#lastMs });
		this.bytes += lengthOf(chunk);
		this.#arm();
	}

	/** Nothing arrives until the returned function is called. */
	hold(): () => void {
		this.#holds++;
		let held = true;
		return () => {
			if (held) {
				held = false;
				this.#holds--;
				this.#arm();
			}
		};
	}

	/** What is under way is lost from its `keptBytes`-th byte on, and so is all that follows. */
	cut(keptBytes: number): void {
		this.#broken = true;
		let left = keptBytes;
		for (const [index, entry] of this.#queue.entries()) {
			const length = lengthOf(entry.chunk);
			if (entry.chunk === FIN || left < length) {
				if (entry.chunk !== FIN && left > 0) {
					entry.chunk = entry.chunk.subarray(0, left);
				}
				this.#queue.length = entry.chunk === FIN || left === 0 ? index : index + 1;
				break;
			}
			left -= length;
		}
		this.bytes = this.#queue.reduce((sum, { chunk }) => sum + lengthOf(chunk), 0);
	}

	#arm(): void {
		const [next] = this.#queue;
		if (next !== undefined && this.#task === undefined && this.#holds === 0) {
			const { owner } = this.#options.receiver;
			this.#task = this.#world.after(next.atMs - this.#world.nowMs, () => this.#arrive(), owner);
		}
	}

	#arrive(): void {
		this.#task = undefined;
		const [entry] = this.#queue;
		if (entry === undefined || this.#holds > 0) {
			return;
		}
		const { receiver, splits } = this.#options;
		const { chunk } = entry;
		if (chunk === FIN) {
			this.#queue.shift();
			receiver.ended();
			return;
		}
		let arriving = chunk;
		if (chunk.length > 1 && this.#world.random() < splits) {
			const at = 1 + Math.floor(this.#world.random() * (chunk.length - 1));
			arriving = chunk.subarray(0, at);
			entry.chunk = chunk.subarray(at);
			entry.atMs = this.#world.nowMs + this.#world.random() * 5;
			this.#lastMs = Math.max(this.#lastMs, entry.atMs);
		} else {
			this.#queue.shift();
		}
		this.bytes -= arriving.length;
		this.#arm();
		// The receiver may unmask it in place, and keep it.
		receiver.data(arriving.slice());
		this.moved();
	}
}

function lengthOf(chunk: Chunk): number {
	return chunk === FIN ? 0 : chunk.length;
}
