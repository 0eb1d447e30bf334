/**
 * An entry as bytes in a slab: a head of fixed layout, the texts that the entry has, its data. All numbers are little
 * endian. It knows nothing of logs: whose the record is, is a number, and 0 says that nobody keeps it any more.
 *
 * ```
 * u32 length of the record · u32 owner · u32 offset, its low half · f64 timeMs · u32 length of the data · u8 flags
 * f64 ttlMs, where there is one
 * for each text that there is, in the order of TEXTS: u16 length, of UTF-16 units or bytes · the text
 * data
 * ```
 */
import type { Entry } from "./broker.ts";
import type { Slab } from "./slab.ts";

const OWNER = 4;
const OFFSET = 8;
const TIME = 12;
const DATA_LENGTH = 20;
const FLAGS = 24;
const HEAD_BYTES = 25;
const TTL_BYTES = 8;

const BINARY = 1;
const PATCH = 2;
const TTL = 4;
/** The flag of the first text; the next one's is twice that. */
const FIRST_TEXT = 8;
const TEXTS = ["name", "key", "from", "exclude", "report"] as const;

/** In a text's length: it needs two bytes a unit. Lengths are far below, see `admission.ts`. */
const WIDE = 0x8000;

/** UTF-16 units as they are, as UTF-8 would lose half surrogates; one byte each where that is enough. */
function isWide(text: string): boolean {
	for (let index = 0; index < text.length; index++) {
		if (text.charCodeAt(index) > 0xff) {
			return true;
		}
	}
	return false;
}

/** What an entry weighs against `Retention.bytes`: its data, and its texts as they are stored. */
export function weigh(entry: Entry): number {
	let weight = entry.data.byteLength;
	for (const attribute of TEXTS) {
		const text = entry[attribute];
		if (text !== undefined) {
			weight += 2 + (isWide(text) ? 2 * text.length : text.length);
		}
	}
	return weight;
}

/** How long the record of an entry of this weight is. */
export function recordLength(entry: Entry, weight: number): number {
	return HEAD_BYTES + (entry.ttlMs === undefined ? 0 : TTL_BYTES) + weight;
}

/** Writes the record; there must be `length` bytes of room. */
export function writeRecord(slab: Slab, at: number, length: number, owner: number, entry: Entry): void {
	const { view, bytes } = slab;
	let flags = (entry.encoding === "binary" ? BINARY : 0) | (entry.patch === true ? PATCH : 0);
	let end = at + HEAD_BYTES;
	if (entry.ttlMs !== undefined) {
		flags |= TTL;
		view.setFloat64(end, entry.ttlMs, true);
		end += TTL_BYTES;
	}
	for (let index = 0; index < TEXTS.length; index++) {
		const text = entry[TEXTS[index]!];
		if (text !== undefined) {
			flags |= FIRST_TEXT << index;
			end = writeText(view, end, text);
		}
	}
	bytes.set(entry.data, end);
	view.setUint32(at, length, true);
	view.setUint32(at + OWNER, owner, true);
	view.setUint32(at + OFFSET, entry.offset, true);
	view.setFloat64(at + TIME, entry.timeMs, true);
	view.setUint32(at + DATA_LENGTH, entry.data.byteLength, true);
	view.setUint8(at + FLAGS, flags);
}

function writeText(view: DataView, at: number, text: string): number {
	const wide = isWide(text);
	view.setUint16(at, text.length | (wide ? WIDE : 0), true);
	let end = at + 2;
	for (let index = 0; index < text.length; index++) {
		if (wide) {
			view.setUint16(end, text.charCodeAt(index), true);
		} else {
			view.setUint8(end, text.charCodeAt(index));
		}
		end += wide ? 2 : 1;
	}
	return end;
}

/** The entry again; its data is written into `data`, which has its length. */
export function readEntry(slab: Slab, at: number, offset: number, data: Uint8Array): Entry {
	const { view, bytes } = slab;
	const flags = view.getUint8(at + FLAGS);
	const end = at + lengthAt(slab, at);
	data.set(bytes.subarray(end - data.byteLength, end));
	const entry: { -readonly [Key in keyof Entry]: Entry[Key] } = {
		offset,
		timeMs: timeAt(slab, at),
		data,
		encoding: (flags & BINARY) !== 0 ? "binary" : "json",
	};
	if ((flags & PATCH) !== 0) {
		entry.patch = true;
	}
	let next = at + HEAD_BYTES;
	if ((flags & TTL) !== 0) {
		entry.ttlMs = view.getFloat64(next, true);
		next += TTL_BYTES;
	}
	for (let index = 0; index < TEXTS.length; index++) {
		if ((flags & (FIRST_TEXT << index)) !== 0) {
			const units = view.getUint16(next, true);
			entry[TEXTS[index]!] = readText(view, next + 2, units);
			next += 2 + ((units & WIDE) !== 0 ? 2 * (units & ~WIDE) : units);
		}
	}
	return entry;
}

function readText(view: DataView, at: number, units: number): string {
	const codes: number[] = [];
	for (let index = 0; index < (units & ~WIDE); index++) {
		codes.push((units & WIDE) !== 0 ? view.getUint16(at + 2 * index, true) : view.getUint8(at + index));
	}
	return String.fromCharCode(...codes);
}

export function lengthAt(slab: Slab, at: number): number {
	return slab.view.getUint32(at, true);
}

/** What `weigh` said of the entry. */
export function weightAt(slab: Slab, at: number): number {
	const hasTtl = (slab.view.getUint8(at + FLAGS) & TTL) !== 0;
	return lengthAt(slab, at) - HEAD_BYTES - (hasTtl ? TTL_BYTES : 0);
}

export function dataLengthAt(slab: Slab, at: number): number {
	return slab.view.getUint32(at + DATA_LENGTH, true);
}

export function timeAt(slab: Slab, at: number): number {
	return slab.view.getFloat64(at + TIME, true);
}

/** From when on the entry is not worth delivering any more, as an age; Infinity where it has no `ttlMs`. */
export function ttlAt(slab: Slab, at: number): number {
	return (slab.view.getUint8(at + FLAGS) & TTL) !== 0 ? slab.view.getFloat64(at + HEAD_BYTES, true) : Infinity;
}

/** Whose the record is; 0 for nobody's. */
export function ownerAt(slab: Slab, at: number): number {
	return slab.view.getUint32(at + OWNER, true);
}

/** The low 32 bits of the entry's offset: enough for its owner, who keeps fewer entries than that. */
export function lowOffsetAt(slab: Slab, at: number): number {
	return slab.view.getUint32(at + OFFSET, true);
}

export function markDead(slab: Slab, at: number): void {
	slab.view.setUint32(at + OWNER, 0, true);
}
