/** A bounded queue that is read as an async iterator. What does not fit ends it with an error: never a silent hole. */
import { TidewireError } from "./error.ts";

export interface InboxOptions {
	/** What is read, for the error's text. */
	readonly name: string;
	readonly capacity: number;
	readonly signal: AbortSignal | undefined;
	/** The reader has left, or has been left behind, or nothing more will come. Called once. */
	readonly onEnd: () => void;
	/** Where a reader that was too slow may go on. */
	readonly position?: () => string | undefined;
}

export class Inbox<T> implements AsyncIterableIterator<T> {
	readonly #options: InboxOptions;
	readonly #items: T[] = [];
	readonly #reader: AsyncGenerator<T, undefined>;
	#wake = (): void => {};
	#error: TidewireError | undefined;
	ended = false;

	constructor(options: InboxOptions) {
		this.#options = options;
		this.#reader = this.#read();
		const { signal } = options;
		const abort = (): void => {
			this.#items.length = 0;
			this.end(new TidewireError("cancelled", "the signal was aborted", { cause: signal?.reason }));
		};
		signal?.addEventListener("abort", abort, { once: true });
		if (signal?.aborted) {
			abort();
		}
	}

	push(item: T): void {
		const { name, capacity, position } = this.#options;
		if (this.ended) {
			return;
		}
		if (this.#items.length < capacity) {
			this.#items.push(item);
			this.#wake();
		} else {
			const text = `${name}: ${capacity} wait to be read already`;
			this.end(new TidewireError("reader_too_slow", text, { position: position?.() }));
		}
	}

	/** Nothing more will come; what waits can still be read, then the error is thrown, if there is one. */
	end(error?: TidewireError): void {
		if (!this.ended) {
			this.ended = true;
			this.#error = error;
			this.#options.onEnd();
			this.#wake();
		}
	}

	next(): Promise<IteratorResult<T>> {
		return this.#reader.next();
	}

	/** The loop was left. */
	return(): Promise<IteratorResult<T>> {
		this.#items.length = 0;
		this.end();
		return this.#reader.return(undefined);
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	/** A generator lets calls of `next` wait for each other, as the language asks. */
	async *#read(): AsyncGenerator<T, undefined> {
		for (;;) {
			if (this.#items.length > 0) {
				yield this.#items.shift() as T;
			} else if (this.#error) {
				throw this.#error;
			} else if (this.ended) {
				return;
			} else {
				await new Promise<void>((resolve) => {
					this.#wake = resolve;
				});
			}
		}
	}
}
