/**
 * What RFC 6455 §5 forbids in a frame's header. A violation is a value: the close code and a text that may reach the
 * peer, with the value, the rule and its section.
 */
import type { FrameHeader } from "./header.ts";
import { OPCODE, RSV1 } from "./opcode.ts";

export interface Violation {
	readonly code: number;
	/** At most 123 bytes, so that it fits a close frame. */
	readonly text: string;
}

/** Control frames carry at most this much (RFC 6455 §5.5). */
export const MAX_CONTROL_BYTES = 125;

const NAMES: Readonly<Record<number, string>> = {
	[OPCODE.continuation]: "continuation",
	[OPCODE.text]: "text",
	[OPCODE.binary]: "binary",
	[OPCODE.close]: "close",
	[OPCODE.ping]: "ping",
	[OPCODE.pong]: "pong",
};

/**
 * Checks a header against every rule that it alone, its direction and the message under way can break.
 * `fromClient`: whether the frame must be masked. `inMessage`: whether a fragmented message is under way. `deflate`:
 * whether permessage-deflate was negotiated.
 */
export function headerViolation(
	header: FrameHeader,
	fromClient: boolean,
	inMessage: boolean,
	deflate: boolean,
): Violation | undefined {
	const { first, length, shortLength } = header;
	const opcode = first & 0x0f;
	const name = NAMES[opcode];
	if (name === undefined) {
		return protocolError(`opcode 0x${opcode.toString(16)} is reserved (RFC 6455 §5.2)`);
	}
	if ((first & 0x70) !== 0) {
		const violation = reservedBitViolation(first, name, deflate);
		if (violation !== undefined) {
			return violation;
		}
	}
	if (header.masked !== fromClient) {
		return protocolError(
			fromClient
				? `${name} frame is not masked, a client must mask (RFC 6455 §5.1)`
				: `${name} frame is masked, a server must not mask (RFC 6455 §5.1)`,
		);
	}
	if ((opcode & 0x08) !== 0) {
		if ((first & 0x80) === 0) {
			return protocolError(`${name} is fragmented, a control frame must not be (RFC 6455 §5.5)`);
		}
		if (shortLength > MAX_CONTROL_BYTES) {
			return protocolError(`${name} carries ${length} bytes, at most 125 (RFC 6455 §5.5)`);
		}
		return undefined;
	}
	if (shortLength === 126 && length < 126) {
		return protocolError(`length ${length} is encoded in 16 bits, must be in 7 (RFC 6455 §5.2)`);
	}
	if (shortLength === 127 && length < 65_536) {
		return protocolError(`length ${length} is encoded in 64 bits, must be in its shortest form (RFC 6455 §5.2)`);
	}
	if (header.topBit) {
		return protocolError("the most significant bit of a 64-bit length is 1, must be 0 (RFC 6455 §5.2)");
	}
	if (opcode === OPCODE.continuation ? !inMessage : inMessage) {
		return protocolError(
			inMessage
				? `${name} frame inside of a fragmented message (RFC 6455 §5.4)`
				: "continuation frame without a message to continue (RFC 6455 §5.4)",
		);
	}
	return undefined;
}

/**
 * The one place that judges reserved bits (RFC 6455 §5.2). permessage-deflate defines RSV1, for the first frame of a
 * message and no other (RFC 7692 §6, §6.1).
 */
function reservedBitViolation(first: number, name: string, deflate: boolean): Violation | undefined {
	if (deflate && (first & 0x30) === 0) {
		const opcode = first & 0x0f;
		return opcode === OPCODE.text || opcode === OPCODE.binary
			? undefined
			: protocolError(`RSV1 is 1 in a ${name} frame, only a message's first may have it (RFC 7692 §6.1)`);
	}
	const bit = (first & RSV1) !== 0 && !deflate ? "RSV1" : (first & 0x20) !== 0 ? "RSV2" : "RSV3";
	return protocolError(`${bit} is 1, no extension that defines it was negotiated (RFC 6455 §5.2)`);
}

export function protocolError(text: string): Violation {
	return { code: 1002, text };
}
