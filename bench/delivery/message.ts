/**
 * The message that the delivery benchmarks send: a position with a sequence number at a fixed place, so that a receiver
 * need not parse JSON to know which one it is. As a frame from the server it has 130 bytes.
 */

const PAYLOAD_BYTES = 126;
/** Eight digits, none of them a leading zero. */
const FIRST = 10_000_000;
const HEAD = `{"lat":40.7128,"lng":-74.006,"eta":"3 minutes","pad":"`;
const TAIL = `","seq":10000000}`;
const TEXT = HEAD + "x".repeat(PAYLOAD_BYTES - HEAD.length - TAIL.length) + TAIL;

/** A client's text frame with the message of this number. Its mask is zero, which changes nothing. */
export function publishFrame(sequence: number): Buffer {
	const text = `${TEXT.slice(0, -9)}${FIRST + sequence}}`;
	return Buffer.concat([Buffer.from([0x81, 0x80 | 126, 0, PAYLOAD_BYTES, 0, 0, 0, 0]), Buffer.from(text)]);
}

/** The number of the message whose payload ends here. */
export function sequenceOf(bytes: Uint8Array, end: number): number {
	let number = 0;
	for (let at = end - 9; at < end - 1; at++) {
		number = number * 10 + bytes[at]! - 48;
	}
	return number - FIRST;
}
