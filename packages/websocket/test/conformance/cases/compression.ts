/**
 * Groups 12 and 13: permessage-deflate (RFC 7692), by kind of content and by parameters. The public suite sends every
 * size a thousand times; here each case has enough messages for a context to carry over, and no more.
 */
import { BINARY, type Case, type DeflateCase, echo, type Frame, frame, type Script, TEXT } from "../case.ts";

const KIB = 1024;

/** Payload bytes and, where not 0, the size of fragments. */
const SIZES: readonly (readonly [bytes: number, fragmentBytes: number])[] = [
	...[16, 64, 256, KIB, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB].map((size) => [size, 0] as const),
	...[8, 16, 32, 64, 128].map((size) => [size * KIB, 256] as const),
	...[KIB, 4 * KIB, 32 * KIB].map((size) => [128 * KIB, size] as const),
];

/** About this much goes each way in a case. */
const VOLUME = 48 * KIB;

interface Content {
	readonly about: string;
	readonly opcode: typeof TEXT | typeof BINARY;
	/** 256 KiB and more of it. */
	readonly make: () => Uint8Array;
}

/** A generator that is the same everywhere: xorshift, 32 bits. */
function dice(seed: number): (sides: number) => number {
	let state = seed;
	return (sides) => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) % sides;
	};
}

const SYLLABLES = "an be der do ein fu ge ha im ka lo mer nu or pa que ro sel ti um ver wo ya zu".split(" ");

function words(roll: (sides: number) => number, count: number): string {
	return Array.from({ length: count }, () => {
		const syllables = Array.from({ length: 1 + roll(3) }, () => SYLLABLES[roll(SYLLABLES.length)]);
		return syllables.join("");
	}).join(" ");
}

function repeated(piece: (index: number) => string): Uint8Array {
	let text = "";
	for (let index = 0; text.length < 256 * KIB; index++) {
		text += piece(index);
	}
	return Buffer.from(text);
}

/** Grey levels that change slowly, with some noise. */
function picture(): Uint8Array {
	const roll = dice(3);
	return Uint8Array.from({ length: 512 * 512 }, (_, at) => ((at >>> 9) + (at & 0x1ff)) / 4 + roll(6));
}

/** Text, and between it long stretches that do not compress. */
function document(): Uint8Array {
	const roll = dice(5);
	const pages = Array.from({ length: 64 }, (_, page) =>
		Buffer.concat([
			Buffer.from(`${page} 0 obj << /Length 4096 /Filter /FlateDecode >> stream\n`),
			Uint8Array.from({ length: 4_096 }, () => roll(256)),
			Buffer.from("\nendstream endobj\n"),
		]),
	);
	return Buffer.concat(pages);
}

const CONTENTS: readonly Content[] = [
	{
		about: "JSON as text",
		opcode: TEXT,
		make: () => {
			const roll = dice(1);
			return repeated(
				(id) => `${JSON.stringify({ id, name: words(roll, 2), value: roll(1_000), on: roll(2) === 0 })},`,
			);
		},
	},
	{ about: "a picture as binary", opcode: BINARY, make: picture },
	{
		about: "prose as binary",
		opcode: BINARY,
		make: () => {
			const roll = dice(2);
			return repeated(() => `${words(roll, 8)},\n`);
		},
	},
	{
		about: "HTML as text",
		opcode: TEXT,
		make: () => {
			const roll = dice(4);
			return repeated((row) => `<tr class="row"><td>${row}</td><td>${words(roll, 3)}</td></tr>\n`);
		},
	},
	{ about: "a document as binary, half of it incompressible", opcode: BINARY, make: document },
];

const made = new Map<Content, Uint8Array>();

function messages({ opcode }: Content, source: Uint8Array, bytes: number): readonly Frame[] {
	const count = Math.max(3, Math.min(48, Math.ceil(VOLUME / bytes)));
	return Array.from({ length: count }, (_, index) => {
		const from = (index * bytes) % (source.length - bytes);
		return frame(opcode, source.subarray(from, from + bytes));
	});
}

function script(content: Content, bytes: number, deflate: DeflateCase): Script {
	const source = made.get(content) ?? content.make();
	made.set(content, source);
	const frames = messages(content, source, bytes);
	return { frames, chop: "frames", answers: frames.map((each) => echo(each)), close: 1000, deflate };
}

function sized(group: string, content: Content, about: string, offer: string, answer: string): readonly Case[] {
	return SIZES.map(([bytes, fragmentBytes], index) => ({
		id: `${group}.${index + 1}`,
		about: `${about}, ${bytes} bytes${fragmentBytes === 0 ? "" : ` in fragments of ${fragmentBytes}`}`,
		script: () => script(content, bytes, { offer, answer, fragmentBytes }),
	}));
}

const NAME = "permessage-deflate";
const ABLE = "client_no_context_takeover; client_max_window_bits";

/** What a client asks of the server besides what it says to be able to, and what a server asks of a client. */
const PARAMETERS: readonly (readonly [about: string, offer: string, answer: string])[] = [
	["no parameters", `${NAME}; ${ABLE}`, NAME],
	["no takeover", `${NAME}; ${ABLE}; server_no_context_takeover`, `${NAME}; client_no_context_takeover`],
	["window of 9 bits", `${NAME}; ${ABLE}; server_max_window_bits=9`, `${NAME}; client_max_window_bits=9`],
	["window of 15 bits", `${NAME}; ${ABLE}; server_max_window_bits=15`, `${NAME}; client_max_window_bits=15`],
	[
		"no takeover, window of 9 bits",
		`${NAME}; ${ABLE}; server_no_context_takeover; server_max_window_bits=9`,
		`${NAME}; client_no_context_takeover; client_max_window_bits=9`,
	],
	[
		"no takeover, window of 15 bits",
		`${NAME}; ${ABLE}; server_no_context_takeover; server_max_window_bits=15`,
		`${NAME}; client_no_context_takeover; client_max_window_bits=15`,
	],
	[
		"three offers, the first with no takeover and a window of 9 bits",
		[
			`${NAME}; ${ABLE}; server_no_context_takeover; server_max_window_bits=9`,
			`${NAME}; ${ABLE}; server_no_context_takeover`,
			`${NAME}; ${ABLE}`,
		].join(", "),
		`${NAME}; client_no_context_takeover; client_max_window_bits=9`,
	],
];

export const COMPRESSION: readonly Case[] = [
	...CONTENTS.flatMap((content, index) => sized(`12.${index + 1}`, content, content.about, `${NAME}; ${ABLE}`, NAME)),
	...PARAMETERS.flatMap(([about, offer, answer], index) =>
		sized(`13.${index + 1}`, CONTENTS[0]!, about, offer, answer),
	),
];
