/** A bounded queue that is read as an async iterator. What does not fit ends it with an error: never a silent hole. */
import { TidewireError } from "./error.ts";

export interface InboxOptions {
	/** What is read, for the error's text. */
	readonly name: string;
	readonly capacity: number | undefined;
	readonly signal: AbortSignal | undefined;
	/** Where a reader that was too slow may go on. */
	readonly position?: () => string | undefined;
}

const CAPACITY = 1_024;

export interface Inbox<T> extends AsyncIterableIterator<T> {
	readonly ended: boolean;
	push(item: T): void;
	/** Nothing more will come; what waits can still be read, then the error is thrown, if there is one. */
	end(error?: TidewireError): void;
}

/**
 * `fill` begins what fills it, and returns how to end that, which is done when the reader has left, or has been left
 * behind, or nothing more will come.
 */
export function createInbox<T>(
	{ name, capacity = CAPACITY, signal, position }: InboxOptions,
	fill: (inbox: Inbox<T>) => () => void,
): Inbox<T> {
	const items: T[] = [];
	let ended = false;
	let failure: TidewireError | undefined;
	let wake = (): void => {};
	let leave = (): void => {};

	/** A generator lets calls of `next` wait for each other, as the language asks. */
	async function* read(): AsyncGenerator<T, undefined> {
		for (;;) {
			if (items.length > 0) {
				yield items.shift() as T;
			} else if (failure) {
				throw failure;
			} else if (ended) {
				return;
			} else {
				await new Promise<void>((resolve) => {
					wake = resolve;
				});
			}
		}
	}

	function end(error?: TidewireError): void {
		if (!ended) {
			ended = true;
			failure = error;
			signal?.removeEventListener("abort", abort);
			leave();
			wake();
		}
	}

	function abort(): void {
		items.length = 0;
		end(new TidewireError("cancelled", "the signal was aborted", { cause: signal?.reason }));
	}

	const reader = read();
	const inbox: Inbox<T> = {
		get ended() {
			return ended;
		},
		push(item) {
			if (!ended && items.length >= capacity) {
				end(new TidewireError("reader_too_slow", `${name}: ${capacity} wait to be read`, { position: position?.() }));
			} else if (!ended) {
				items.push(item);
				wake();
			}
		},
		end,
		next: () => reader.next(),
		/** The loop was left. */
		return() {
			items.length = 0;
			end();
			return reader.return(undefined);
		},
		[Symbol.asyncIterator]() {
			return this;
		},
	};
	signal?.addEventListener("abort", abort);
	if (signal?.aborted) {
		abort();
	} else {
		leave = fill(inbox);
	}
	return inbox;
}
