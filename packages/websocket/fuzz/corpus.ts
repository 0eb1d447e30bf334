/** The committed inputs of a target: a line of hexadecimal each, shortest first. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TargetName } from "./targets.ts";

function file(target: TargetName): string {
	return join(import.meta.dirname, "corpus", `${target}.txt`);
}

export function readCorpus(target: TargetName): readonly Uint8Array[] {
	if (!existsSync(file(target))) {
		return [];
	}
	const lines = readFileSync(file(target), "utf8").split("\n").filter(Boolean);
	return lines.map((line) => Uint8Array.from(Buffer.from(line, "hex")));
}

export function writeCorpus(target: TargetName, inputs: readonly Uint8Array[]): void {
	const lines = inputs.map((input) => Buffer.from(input).toString("hex"));
	lines.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
	writeFileSync(file(target), `${lines.join("\n")}\n`);
}
