/**
 * `npm run bench`: what can be measured. `npm run bench:latency`, `npm run bench:fanout`: measures it.
 *
 *   --seconds N   --warm-up N   --rounds N   --clients N   --save (into bench/results/)
 */
import { parseArgs } from "node:util";
import * as fanout from "./fanout.ts";
import * as latency from "./latency.ts";
import { pinned } from "./process.ts";
import { printTable, save } from "./result.ts";

const SUBJECTS = { latency, fanout };

const LIST = `npm run bench:latency    publish to receipt with 100 clients: percentiles, CPU per delivery, beside ws
npm run bench:fanout     one message to 1,000 subscribers, alone and in bursts of 20: CPU per delivery, beside ws
npm run bench:websocket  the WebSocket engine: echo, handshakes, memory, beside ws (needs gcc)

Options of the first two, after "--": --seconds N --warm-up N --rounds N --clients N --save
`;

function number(given: string | undefined, otherwise: number): number {
	const value = given === undefined ? otherwise : Number(given);
	if (!(value > 0)) {
		throw new Error(`"${given}" is not a positive number`);
	}
	return value;
}

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		seconds: { type: "string" },
		"warm-up": { type: "string" },
		rounds: { type: "string" },
		clients: { type: "string" },
		save: { type: "boolean", default: false },
	},
});
const [name] = positionals;
const subject = name === undefined ? undefined : Object.entries(SUBJECTS).find(([known]) => known === name)?.[1];

if (subject === undefined) {
	process.stdout.write(LIST);
	process.exitCode = name === undefined ? 0 : 2;
} else {
	if (!pinned) {
		process.stdout.write("Not pinned: this needs two cores and taskset. Server and load disturb each other.\n");
	}
	const { defaults } = subject;
	const result = await subject.run({
		seconds: number(values.seconds, defaults.seconds),
		warmUp: number(values["warm-up"], defaults.warmUp),
		rounds: number(values.rounds, defaults.rounds),
		clients: number(values.clients, defaults.clients),
	});
	printTable(result.rows);
	if (result.disturbed !== undefined) {
		process.stdout.write(`\nDisturbed: ${result.disturbed}.\n`);
	}
	if (values.save) {
		process.stdout.write(`\nSaved: ${save(result)}\n`);
	}
}
