/**
 * Where a subscription is in its channel's log, and what the next message means there. Each offset is delivered at
 * most once and in order; what is not delivered was announced, or is a fault. Pure. That offsets are whole numbers is
 * the codec's to check.
 */
import { parsePosition } from "@tidewire/protocol";

export interface Place {
	readonly epoch: string;
	/** Everything up to here was delivered or announced. */
	readonly offset: number;
	/** Up to here the server leaves messages out, as announced by `conflated`. */
	readonly conflatedTo: number;
}

export function placeAt(position: unknown): Place | undefined {
	const parsed = typeof position === "string" ? parsePosition(position) : undefined;
	return parsed === undefined ? undefined : { ...parsed, conflatedTo: 0 };
}

/** A message with this offset has come. A text is a fault: a hole that nobody announced. */
export function afterMessage(
	place: Place,
	offset: number,
	prev: number | undefined,
): Place | "duplicate" | { fault: string } {
	if (offset <= place.offset) {
		return "duplicate";
	}
	const announced = Math.max(place.offset, Math.min(place.conflatedTo, offset - 1));
	const follows = offset === announced + 1 || offset <= place.conflatedTo || (prev !== undefined && prev <= announced);
	if (!follows) {
		return { fault: `offset ${offset} came after ${announced}` };
	}
	return { ...place, offset };
}

/** The server says that `from` to `to` will not come (`gap`) or will come thinned out (`conflated`). */
export function afterGap(
	place: Place,
	event: "gap" | "conflated",
	from: number,
	to: number,
): Place | "duplicate" | { fault: string } {
	const announced = Math.max(place.offset, place.conflatedTo);
	if (to <= place.offset) {
		return "duplicate";
	}
	if (from > announced + 1 || from > to) {
		return { fault: `${event} ${from} to ${to} came after ${announced}` };
	}
	return event === "gap" ? { ...place, offset: to } : { ...place, conflatedTo: Math.max(place.conflatedTo, to) };
}
