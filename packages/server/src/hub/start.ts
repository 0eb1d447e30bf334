/** Where a subscription begins in its channel's log: now, after a position, or further back. */
import type { Broker, Position } from "@tidewire/broker";
import type { Channel } from "./channel.ts";
import type { OwedValue } from "./values.ts";

/** Where a new subscriber wants to begin. */
export type Start =
	| { readonly from: "now" }
	/** After a position; where that cannot be recovered, as `otherwise` says, or from now. */
	| { readonly from: "since"; readonly position: Position; readonly otherwise?: Start }
	| { readonly from: "rewind"; readonly messages: number }
	| { readonly from: "time"; readonly sinceMs: number };

export interface StartOffset {
	/** The next message is the one after. */
	readonly offset: number;
	/** Only with `since`: whether all that was missed is there. */
	readonly recovered: boolean | undefined;
	/** Only in a state channel: what the subscriber is owed before the next message. */
	readonly value?: OwedValue | undefined;
}

const NOW: Start = { from: "now" };
const REWIND_PAGE = 1000;

/** Rejects with the broker's error. What it finds holds only while the channel stays in its epoch. */
export async function startOffset(broker: Broker, channel: Channel, start: Start): Promise<StartOffset> {
	if (channel.source !== undefined) {
		return startOfState(broker, channel, start);
	}
	switch (start.from) {
		case "now":
			return { offset: channel.head, recovered: undefined };
		case "since": {
			const { offset } = start.position;
			return (await recoverable(broker, channel, start.position))
				? { offset, recovered: true }
				: { ...(await startOffset(broker, channel, start.otherwise ?? NOW)), recovered: false };
		}
		case "rewind": {
			const page = await broker.read(channel.name, { after: 0, limit: 1 });
			const offset = Math.max(page.tail, page.head - start.messages, 0);
			return { offset: Math.min(offset, channel.head), recovered: undefined };
		}
		case "time":
			return { offset: await offsetAt(broker, channel, start.sinceMs), recovered: undefined };
		default:
			return start satisfies never;
	}
}

/** A state channel's subscriber that does not recover begins with the value, and there is nothing to rewind to. */
async function startOfState(broker: Broker, channel: Channel, start: Start): Promise<StartOffset> {
	if (start.from === "since" && (await recoverable(broker, channel, start.position))) {
		return { offset: start.position.offset, recovered: true };
	}
	const recovered = start.from === "since" ? false : undefined;
	const value = await channel.source!.snapshot(channel.position);
	return value.position.epoch === channel.epoch
		? { offset: value.position.offset, recovered, value }
		: // The broker is ahead of what it has told us: it will be sent when we know.
			{ offset: channel.head, recovered, value: "state" };
}

/** Whether everything after a position is still there. */
async function recoverable(broker: Broker, channel: Channel, { epoch, offset }: Position): Promise<boolean> {
	if (epoch !== channel.epoch || offset > channel.head) {
		return false;
	}
	if (offset >= channel.tail) {
		return true;
	}
	const page = await broker.read(channel.name, { after: offset, limit: 1 });
	// The channel may have moved to another epoch while the page was read.
	return page.epoch === epoch && channel.epoch === epoch && page.tail <= offset;
}

/** The offset before the first kept entry that is not older than `sinceMs`. */
async function offsetAt(broker: Broker, channel: Channel, sinceMs: number): Promise<number> {
	let before = channel.head + 1;
	for (;;) {
		const page = await broker.read(channel.name, { after: before, limit: REWIND_PAGE, reverse: true });
		for (const entry of page.entries) {
			if (entry.timeMs < sinceMs) {
				return entry.offset;
			}
			before = entry.offset;
		}
		// A page may end early: only an empty one says that nothing older is kept.
		if (page.entries.length === 0) {
			return Math.min(before - 1, channel.head);
		}
	}
}
