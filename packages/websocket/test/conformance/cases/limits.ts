/** Group 9: sizes up to 16 MiB, fragments from 64 bytes to 4 MiB, chunks of 64 bytes, a thousand messages. */
import { BINARY, type Case, type Chop, echo, type Frame, fragmented, frame, legal, TEXT } from "../case.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const WHOLE = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB];
const FRAGMENTS = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB];
const CHUNKS = [64, 128, 256, 512, 1024, 2048];
const SMALL = [0, 16, 64, 256, 1024, 4096];

/** How a socket would bring it. */
const AS_READ: Chop = { every: 64 * KIB };

function message(opcode: number, length: number): Frame {
	return frame(opcode, new Uint8Array(length).fill(opcode === TEXT ? 0x2a : 0xfe));
}

/** Two groups for one list: the first for text, the second for binary. */
function each(
	group: number,
	sizes: readonly number[],
	about: (size: number) => string,
	script: (opcode: number, size: number) => ReturnType<Case["script"]>,
): readonly Case[] {
	return [TEXT, BINARY].flatMap((opcode, offset) =>
		sizes.map((size, index) => ({
			id: `9.${group + offset}.${index + 1}`,
			about: `${opcode === TEXT ? "text" : "binary"} ${about(size)}`,
			script: () => script(opcode, size),
		})),
	);
}

export const LIMITS: readonly Case[] = [
	...each(
		1,
		WHOLE,
		(size) => `of ${size} bytes`,
		(opcode, size) => legal([message(opcode, size)], [echo(message(opcode, size))], AS_READ),
	),
	...each(
		3,
		FRAGMENTS,
		(size) => `of 4 MiB in fragments of ${size}`,
		(opcode, size) => {
			const whole = message(opcode, 4 * MIB);
			return legal(fragmented(opcode, whole.payload, size), [echo(whole)], AS_READ);
		},
	),
	...each(
		5,
		CHUNKS,
		(size) => `of 1 MiB in chunks of ${size}`,
		(opcode, size) => legal([message(opcode, MIB)], [echo(message(opcode, MIB))], { every: size }),
	),
	...each(
		7,
		SMALL,
		(size) => `of ${size} bytes, 1,000 times`,
		(opcode, size) => {
			const one = message(opcode, size);
			const many = Array.from({ length: 1_000 }, () => one);
			return legal(
				many,
				many.map((sent) => echo(sent)),
				"frames",
			);
		},
	),
];
