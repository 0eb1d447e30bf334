/**
 * Puts the virtual clock and the seed in the place of everything by which code could learn of the real time or of chance:
 * the timers, `Date.now`, `performance.now`, `Math.random`, and the randomness of `node:crypto`. So the real server and
 * the real SDK are simulated as they are, and a timer that somebody adds to them tomorrow is simulated too. For worker
 * threads only, which have these things for themselves; there is no way back.
 */
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import type { Task, World } from "./world.ts";

/** What `setTimeout` and the others return. */
class Timer {
	task: Task | undefined;

	unref(): this {
		return this;
	}

	ref(): this {
		return this;
	}

	clear(): void {
		if (this.task !== undefined) {
			this.task.cancelled = true;
		}
		this.task = undefined;
	}
}

function clear(timer: unknown): void {
	if (timer instanceof Timer) {
		timer.clear();
	}
}

/** As Node has it: what is no sensible delay is 1. */
function whole(delayMs: number): number {
	return delayMs >= 1 && delayMs <= 0x7fff_ffff ? delayMs : 1;
}

/** `world`: the present one. `sockets`: the WebSocket class. */
export function replaceGlobals(world: () => World, sockets: unknown): void {
	function setTimeout(run: (...args: unknown[]) => void, delayMs = 0, ...args: unknown[]): Timer {
		const timer = new Timer();
		timer.task = world().after(whole(delayMs), () => run(...args));
		return timer;
	}
	function setInterval(run: (...args: unknown[]) => void, delayMs = 0, ...args: unknown[]): Timer {
		const timer = new Timer();
		const beat = (): void => {
			timer.task = world().after(whole(delayMs), beat);
			run(...args);
		};
		timer.task = world().after(whole(delayMs), beat);
		return timer;
	}
	function setImmediate(run: (...args: unknown[]) => void, ...args: unknown[]): Timer {
		const timer = new Timer();
		timer.task = world().immediate(() => run(...args));
		return timer;
	}
	Object.assign(globalThis, {
		setTimeout,
		setInterval,
		setImmediate,
		clearTimeout: clear,
		clearInterval: clear,
		clearImmediate: clear,
		WebSocket: sockets,
	});
	Date.now = () => Math.floor(EPOCH_MS + world().nowMs);
	Object.defineProperty(performance, "now", { value: () => world().nowMs });
	Object.defineProperty(performance, "timeOrigin", { value: EPOCH_MS });
	Math.random = () => world().random();

	function fill<Bytes extends Uint8Array>(bytes: Bytes): Bytes {
		for (let index = 0; index < bytes.length; index++) {
			bytes[index] = world().random() * 256;
		}
		return bytes;
	}
	/** Of whatever width. */
	function fillAll<View extends ArrayBufferView>(view: View): View {
		fill(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
		return view;
	}
	Object.assign(crypto, {
		randomBytes: (size: number) => fill(Buffer.alloc(size)),
		randomFillSync: fill,
		randomUUID: () => fill(Buffer.alloc(16)).toString("hex"),
	});
	syncBuiltinESMExports();
	Object.defineProperty(globalThis.crypto, "getRandomValues", { value: fillAll });
}

const EPOCH_MS = Date.UTC(2030, 0, 1);
