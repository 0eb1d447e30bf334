/** The opcodes of RFC 6455 §5.2 and §11.8. All others are reserved. */
export const OPCODE = {
	continuation: 0x0,
	text: 0x1,
	binary: 0x2,
	close: 0x8,
	ping: 0x9,
	pong: 0xa,
} as const;

export type Opcode = (typeof OPCODE)[keyof typeof OPCODE];
