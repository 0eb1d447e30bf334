/** Groups 1–5 and 10: framing, pings, reserved bits, opcodes, fragmentation, autofragmentation (RFC 6455 §5). */
import {
	BINARY,
	type Case,
	type Chop,
	CONTINUATION,
	close,
	echo,
	type Frame,
	fragmented,
	fragments,
	frame,
	illegal,
	legal,
	PING,
	PONG,
	ping,
	pong,
	type Script,
	TEXT,
	text,
} from "../case.ts";

const HELLO = "Hello, world!";
const NOT_TEXT = Uint8Array.of(0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff);

function filled(length: number, byte: number): Uint8Array {
	return new Uint8Array(length).fill(byte);
}

/** §5.2: the three forms of a length, at their edges. */
const SIZES: readonly (readonly [length: number, chop: Chop])[] = [
	[0, "whole"],
	[125, "whole"],
	[126, "whole"],
	[127, "whole"],
	[128, "whole"],
	[65_535, "whole"],
	[65_536, "whole"],
	[65_536, { every: 997 }],
];

function framing(): readonly Case[] {
	return [TEXT, BINARY].flatMap((opcode) =>
		SIZES.map(([length, chop], index): Case => {
			const kind = opcode === TEXT ? "text" : "binary";
			return {
				id: `1.${opcode}.${index + 1}`,
				about: `${kind} of ${length} bytes, ${chop === "whole" ? "in one chunk" : "in chunks of 997"}`,
				script: () => {
					const message = frame(opcode, filled(length, opcode === TEXT ? 0x2a : 0xfe));
					return legal([message], [echo(message)], chop);
				},
			};
		}),
	);
}

function tenPings(chop: Chop): Script {
	const pings = Array.from({ length: 10 }, (_, index) => ping(`payload-${index}`));
	return legal(
		pings,
		pings.map((each) => echo(each)),
		chop,
	);
}

function answered(payload: string | Uint8Array, chop: Chop = "whole"): Script {
	return legal([ping(payload)], [echo(ping(payload))], chop);
}

const PINGS: readonly Case[] = [
	{ id: "2.1", about: "ping without payload", script: () => answered("") },
	{ id: "2.2", about: "ping with text", script: () => answered(HELLO) },
	{ id: "2.3", about: "ping with bytes that are no text", script: () => answered(NOT_TEXT) },
	{ id: "2.4", about: "ping with 125 bytes", script: () => answered(filled(125, 0xfe)) },
	{ id: "2.5", about: "ping with 126 bytes (§5.5)", script: () => illegal(1002, [ping(filled(126, 0xfe))]) },
	{ id: "2.6", about: "ping with 125 bytes, octet by octet", script: () => answered(filled(125, 0xfe), "octets") },
	{ id: "2.7", about: "pong that nobody asked for (§5.5.3)", script: () => legal([pong()], []) },
	{ id: "2.8", about: "pong that nobody asked for, with payload", script: () => legal([pong("unsolicited")], []) },
	{
		id: "2.9",
		about: "pong that nobody asked for, then a ping",
		script: () => legal([pong("unsolicited"), ping(HELLO)], [echo(ping(HELLO))]),
	},
	{ id: "2.10", about: "ten pings in one chunk", script: () => tenPings("whole") },
	{ id: "2.11", about: "ten pings, octet by octet", script: () => tenPings("octets") },
];

/** A message, then what is wrong, then a ping that must stay unanswered. */
function afterMessage(wrong: Frame, chop: Chop = "whole"): Script {
	return illegal(1002, [text(HELLO), wrong, ping()], [echo(text(HELLO))], chop);
}

const RESERVED_BITS: readonly Case[] = [
	{ id: "3.1", about: "text with RSV3", script: () => illegal(1002, [frame(TEXT, HELLO, { rsv: 1 })]) },
	{ id: "3.2", about: "text with RSV2 after a message", script: () => afterMessage(frame(TEXT, HELLO, { rsv: 2 })) },
	{
		id: "3.3",
		about: "text with RSV2 and RSV3 after a message, frame by frame",
		script: () => afterMessage(frame(TEXT, HELLO, { rsv: 3 }), "frames"),
	},
	{
		id: "3.4",
		about: "text with RSV1 after a message, octet by octet",
		script: () => afterMessage(frame(TEXT, HELLO, { rsv: 4 }), "octets"),
	},
	{ id: "3.5", about: "binary with RSV1 and RSV3", script: () => illegal(1002, [frame(BINARY, NOT_TEXT, { rsv: 5 })]) },
	{ id: "3.6", about: "ping with RSV1 and RSV2", script: () => illegal(1002, [frame(PING, HELLO, { rsv: 6 })]) },
	{
		id: "3.7",
		about: "close with all reserved bits",
		script: () => illegal(1002, [frame(close(1000).opcode, close(1000).payload, { rsv: 7 })]),
	},
];

