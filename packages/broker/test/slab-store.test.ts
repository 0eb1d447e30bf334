/** The slabs against a list of what should be in them, with slabs so small that they are cleaned all the time. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Entry } from "../src/broker.ts";
import { weigh } from "../src/slab-record.ts";
import { type RecordOwner, SlabStore } from "../src/slab-store.ts";

const SLAB_BYTES = 640;
/** The longest data that shares a slab of this size. */
const SHARED = SLAB_BYTES / 16 - 25;

function entryOf(offset: number, size: number): Entry {
	return { offset, timeMs: 1_000 + offset, data: new Uint8Array(size).fill(offset), encoding: "binary" };
}

/** Keeps entries as a log does, and can say whether they are still there. */
class Owner implements RecordOwner {
	readonly #store: SlabStore;
	readonly #number: number;
	readonly #positions = new Map<number, number>();
	readonly #sizes = new Map<number, number>();
	#head: number;
	cost = 0;
	moves = 0;

	constructor(store: SlabStore, head = 0) {
		this.#store = store;
		this.#number = store.enter(this);
		this.#head = head;
	}

	get count(): number {
		return this.#positions.size;
	}

	append(size: number): void {
		const entry = entryOf(++this.#head, size);
		const position = this.#store.append(this.#number, entry, weigh(entry));
		this.#positions.set(this.#head, position);
		this.#sizes.set(this.#head, size);
		this.cost += this.#store.cost(position);
	}

	/** Lets go of one of those it keeps. */
	free(which: number): void {
		const offset = [...this.#positions.keys()][which % this.#positions.size];
		if (offset !== undefined) {
			const position = this.#positions.get(offset)!;
			this.cost -= this.#store.cost(position);
			this.#store.free(position);
			this.#positions.delete(offset);
		}
	}

	freeAll(): void {
		while (this.count > 0) {
			this.free(0);
		}
	}

	moved(lowOffset: number, position: number): void {
		this.moves++;
		this.#positions.set(this.#head - ((this.#head - lowOffset) >>> 0), position);
	}

	check(): void {
		for (const [offset, position] of this.#positions) {
			const data = new Uint8Array(this.#store.dataLength(position));
			const entry = this.#store.read(position, offset, data);
			expect(entry).toEqual(entryOf(offset, this.#sizes.get(offset)!));
		}
	}
}

function setUp(): SlabStore {
	return new SlabStore(1024 * 1024, SLAB_BYTES);
}

const who = fc.nat(3);
const step = fc.oneof(
	{ weight: 60, arbitrary: fc.record({ do: fc.constant("append" as const), who, size: fc.nat(2 * SHARED) }) },
	{ weight: 40, arbitrary: fc.record({ do: fc.constant("free" as const), who, which: fc.nat(1_000) }) },
	{ weight: 4, arbitrary: fc.record({ do: fc.constant("clean" as const), bytes: fc.nat(3_000) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("freeAll" as const), who }) },
);

describe("any sequence of append, free and clean", () => {
	it("loses nothing that is kept, and takes at most what the records cost and the reserve", () => {
		let moves = 0;
		fc.assert(
			fc.property(fc.array(step, { minLength: 300, maxLength: 600 }), (steps) => {
				const store = setUp();
				// The second one's offsets pass 2 ** 32 on the way.
				const owners = [0, 2 ** 32 - 50, 2 ** 40, 7].map((head) => new Owner(store, head));
				const cost = (): number => owners.reduce((sum, owner) => sum + owner.cost, 0);
				let peak = 0;
				for (const each of steps) {
					switch (each.do) {
						case "append":
							owners[each.who]!.append(each.size);
							break;
						case "free":
							owners[each.who]!.free(each.which);
							break;
						case "freeAll":
							owners[each.who]!.freeAll();
							break;
						case "clean":
							store.clean(each.bytes);
							break;
					}
					// What is let go of leaves holes; they are filled before anything is added.
					peak = Math.max(peak, cost());
					expect(store.bytes).toBeLessThanOrEqual(peak + store.reserve);
				}
				for (const owner of owners) {
					owner.check();
					moves += owner.moves;
					owner.freeAll();
				}
				expect(cost()).toBe(0);
				expect(store.bytes).toBeLessThanOrEqual(store.reserve);
			}),
			{ numRuns: 50 },
		);
		expect(moves).toBeGreaterThan(1_000);
	});
});

describe("a quiet channel", () => {
	it("keeps its entries while a busy one fills slab after slab, and does not keep the busy one's slabs", () => {
		const store = setUp();
		const quiet = new Owner(store);
		const busy = new Owner(store);
		for (let turn = 0; turn < 20_000; turn++) {
			if (turn % 200 === 0) {
				quiet.append(SHARED);
			}
			busy.append(turn % SHARED);
			if (busy.count > 10) {
				busy.free(0);
			}
			expect(store.bytes).toBeLessThanOrEqual(quiet.cost + busy.cost + store.reserve);
		}
		expect(quiet.count).toBe(100);
		quiet.check();
		// What survived lies together, and is not moved again and again.
		expect(quiet.moves).toBeLessThan(4 * quiet.count);
	});
});

describe("cleaning", () => {
	/** Slabs of which every second record is dead. */
	function fillWithHoles(store: SlabStore): Owner {
		const owner = new Owner(store);
		const holes = new Owner(store);
		for (let turn = 0; turn < 1_000; turn++) {
			owner.append(SHARED);
			holes.append(SHARED);
		}
		holes.freeAll();
		return owner;
	}

	it("is done by those who append, a bounded part each: no publish waits for all of it", () => {
		const store = setUp();
		const owner = fillWithHoles(store);
		const before = store.bytes;
		let most = 0;
		for (let turn = 0; turn < 1_000; turn++) {
			const { moves } = owner;
			owner.append(SHARED);
			most = Math.max(most, owner.moves - moves);
			expect(store.bytes).toBeLessThanOrEqual(Math.max(before, owner.cost) + store.reserve);
		}
		expect(most).toBeLessThanOrEqual(16);
		expect(store.bytes).toBeLessThanOrEqual(owner.cost + store.reserve);
		owner.check();
	});

	it("goes on without appends, when asked, and ends when there are few holes", () => {
		const store = setUp();
		const owner = fillWithHoles(store);
		store.clean(Infinity);
		expect(store.bytes).toBeLessThanOrEqual(owner.cost + store.reserve);
		const { moves } = owner;
		store.clean(Infinity);
		expect(owner.moves).toBe(moves);
		owner.check();
	});
});

describe("a slab", () => {
	it("is filled again when all in it is gone: a channel that keeps one message needs no more", () => {
		const store = setUp();
		const owner = new Owner(store);
		for (let turn = 0; turn < 1_000; turn++) {
			owner.freeAll();
			owner.append(SHARED);
		}
		expect(store.bytes).toBe(SLAB_BYTES);
	});

	it("of its own belongs to a long record, and goes with it", () => {
		const store = setUp();
		const owner = new Owner(store);
		owner.append(SHARED);
		const before = store.bytes;
		owner.append(5_000_000);
		expect(store.bytes).toBeGreaterThan(5_000_000);
		owner.check();
		owner.free(1);
		expect(store.bytes).toBe(before);
	});

	it("is at most 1 MiB, and small where the budget is", () => {
		expect(new SlabStore(2 ** 40).reserve).toBe(6 * 2 ** 20);
		expect(new SlabStore(128_000).reserve).toBe(6_000);
	});
});
