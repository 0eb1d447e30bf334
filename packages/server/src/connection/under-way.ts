/**
 * How much a connection has published that is not answered yet. A broker that waits for its disk answers slower than one
 * client can ask, so beyond a bound what is sent behind it waits, and is then not read: neither this node's memory nor the
 * broker's queue, which others stand in too, is one client's to fill.
 */

/** More than a broker takes at once, so that nobody who pipelines waits for it. */
const MAX_COUNT = 1_000;
const MAX_BYTES = 4 * 1024 * 1024;

interface UnderWay {
	count: number;
	bytes: number;
	/** Set while somebody waits for room. */
	room: PromiseWithResolvers<void> | undefined;
}

/** By connection; only those that publish have one. */
const all = new WeakMap<object, UnderWay>();

/** One publish more, that is answered later: `publishAnswered` with the same number says so. */
export function publishBegun(connection: object, bytes: number): void {
	let underWay = all.get(connection);
	if (underWay === undefined) {
		underWay = { count: 0, bytes: 0, room: undefined };
		all.set(connection, underWay);
	}
	underWay.count++;
	underWay.bytes += bytes;
}

export function publishAnswered(connection: object, bytes: number): void {
	const underWay = all.get(connection)!;
	underWay.count--;
	underWay.bytes -= bytes;
	if (underWay.room !== undefined && !isFull(underWay)) {
		underWay.room.resolve();
		underWay.room = undefined;
	}
}

/** Resolves when the connection may publish more; undefined where it may now. */
export function roomToPublish(connection: object): Promise<void> | undefined {
	const underWay = all.get(connection);
	if (underWay === undefined || !isFull(underWay)) {
		return undefined;
	}
	underWay.room ??= Promise.withResolvers();
	return underWay.room.promise;
}

function isFull({ count, bytes }: UnderWay): boolean {
	return count >= MAX_COUNT || bytes >= MAX_BYTES;
}
