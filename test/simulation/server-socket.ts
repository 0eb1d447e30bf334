/**
 * The server's end of a simulated connection: what the server uses of a `net.Socket`, and nothing else. It says that it
 * is full where more than a window's worth is under way, stops reading when it is paused, and ends as TCP does: each
 * half by itself, or at once by a reset.
 */
import { EventEmitter } from "node:events";
import type { Link } from "./link.ts";
import type { Receiver } from "./pipe.ts";
import type { World } from "./world.ts";

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

export class ServerSocket extends EventEmitter implements Receiver {
	readonly owner: string;
	readonly remoteAddress = "192.0.2.1";
	readonly encrypted = false;
	destroyed = false;
	closed = false;
	readableEnded = false;
	writable = true;
	writableEnded = false;
	writableNeedDrain = false;
	readonly #world: World;
	readonly #link: Link;
	readonly #windowBytes: number;
	/** There while it does not read. */
	#release: (() => void) | undefined;

	constructor(world: World, link: Link, owner: string, windowBytes: number) {
		super();
		this.#world = world;
		this.#link = link;
		this.owner = owner;
		this.#windowBytes = windowBytes;
	}

	get writableLength(): number {
		return Math.max(0, this.#link.down.bytes - this.#windowBytes);
	}

	/** Nothing is read before somebody listens. */
	begin(): void {
		this.#release = this.#link.up.hold();
		this.#link.down.moved = () => this.#drain();
	}

	override on(event: string, listener: (...args: never[]) => void): this {
		super.on(event, listener as (...args: unknown[]) => void);
		if (event === "data") {
			this.resume();
		}
		return this;
	}

	setTimeout(): this {
		return this;
	}

	pause(): this {
		this.#release ??= this.#link.up.hold();
		return this;
	}

	resume(): this {
		this.#release?.();
		this.#release = undefined;
		return this;
	}

	write(bytes: Uint8Array | string): boolean {
		if (this.destroyed || this.writableEnded) {
			return false;
		}
		// The server may use its memory again: what is under way is a copy.
		this.#link.down.write(typeof bytes === "string" ? latin1(bytes) : bytes.slice());
		if (this.#link.down.bytes > this.#windowBytes) {
			this.writableNeedDrain = true;
		}
		return !this.writableNeedDrain;
	}

	end(bytes?: Uint8Array | string): this {
		if (this.destroyed || this.writableEnded) {
			return this;
		}
		if (bytes !== undefined) {
			this.write(bytes);
		}
		this.writableEnded = true;
		this.writable = false;
		this.#link.finish("down");
		this.#world.after(0, () => this.emit("finish"), this.owner);
		this.#closeIfDone();
		return this;
	}

	/** A reset, or the last step of an orderly end. */
	destroy(): this {
		if (!this.destroyed) {
			this.destroyed = true;
			this.writable = false;
			this.#link.reset("down", this.#world.random() * 20);
			this.#world.after(0, () => this.#close(), this.owner);
		}
		return this;
	}

	/** The other end is gone, and this one has learnt of it. */
	broken(): void {
		if (!this.destroyed) {
			this.destroyed = true;
			this.writable = false;
			this.#close();
		}
	}

	data(bytes: Uint8Array): void {
		if (!this.destroyed) {
			this.emit("data", bytes);
		}
	}

	/** The other end has closed its half. */
	ended(): void {
		if (!this.destroyed) {
			this.readableEnded = true;
			this.emit("end");
			this.#closeIfDone();
		}
	}

	#closeIfDone(): void {
		if (this.readableEnded && this.writableEnded && !this.destroyed) {
			this.destroyed = true;
			this.#world.after(0, () => this.#close(), this.owner);
		}
	}

	#close(): void {
		if (!this.closed) {
			this.closed = true;
			this.emit("close");
		}
	}

	#drain(): void {
		if (this.writableNeedDrain && this.#link.down.bytes <= this.#windowBytes / 2) {
			this.writableNeedDrain = false;
			this.#world.after(0, () => this.destroyed || this.emit("drain"), this.owner);
		}
	}
}
