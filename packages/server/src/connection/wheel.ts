/**
 * A coarse timer wheel: many deadlines, one timer. Items are linked into the slot of their deadline, so that setting
 * one is O(1) and costs an item two fields and no closure. Deadlines beyond one turn of the wheel are looked at once a
 * turn.
 */

/** What can stand on a wheel. The three fields belong to the wheel. */
export interface WheelItem {
	wheelNext: WheelItem | undefined;
	wheelPrevious: WheelItem | undefined;
	/** Milliseconds, on the clock that `advance` is called with. */
	dueMs: number;
}

class Slot implements WheelItem {
	wheelNext: WheelItem | undefined;
	wheelPrevious: WheelItem | undefined;
	dueMs = Number.NaN;
}

export class Wheel<Item extends WheelItem> {
	readonly tickMs: number;
	readonly #slots: readonly Slot[];
	#nowMs: number;

	/** `slots`: how many ticks one turn has. */
	constructor(tickMs: number, slots: number, nowMs: number) {
		this.tickMs = tickMs;
		this.#slots = Array.from({ length: slots }, () => new Slot());
		this.#nowMs = nowMs;
	}

	/** Sets or moves an item's deadline. It is reported at the first tick after it, never before it. */
	set(item: Item, dueMs: number): void {
		this.remove(item);
		item.dueMs = dueMs;
		const ticks = Math.floor(Math.max(dueMs, this.#nowMs) / this.tickMs) + 1;
		const slot = this.#slots[ticks % this.#slots.length]!;
		item.wheelPrevious = slot;
		item.wheelNext = slot.wheelNext;
		if (slot.wheelNext !== undefined) {
			slot.wheelNext.wheelPrevious = item;
		}
		slot.wheelNext = item;
	}

	remove(item: Item): void {
		const { wheelPrevious, wheelNext } = item;
		if (wheelPrevious !== undefined) {
			wheelPrevious.wheelNext = wheelNext;
		}
		if (wheelNext !== undefined) {
			wheelNext.wheelPrevious = wheelPrevious;
		}
		item.wheelPrevious = undefined;
		item.wheelNext = undefined;
	}

	/**
	 * Takes items whose deadline has passed, up to `most`: when it gives as many, there may be more, and the next call goes on
	 * there. After a long stall it looks at each slot once.
	 */
	advance(nowMs: number, most = Number.POSITIVE_INFINITY): Item[] {
		const due: Item[] = [];
		const last = Math.floor(nowMs / this.tickMs);
		const first = Math.max(Math.floor(this.#nowMs / this.tickMs) + 1, last - this.#slots.length + 1);
		for (let tick = first; tick <= last; tick++) {
			let item = this.#slots[tick % this.#slots.length]!.wheelNext;
			while (item !== undefined) {
				if (due.length >= most) {
					// The tick before this one is the last that is done with.
					this.#nowMs = Math.max(this.#nowMs, (tick - 1) * this.tickMs);
					return due;
				}
				const next: WheelItem | undefined = item.wheelNext;
				if (item.dueMs <= nowMs) {
					// Only items of this wheel's type are ever linked behind its slots.
					this.remove(item as Item);
					due.push(item as Item);
				}
				item = next;
			}
		}
		this.#nowMs = Math.max(this.#nowMs, nowMs);
		return due;
	}
}
