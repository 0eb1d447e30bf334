/**
 * What came to a channel between two flushes: the piece of a log that subscribers share. Its frames are laid out once
 * for each encoding, in one buffer, which is what is written to nearly every socket. A segment is sealed by the first
 * that asks for its frames; what comes after begins the next one.
 */
import type { Entry } from "@tidewire/broker";
import type { DeflateContexts, Deflated } from "./deflate-context.ts";
import type { Encoding } from "./encoding.ts";

/** A segment takes no more once it holds so much: it is also what a laggard is handed at a time. */
const MAX_BYTES = 64 * 1024;
/** Stands for an entry's cost beside its data and the copy of that in a frame: objects, frame header, envelope. */
const ENTRY_OVERHEAD_BYTES = 128;

export class Segment {
	/** The offset before the first entry. */
	readonly after: number;
	/** The offset of the last. */
	to: number;
	readonly entries: Entry[];
	/** What it is taken to cost, its frames in one encoding included. */
	bytes = 0;
	/** How many entries are not for everybody: excluded sessions, expiry. */
	special = 0;
	sealed = false;
	next: Segment | undefined;
	/** Set once it outlives its flush: what it holds is its own then, and it stands in the node's budget. */
	kept = false;
	/** By the index of the encoding. */
	#frames: (Uint8Array | undefined)[] | undefined;
	/** What its frames are compressed, for connections that share contexts. Owned by them. */
	deflated: Map<DeflateContexts, Deflated> | undefined;

	constructor(after: number, first: Entry) {
		this.after = after;
		this.to = after;
		this.entries = [first];
		this.#count(first);
	}

	get full(): boolean {
		return this.sealed || this.bytes >= MAX_BYTES;
	}

	push(entry: Entry): void {
		this.entries.push(entry);
		this.#count(entry);
	}

	#count(entry: Entry): void {
		this.to = entry.offset;
		this.bytes += 2 * entry.data.length + ENTRY_OVERHEAD_BYTES;
		if (entry.exclude !== undefined || entry.ttlMs !== undefined) {
			this.special++;
		}
	}

	/** All of it in an encoding, made at the first call. */
	frames(channel: string, encoding: Encoding): Uint8Array {
		this.sealed = true;
		this.#frames ??= [];
		let frames = this.#frames[encoding.index];
		if (frames === undefined) {
			const { codec } = encoding;
			frames =
				this.entries.length === 1
					? encoding.frame(codec.encodeEntry(channel, this.entries[0]!))
					: encoding.frames(this.entries.map((entry) => codec.encodeEntry(channel, entry)));
			if (this.kept) {
				frames = own(frames);
			}
			this.#frames[encoding.index] = frames;
		}
		return frames;
	}

	/** Lets go of the larger buffers that its bytes are views of: a socket's chunk, Node's pool. */
	keep(): void {
		if (this.kept) {
			return;
		}
		this.kept = true;
		this.sealed = true;
		const { entries } = this;
		for (let at = 0; at < entries.length; at++) {
			entries[at] = ownEntry(entries[at]!);
		}
		this.#frames = this.#frames?.map((frames) => frames && own(frames));
		this.deflated = undefined;
	}
}

/** The entry, with data that keeps no larger buffer. */
function ownEntry(entry: Entry): Entry {
	const data = own(entry.data);
	return data === entry.data ? entry : { ...entry, data };
}

/** The bytes in a buffer that holds nothing else to speak of. */
function own(bytes: Uint8Array): Uint8Array {
	return bytes.buffer.byteLength > 2 * bytes.byteLength + 64 ? new Uint8Array(bytes) : bytes;
}
