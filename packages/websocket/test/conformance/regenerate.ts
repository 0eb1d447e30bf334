/**
 * Plays the table and writes expected.json, after printing what changes:
 *
 *     node --conditions=tidewire-source packages/websocket/test/conformance/regenerate.ts
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { diff, playAll, type Results, readExpected, writeExpected } from "./results.ts";

const expected: Results = existsSync(join(import.meta.dirname, "expected.json")) ? readExpected() : new Map();
const actual = await playAll();
for (const line of diff(expected, actual)) {
	process.stdout.write(`${line}\n`);
}
writeExpected(actual);
const counts = Map.groupBy(actual.values(), (result) => result.behaviour);
const summary = [...counts].map(([behaviour, results]) => `${results.length} ${behaviour}`);
process.stdout.write(`${summary.join(", ")}\n`);
process.exitCode = counts.has("FAILED") || counts.has("NON-STRICT") ? 1 : 0;
