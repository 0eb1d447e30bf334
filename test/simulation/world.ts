/**
 * A virtual clock with everything that waits for it. Nothing here happens by itself: `run` takes one task after the
 * other, in the order of their times, and lets every promise that a task settled be done with before the next. Each task
 * belongs to somebody (a node, the clients), and so does what it puts on the clock: whoever is killed does nothing more.
 * It knows no sockets and no servers.
 */
import { type Random, seeded } from "../../packages/cli/src/verify/fault/random.ts";

export interface Task {
	readonly atMs: number;
	readonly number: number;
	readonly owner: string;
	readonly run: () => void;
	cancelled: boolean;
}

/** Taken before anything is put in its place: the only real time in a simulation. */
const realImmediate = globalThis.setImmediate;
/** How many tasks are taken in one turn of the real event loop. Promises are done with after each of them all the same. */
const TASKS_A_TURN = 64;
/** The longest turn of a virtual event loop: what is put off to its end happens together. */
const LONGEST_TURN_MS = 2;

export class World {
	readonly random: Random;
	/** Milliseconds; begins at a moment that is nobody's. */
	nowMs = 1_000_000;
	/** How many tasks were done. */
	steps = 0;
	/** To whom the present task belongs. */
	owner = "run";
	readonly #dead = new Set<string>();
	/** When the present turn of somebody's event loop ends. */
	readonly #turns = new Map<string, number>();
	readonly #heap: Task[] = [];
	#numbers = 0;

	constructor(seed: number) {
		this.random = seeded(seed);
	}

	/** Runs `task` after a while, for `owner` or for whom it is called by. */
	after(delayMs: number, run: () => void, owner = this.owner): Task {
		const atMs = this.nowMs + Math.max(0, delayMs);
		const task = { atMs, number: ++this.#numbers, owner, run, cancelled: false };
		this.#push(task);
		return task;
	}

	/** Runs `task` at the end of its owner's turn. */
	immediate(run: () => void): Task {
		const { owner, nowMs } = this;
		let endMs = this.#turns.get(owner) ?? 0;
		if (endMs <= nowMs) {
			endMs = nowMs + (this.random() < 0.5 ? 0.01 : this.random() * LONGEST_TURN_MS);
			this.#turns.set(owner, endMs);
		}
		return this.after(endMs - nowMs, run);
	}

	/** Nothing of what this owner has on the clock happens any more. A later owner needs another name. */
	kill(owner: string): void {
		this.#dead.add(owner);
	}

	/** How many tasks of this owner are on the clock. */
	waiting(owner: string): number {
		return this.#heap.filter((task) => task.owner === owner && !task.cancelled).length;
	}

	/** Runs until `done` says so, nothing is left, or `maxSteps` were done; which of the three. What a task throws, `failed` gets. */
	run(
		done: () => boolean,
		failed: (cause: unknown) => void,
		maxSteps: number,
	): Promise<"done" | "nothing" | "endless"> {
		return new Promise((resolve) => {
			let ended: "done" | "nothing" | "endless" | undefined;
			const turn = (): void => {
				if (ended !== undefined) {
					return;
				}
				const task = done() ? undefined : this.#next();
				if (task === undefined || this.steps >= maxSteps) {
					ended = done() ? "done" : task === undefined ? "nothing" : "endless";
					resolve(ended);
					return;
				}
				this.nowMs = task.atMs;
				this.owner = task.owner;
				this.steps++;
				try {
					task.run();
				} catch (cause) {
					failed(cause);
				}
				// Node runs all promises between two immediates of one turn: cheaper than a turn for each.
				realImmediate(turn);
			};
			for (let count = 0; count < TASKS_A_TURN; count++) {
				realImmediate(turn);
			}
		});
	}

	#next(): Task | undefined {
		for (let task = this.#pop(); task !== undefined; task = this.#pop()) {
			if (!task.cancelled && !this.#dead.has(task.owner)) {
				return task;
			}
		}
		return undefined;
	}

	#push(task: Task): void {
		const heap = this.#heap;
		let at = heap.push(task) - 1;
		while (at > 0) {
			const above = (at - 1) >> 1;
			if (isBefore(heap[above]!, task)) {
				break;
			}
			heap[at] = heap[above]!;
			at = above;
		}
		heap[at] = task;
	}

	#pop(): Task | undefined {
		const heap = this.#heap;
		const first = heap[0];
		const last = heap.pop();
		if (first === undefined || last === undefined || heap.length === 0) {
			return first;
		}
		let at = 0;
		for (;;) {
			let below = 2 * at + 1;
			if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) {
				below++;
			}
			if (below >= heap.length || isBefore(last, heap[below]!)) {
				break;
			}
			heap[at] = heap[below]!;
			at = below;
		}
		heap[at] = last;
		return first;
	}
}

function isBefore(one: Task, other: Task): boolean {
	return one.atMs < other.atMs || (one.atMs === other.atMs && one.number < other.number);
}
