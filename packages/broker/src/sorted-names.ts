/**
 * A set of texts in ascending order of their UTF-16 units, to be listed by prefix a page at a time. It is an array of
 * sorted arrays of bounded length: to add or delete moves at most one of these, and a page is found by two binary
 * searches, however many names there are.
 */
const MAX_CHUNK = 512;
/** How many names are looked at before `keep` is asked about them. */
const PAGE = 1_000;

export interface ListOptions {
	/** Only names that begin so. */
	readonly prefix: string;
	/** Only names after this one; undefined: from the first. */
	readonly after: string | undefined;
	readonly limit: number;
}

/** The first index whose name is not before `name`, or after it where `past`. */
function search(names: readonly string[], name: string, past: boolean): number {
	let low = 0;
	let high = names.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		const each = names[middle]!;
		if (each < name || (past && each === name)) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

export class SortedNames {
	/** None is empty, and all names of one are before those of the next. */
	readonly #chunks: string[][] = [];

	add(name: string): void {
		const last = this.#chunks.length - 1;
		const chunkIndex = Math.min(this.#chunkOf(name, false), last);
		if (chunkIndex < 0) {
			this.#chunks.push([name]);
			return;
		}
		const chunk = this.#chunks[chunkIndex]!;
		const index = search(chunk, name, false);
		if (chunk[index] === name) {
			return;
		}
		if (chunk.length < MAX_CHUNK) {
			chunk.splice(index, 0, name);
		} else if (chunkIndex === last && index === chunk.length) {
			// Names that come in order, as numbered ones do, leave full chunks behind.
			this.#chunks.push([name]);
		} else {
			this.#chunks.splice(chunkIndex + 1, 0, chunk.splice(MAX_CHUNK / 2));
			this.add(name);
		}
	}

	delete(name: string): void {
		const chunkIndex = this.#chunkOf(name, false);
		const chunk = this.#chunks[chunkIndex];
		if (chunk === undefined) {
			return;
		}
		const index = search(chunk, name, false);
		if (chunk[index] !== name) {
			return;
		}
		if (chunk.length === 1) {
			this.#chunks.splice(chunkIndex, 1);
		} else {
			chunk.splice(index, 1);
		}
	}

	/** The first names that `keep` is true for, up to `limit`. It may delete the name that it is asked about. */
	list({ prefix, after, limit }: ListOptions, keep: (name: string) => boolean): string[] {
		const kept: string[] = [];
		for (let from = after; kept.length < limit; ) {
			const page = this.#page(prefix, from, Math.min(limit - kept.length, PAGE));
			if (page.length === 0) {
				break;
			}
			from = page.at(-1);
			kept.push(...page.filter(keep));
		}
		return kept;
	}

	#page(prefix: string, after: string | undefined, count: number): string[] {
		const past = after !== undefined && after >= prefix;
		const start = past ? after : prefix;
		let chunkIndex = this.#chunkOf(start, past);
		let chunk = this.#chunks[chunkIndex];
		let index = chunk === undefined ? 0 : search(chunk, start, past);
		const page: string[] = [];
		while (chunk !== undefined && page.length < count) {
			const name = chunk[index++];
			if (name === undefined) {
				chunk = this.#chunks[++chunkIndex];
				index = 0;
			} else if (name.startsWith(prefix)) {
				page.push(name);
			} else {
				break;
			}
		}
		return page;
	}

	/** The first chunk that ends with a name not before this one, or after it where `past`. */
	#chunkOf(name: string, past: boolean): number {
		let low = 0;
		let high = this.#chunks.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			const end = this.#chunks[middle]!.at(-1)!;
			if (end < name || (past && end === name)) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		return low;
	}
}
