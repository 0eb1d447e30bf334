/** The opcodes of RFC 6455 §5.2 and §11.8. All others are reserved. */
export const OPCODE = {
	continuation: 0x0,
	text: 0x1,
	binary: 0x2,
	close: 0x8,
	ping: 0x9,
	pong: 0xa,
} as const;

/** In a frame's first byte: the first reserved bit, which permessage-deflate takes for "compressed" (RFC 7692 §6). */
export const RSV1 = 0x40;

export type Opcode = (typeof OPCODE)[keyof typeof OPCODE];
