/**
 * Group 6: text is UTF-8 (RFC 6455 §8.1, RFC 3629). The byte sequences are those of Markus Kuhn's decoder stress test,
 * and of the Unicode standard's table of well-formed sequences.
 */
import { type Case, type Chop, echo, fragments, illegal, legal, octets, TEXT, text } from "../case.ts";

function hex(digits: string): Uint8Array {
	return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const single = (payload: Uint8Array): readonly Uint8Array[] =>
	Array.from(payload, (_, at) => payload.subarray(at, at + 1));

const MIXED = octets("Hello-µ@ßöäüàá-UTF-8!!");
/** κόσμε with U+1F79, whose accent is part of it: 2, 3, 2, 2 and 2 bytes. */
const KOSME = hex("cebae1bdb9cf83cebcceb5");
/** κόσμε, a surrogate, "edited". */
const SURROGATE = hex("cebae1bdb9cf83cebcceb5eda080656469746564");

function valid(id: string, about: string, ...parts: readonly Uint8Array[]): Case {
	return {
		id,
		about,
		script: () => legal(fragments(TEXT, ...parts), [echo(text(Buffer.concat(parts)))]),
	};
}

/** 6.4.1–6.4.4: the byte that makes it wrong is in the second part, and the failure must be too. */
function failsFast(id: string, about: string, parts: readonly string[], inFrames: boolean): Case {
	return {
		id,
		about,
		script: () => {
			const pieces = parts.map(hex);
			const chop: Chop = inFrames
				? "frames"
				: { inPayload: [pieces[0]!.length, pieces[0]!.length + pieces[1]!.length] };
			const frames = inFrames ? fragments(TEXT, ...pieces) : [text(Buffer.concat(pieces))];
			return { ...illegal(1007, frames, [], chop), failsIn: 1 };
		},
	};
}

/** The numbered groups from 6.5 on: sequences in hexadecimal, each either well-formed or not as a whole text. */
const SEQUENCES: readonly (readonly [group: number, about: string, wellFormed: boolean, sequences: string])[] = [
	[5, "some text", true, "68656c6c6f24776f726c64 68656c6c6fc2a2776f726c64 68656c6c6fe282ac776f726c64"],
	[5, "some text", true, "68656c6c6ff0a4ada2776f726c64 cebae1bdb9cf83cebcceb5"],
	[7, "the first of each length", true, "00 c280 e0a080 f0908080"],
	[8, "the first of 5 and 6 bytes", false, "f888808080 fc8480808080"],
	[9, "the last of each length", true, "7f dfbf efbfbf f48fbfbf"],
	[10, "the last of 4, 5 and 6 bytes", false, "f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf"],
	[11, "edges", true, "ed9fbf ee8080 efbfbd f48fbfbf"],
	[11, "above U+10FFFF", false, "f4908080"],
	[12, "continuation bytes alone", false, "80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf"],
	[12, "continuation bytes alone", false, range(0x80, 0xbf, "")],
	[13, "first bytes alone, each before a space", false, range(0xc0, 0xdf, "20")],
	[13, "first bytes alone, each before a space", false, range(0xe0, 0xef, "20")],
	[13, "first bytes alone, each before a space", false, range(0xf0, 0xf7, "20")],
	[13, "first bytes alone, each before a space", false, range(0xf8, 0xfb, "20")],
	[13, "first bytes alone, each before a space", false, range(0xfc, 0xfd, "20")],
	[14, "the last byte missing", false, "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf"],
	[15, "incomplete ones joined", false, "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"],
	[16, "bytes that never stand in UTF-8", false, "fe ff fefeffff"],
	[17, "overlong ASCII", false, "c0af e080af f08080af f8808080af fc80808080af"],
	[18, "the longest overlong", false, "c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf"],
	[19, "overlong NUL", false, "c080 e08080 f0808080 f880808080 fc8080808080"],
	[20, "a surrogate", false, "eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf"],
	[21, "surrogates in pairs", false, pairs("eda080 edadbf edae80 edafbf", "edb080 edbfbf")],
	[22, "code points that are no characters", true, nonCharacters()],
	[23, "specials", true, "efbfb9 efbfba efbfbb efbfbc efbfbd efbfbe efbfbf"],
];

/** `first` to one before `last`, each followed by `then`. */
function range(first: number, last: number, then: string): string {
	return Array.from({ length: last - first }, (_, index) => `${(first + index).toString(16)}${then}`).join("");
}

function pairs(high: string, low: string): string {
	return high
		.split(" ")
		.flatMap((first) => low.split(" ").map((second) => first + second))
		.join(" ");
}

/** U+xFFFE and U+xFFFF of every plane but the second to sixteenth's surplus: planes 0 to 16. */
function nonCharacters(): string {
	return Array.from({ length: 17 }, (_, plane) => [plane * 0x1_0000 + 0xfffe, plane * 0x1_0000 + 0xffff])
		.flat()
		.map((point) => Buffer.from(String.fromCodePoint(point)).toString("hex"))
		.join(" ");
}

function sequences(): readonly Case[] {
	const counts = new Map<number, number>();
	return SEQUENCES.flatMap(([group, about, wellFormed, list]) =>
		list.split(" ").map((digits): Case => {
			const number = (counts.get(group) ?? 0) + 1;
			counts.set(group, number);
			const message = text(hex(digits));
			return {
				id: `6.${group}.${number}`,
				about: `${about}: ${digits}`,
				script: () => (wellFormed ? legal([message], [echo(message)]) : illegal(1007, [message])),
			};
		}),
	);
}

/** 6.6: κόσμε cut off after each of its bytes; it is right where a character ends. */
function prefixes(): readonly Case[] {
	const ends = new Set([2, 5, 7, 9, 11]);
	return Array.from(KOSME, (_, index): Case => {
		const length = index + 1;
		const message = text(KOSME.subarray(0, length));
		return {
			id: `6.6.${length}`,
			about: `the first ${length} bytes of κόσμε`,
			script: () => (ends.has(length) ? legal([message], [echo(message)]) : illegal(1007, [message])),
		};
	});
}

export const UTF8: readonly Case[] = [
	valid("6.1.1", "empty text", octets("")),
	valid("6.1.2", "three empty fragments", octets(""), octets(""), octets("")),
	valid("6.1.3", "three fragments, the outer ones empty", octets(""), octets("middle frame payload"), octets("")),
	valid("6.2.1", "text in one frame", MIXED),
	valid("6.2.2", "text in two fragments, cut between characters", MIXED.subarray(0, 15), MIXED.subarray(15)),
	valid("6.2.3", "text in fragments of one byte", ...single(MIXED)),
	valid("6.2.4", "κόσμε in fragments of one byte", ...single(KOSME)),
	{ id: "6.3.1", about: "a surrogate in one frame", script: () => illegal(1007, [text(SURROGATE)]) },
	{
		id: "6.3.2",
		about: "a surrogate in fragments of one byte",
		script: () => illegal(1007, fragments(TEXT, ...single(SURROGATE))),
	},
	failsFast(
		"6.4.1",
		"U+110000 in the second of three fragments",
		["cebae1bdb9cf83cebcceb5", "f4908080", "656469746564"],
		true,
	),
	failsFast(
		"6.4.2",
		"the byte that spoils it as the second of three fragments",
		["cebae1bdb9cf83cebcceb5f4", "90", "8080656469746564"],
		true,
	),
	failsFast(
		"6.4.3",
		"U+110000 in the second of three chunks of a frame",
		["cebae1bdb9cf83cebcceb5", "f4908080", "656469746564"],
		false,
	),
	failsFast(
		"6.4.4",
		"the byte that spoils it as the second of three chunks of a frame",
		["cebae1bdb9cf83cebcceb5f4", "90", "8080656469746564"],
		false,
	),
	...sequences(),
	...prefixes(),
];