/** §5.2: opcodes 3–7 and B–F. The first two of five alone, the others after a message. */
function opcodes(group: number, first: number): readonly Case[] {
	return [0, 1, 2, 3, 4].map((step): Case => {
		const opcode = first + step;
		const payload = step === 0 || step === 2 ? "" : HELLO;
		return {
			id: `4.${group}.${step + 1}`,
			about: `opcode ${opcode.toString(16)}${payload === "" ? "" : " with payload"}${step < 2 ? "" : " after a message"}`,
			script: () => (step < 2 ? illegal(1002, [frame(opcode, payload)]) : afterMessage(frame(opcode, payload))),
		};
	});
}

const CHOPS: readonly Chop[] = ["whole", "frames", "octets"];
const IN_CHUNKS = ["in one chunk", "frame by frame", "octet by octet"] as const;

function twoFragments(withPing: boolean, chop: Chop): Script {
	const [first, last] = fragments(TEXT, "fragment1", "fragment2");
	const whole = echo(text("fragment1fragment2"));
	return withPing
		? legal([first!, ping("ping payload"), last!], [echo(ping("ping payload")), whole], chop)
		: legal([first!, last!], [whole], chop);
}

/** A continuation of nothing, then a message. */
function nothingToContinue(fin: boolean, chop: Chop): Script {
	return illegal(1002, [frame(CONTINUATION, "non-continuation payload", { fin }), text(HELLO)], [], chop);
}

/** Five fragments with pings between: each pong comes before what follows its ping. */
function interleaved(chop: Chop, chunks: readonly [number, number, number]): Script {
	const [a, b, c, d, e] = fragments(TEXT, "fragment1", "fragment2", "fragment3", "fragment4", "fragment5");
	const pings = [ping("pongme 1!"), ping("pongme 2!")] as const;
	return legal(
		[a!, b!, pings[0], c!, d!, pings[1], e!],
		[
			echo(pings[0], chunks[0]),
			echo(pings[1], chunks[1]),
			echo(text("fragment1fragment2fragment3fragment4fragment5"), chunks[2]),
		],
		chop,
	);
}

function fragmentation(): readonly Case[] {
	const each = (from: number, about: string, script: (chop: Chop) => Script): readonly Case[] =>
		CHOPS.map((chop, index) => ({
			id: `5.${from + index}`,
			about: `${about}, ${IN_CHUNKS[index]}`,
			script: () => script(chop),
		}));
	const twice = (fin: boolean): Script => {
		const round = [frame(CONTINUATION, "fragment1", { fin }), ...fragments(TEXT, "fragment2", "fragment3")];
		return illegal(1002, [...round, ...round]);
	};
	return [
		{
			id: "5.1",
			about: "ping in two fragments (§5.5)",
			script: () => illegal(1002, fragments(PING, "fragment1", "fragment2")),
		},
		{
			id: "5.2",
			about: "pong in two fragments (§5.5)",
			script: () => illegal(1002, fragments(PONG, "fragment1", "fragment2")),
		},
		...each(3, "text in two fragments", (chop) => twoFragments(false, chop)),
		...each(6, "text in two fragments with a ping between", (chop) => twoFragments(true, chop)),
		...each(9, "a last continuation of nothing", (chop) => nothingToContinue(true, chop)),
		...each(12, "a first continuation of nothing", (chop) => nothingToContinue(false, chop)),
		{
			id: "5.15",
			about: "text in two fragments, then a continuation of nothing, then a message",
			script: () =>
				illegal(
					1002,
					[
						...fragments(TEXT, "fragment1", "fragment2"),
						frame(CONTINUATION, "fragment3", { fin: false }),
						text("fragment4"),
					],
					[echo(text("fragment1fragment2"))],
				),
		},
		{ id: "5.16", about: "twice: an open continuation of nothing, then two fragments", script: () => twice(false) },
		{ id: "5.17", about: "twice: a last continuation of nothing, then two fragments", script: () => twice(true) },
		{
			id: "5.18",
			about: "a second fragment that is text again (§5.4)",
			script: () => illegal(1002, [frame(TEXT, "fragment1", { fin: false }), frame(TEXT, "fragment2")]),
		},
		{
			id: "5.19",
			about: "five fragments and two pings, with a pause after the first ping",
			script: () => interleaved({ beforeFrames: [3] }, [0, 1, 1]),
		},
		{
			id: "5.20",
			about: "five fragments and two pings, frame by frame",
			script: () => interleaved("frames", [2, 5, 6]),
		},
	];
}

const AUTOFRAGMENTATION: readonly Case[] = [
	{
		id: "10.1.1",
		about: "text of 65,536 bytes in fragments of 1,300",
		script: () => {
			const payload = filled(65_536, 0x2a);
			return legal(fragmented(TEXT, payload, 1_300), [echo(text(payload))]);
		},
	},
];

export const FRAMING: readonly Case[] = [
	...framing(),
	...PINGS,
	...RESERVED_BITS,
	...opcodes(1, 0x3),
	...opcodes(2, 0xb),
	...fragmentation(),
	...AUTOFRAGMENTATION,
];
