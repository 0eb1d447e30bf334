/** A bounded queue that is read as an async iterator. What does not fit ends it with an error: never a silent hole. */
import { TidewireError } from "./error.ts";

export interface InboxOptions {
	readonly capacity: number;
	readonly signal?: AbortSignal | undefined;
	/** The reader has left, or has been left behind. Called once. */
	readonly onEnd: () => void;
	/** The error for a reader that is too slow. */
	readonly overflow: () => TidewireError;
}

export class Inbox<T> implements AsyncIterableIterator<T> {
	readonly #options: InboxOptions;
	#items: T[] = [];
	#readers: { resolve(result: IteratorResult<T>): void; reject(error: unknown): void }[] = [];
	#error: TidewireError | undefined;
	#ended = false;
	readonly #abort = (): void => {
		this.#items = [];
		this.#finish(new TidewireError("cancelled", "the signal was aborted", { cause: this.#options.signal?.reason }));
	};

	constructor(options: InboxOptions) {
		this.#options = options;
		const { signal } = options;
		signal?.addEventListener("abort", this.#abort, { once: true });
		if (signal?.aborted) {
			this.#abort();
		}
	}

	get ended(): boolean {
		return this.#ended;
	}

	push(item: T): void {
		if (this.#ended) {
			return;
		}
		const reader = this.#readers.shift();
		if (reader !== undefined) {
			reader.resolve({ done: false, value: item });
		} else if (this.#items.length < this.#options.capacity) {
			this.#items.push(item);
		} else {
			this.#finish(this.#options.overflow());
		}
	}

	/** Nothing more will come; what waits can still be read, then the error is thrown, if there is one. */
	end(error?: TidewireError): void {
		this.#finish(error);
	}

	next(): Promise<IteratorResult<T>> {
		if (this.#items.length > 0) {
			return Promise.resolve({ done: false, value: this.#items.shift() as T });
		}
		if (this.#error !== undefined) {
			const error = this.#error;
			this.#error = undefined;
			return Promise.reject(error);
		}
		if (this.#ended) {
			return Promise.resolve({ done: true, value: undefined });
		}
		return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
	}

	/** The loop was left. */
	return(): Promise<IteratorResult<T>> {
		this.#items = [];
		this.#finish(undefined);
		this.#error = undefined;
		return Promise.resolve({ done: true, value: undefined });
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	#finish(error: TidewireError | undefined): void {
		if (this.#ended) {
			return;
		}
		this.#ended = true;
		this.#options.signal?.removeEventListener("abort", this.#abort);
		const [first, ...others] = this.#readers;
		this.#readers = [];
		if (error !== undefined && first !== undefined) {
			first.reject(error);
		} else {
			first?.resolve({ done: true, value: undefined });
			this.#error = error;
		}
		for (const reader of others) {
			reader.resolve({ done: true, value: undefined });
		}
		this.#options.onEnd();
	}
}
