/** All 517 cases, in the order of their numbers. */
import type { Case } from "./case.ts";
import { CLOSING } from "./cases/closing.ts";
import { COMPRESSION } from "./cases/compression.ts";
import { FRAMING } from "./cases/framing.ts";
import { LIMITS } from "./cases/limits.ts";
import { UTF8 } from "./cases/utf8.ts";

export const TABLE: readonly Case[] = [...FRAMING, ...UTF8, ...CLOSING, ...LIMITS, ...COMPRESSION].sort(byNumber);

function byNumber(a: Case, b: Case): number {
	const left = a.id.split(".").map(Number);
	const right = b.id.split(".").map(Number);
	const at = left.findIndex((part, index) => part !== right[index]);
	return at < 0 ? 0 : left[at]! - (right[at] ?? 0);
}
