/** How far back a DEFLATE stream refers (RFC 1951), read by plain means: what a window of so many bytes must satisfy. */

const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** Codes by "length:bits". */
type Codes = ReadonlyMap<string, number>;

export function farthestDistance(stream: Uint8Array): number {
	let at = 0;
	let farthest = 0;
	const bit = (): number => ((stream[at >>> 3] ?? 0) >>> (at++ & 7)) & 1;
	const bits = (count: number): number => {
		let value = 0;
		for (let index = 0; index < count; index++) {
			value |= bit() << index;
		}
		return value;
	};
	const symbol = (codes: Codes): number => {
		let code = "";
		for (;;) {
			code += bit();
			const found = codes.get(code);
			if (found !== undefined) {
				return found;
			}
			if (code.length > 15) {
				throw new Error("no such code");
			}
		}
	};
	while (at + 10 <= stream.length * 8) {
		const final = bit();
		const type = bits(2);
		if (type === 0) {
			at = (at + 7) & ~7;
			const length = bits(16);
			at += 16 + length * 8;
		} else {
			const [literals, distances] = type === 1 ? [FIXED_LITERALS, FIXED_DISTANCES] : dynamic(bits, symbol);
			for (let value = symbol(literals); value !== 256; value = symbol(literals)) {
				if (value > 256) {
					bits(value < 265 || value === 285 ? 0 : (value - 261) >>> 2);
					const code = symbol(distances);
					const extra = code < 4 ? 0 : (code >>> 1) - 1;
					const base = code < 4 ? code + 1 : ((2 + (code & 1)) << extra) + 1;
					farthest = Math.max(farthest, base + bits(extra));
				}
			}
		}
		if (final === 1) {
			break;
		}
	}
	return farthest;
}

function codesOf(lengths: readonly number[]): Codes {
	const codes = new Map<string, number>();
	let code = 0;
	for (let length = 1; length <= 15; length++) {
		for (const [value, own] of lengths.entries()) {
			if (own === length) {
				codes.set(code.toString(2).padStart(length, "0"), value);
				code++;
			}
		}
		code <<= 1;
	}
	return codes;
}

function dynamic(bits: (count: number) => number, symbol: (codes: Codes) => number): readonly [Codes, Codes] {
	const literalCount = bits(5) + 257;
	const distanceCount = bits(5) + 1;
	const codeCount = bits(4) + 4;
	const codeLengths = Array.from({ length: 19 }, () => 0);
	for (const position of CODE_ORDER.slice(0, codeCount)) {
		codeLengths[position] = bits(3);
	}
	const codes = codesOf(codeLengths);
	const lengths: number[] = [];
	while (lengths.length < literalCount + distanceCount) {
		const value = symbol(codes);
		if (value < 16) {
			lengths.push(value);
		} else {
			const repeated = value === 16 ? (lengths.at(-1) ?? 0) : 0;
			const count = value === 16 ? 3 + bits(2) : value === 17 ? 3 + bits(3) : 11 + bits(7);
			lengths.push(...Array.from({ length: count }, () => repeated));
		}
	}
	return [codesOf(lengths.slice(0, literalCount)), codesOf(lengths.slice(literalCount))];
}

const FIXED_LITERALS = codesOf(
	Array.from({ length: 288 }, (_, value) => (value < 144 ? 8 : value < 256 ? 9 : value < 280 ? 7 : 8)),
);
const FIXED_DISTANCES = codesOf(Array.from({ length: 30 }, () => 5));
