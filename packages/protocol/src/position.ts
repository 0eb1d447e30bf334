/**
 * Positions as they travel: `"<epoch>:<offset>"`, a place in a channel's log between the entry with this offset and the
 * next. The epoch is opaque; it is only ever compared.
 */

export interface Position {
	readonly epoch: string;
	readonly offset: number;
}

/** In bytes of a position's text. An epoch is some 10 characters, so that a cursor of several channels stays short. */
export const MAX_POSITION_LENGTH = 128;

/** Visible ASCII without `:`, then a number as `String` writes it: equal positions are equal texts. */
const POSITION = /^([!-9;-~]+):(0|[1-9][0-9]{0,15})$/;

/** The position that a text names, or undefined where it names none. */
export function parsePosition(text: string): Position | undefined {
	if (text.length > MAX_POSITION_LENGTH) {
		return undefined;
	}
	const match = POSITION.exec(text);
	const offset = Number(match?.[2]);
	return Number.isSafeInteger(offset) ? { epoch: match![1]!, offset } : undefined;
}

export function formatPosition(position: Position): string {
	return `${position.epoch}:${position.offset}`;
}
