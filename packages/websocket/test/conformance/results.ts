/** The results of the whole table, and the file that says which are expected. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Role } from "./peer.ts";
import { play, type Result } from "./play.ts";
import { TABLE } from "./table.ts";

/** "6.4.1 server" to its result. */
export type Results = ReadonlyMap<string, Result>;

export const ROLES: readonly Role[] = ["server", "client"];

const FILE = join(import.meta.dirname, "expected.json");

export async function playAll(): Promise<Results> {
	const results = new Map<string, Result>();
	for (const one of TABLE) {
		for (const role of ROLES) {
			results.set(`${one.id} ${role}`, await play(one, role));
		}
	}
	return results;
}

export function readExpected(): Results {
	return new Map(Object.entries(JSON.parse(readFileSync(FILE, "utf8")) as Readonly<Record<string, Result>>));
}

/** A line for each, so that a change is a line in a diff. */
export function writeExpected(results: Results): void {
	const lines = [...results].map(([name, result]) => `\t${JSON.stringify(name)}: ${JSON.stringify(result)}`);
	writeFileSync(FILE, `{\n${lines.join(",\n")}\n}\n`);
}

/** What differs, a line for each side of each difference. */
export function diff(expected: Results, actual: Results): readonly string[] {
	const names = new Set([...expected.keys(), ...actual.keys()]);
	return [...names].flatMap((name) => {
		const [before, now] = [expected, actual].map((results) => JSON.stringify(results.get(name)));
		return before === now
			? []
			: [...(before === undefined ? [] : [`- ${name} ${before}`]), ...(now === undefined ? [] : [`+ ${name} ${now}`])];
	});
}
