/**
 * Replies about one channel keep their order (PROTOCOL.md, "Order"), though a broker takes its time to accept a publish and
 * an `unsubscribe` is done at once. Each connection has a line for each channel in which publishes wait for their answer;
 * what is answered out of turn waits for those before it. Nothing else waits, and nobody where nothing is published.
 */

/** A place in a channel's line. */
export interface Place {
	readonly line: Line;
	/** Set when the answer is known, and it is not this place's turn yet. */
	answer: (() => void) | undefined;
	next: Place | undefined;
}

interface Line {
	readonly channel: string;
	first: Place | undefined;
	last: Place | undefined;
}

/** Of one connection. */
class ReplyOrder {
	readonly #lines = new Map<string, Line>();

	enter(channel: string): Place {
		let line = this.#lines.get(channel);
		if (line === undefined) {
			line = { channel, first: undefined, last: undefined };
			this.#lines.set(channel, line);
		}
		const place: Place = { line, answer: undefined, next: undefined };
		if (line.last === undefined) {
			line.first = place;
		} else {
			line.last.next = place;
		}
		line.last = place;
		return place;
	}

	isWaitedFor(channel: string): boolean {
		return this.#lines.has(channel);
	}

	answer(place: Place, answer: () => void): void {
		place.answer = answer;
		const { line } = place;
		while (line.first?.answer !== undefined) {
			const { answer: say, next } = line.first;
			line.first = next;
			if (next === undefined) {
				// Before it is said, so that nobody who hears it enters a line that is over.
				this.#lines.delete(line.channel);
			}
			say();
		}
	}
}

/** By connection; only those that publish have one. */
const orders = new WeakMap<object, ReplyOrder>();

/** The connection will answer something about the channel, later, by `answerAt`. */
export function placeFor(connection: object, channel: string): Place {
	let order = orders.get(connection);
	if (order === undefined) {
		order = new ReplyOrder();
		orders.set(connection, order);
	}
	return order.enter(channel);
}

/** Answers, when all before it have been answered. */
export function answerAt(connection: object, place: Place, answer: () => void): void {
	orders.get(connection)?.answer(place, answer);
}

/** Answers something about the channel that is done: at once, unless earlier answers about it are still to come. */
export function answerInOrder(connection: object, channel: string, answer: () => void): void {
	const order = orders.get(connection);
	if (order?.isWaitedFor(channel) === true) {
		order.answer(order.enter(channel), answer);
	} else {
		answer();
	}
}

/** Resolves when what was published to these channels has been answered; undefined where nothing is waited for. */
export function answersBefore(connection: object, channels: readonly string[]): Promise<unknown> | undefined {
	const order = orders.get(connection);
	const waited = order === undefined ? [] : channels.filter((channel) => order.isWaitedFor(channel));
	if (order === undefined || waited.length === 0) {
		return undefined;
	}
	return Promise.all(
		waited.map((channel) => new Promise<void>((resolve) => order.answer(order.enter(channel), resolve))),
	);
}
