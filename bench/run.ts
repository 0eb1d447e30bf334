/**
 * `npm run bench`: measures every subject with every system that is here, prints tables and writes `results/`.
 * `npm run bench -- fanout memory`: these. `npm run bench -- --list`: what there is.
 *
 *   --quick             small numbers: whether it works, not what it costs
 *   --systems a,b       these systems only
 *   --rounds 3 …        any option of the subjects by its name (`--list` has them)
 *   --results FOLDER    where to write; default: bench/results, from which the report is drawn. --no-save: nowhere
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadAbsent } from "./load.ts";
import { pinned } from "./process.ts";
import { type Absent, type Measurement, printTable, save } from "./result.ts";
import type { Options, Subject } from "./subject.ts";
import { SUBJECTS } from "./subjects/index.ts";
import type { System } from "./systems/system.ts";

const RESULTS = join(import.meta.dirname, "results");

const { values, positionals } = parseArgs({
	allowPositionals: true,
	allowNegative: true,
	options: {
		list: { type: "boolean", default: false },
		quick: { type: "boolean", default: false },
		save: { type: "boolean", default: true },
		systems: { type: "string" },
		results: { type: "string", default: RESULTS },
		...Object.fromEntries(
			SUBJECTS.flatMap(({ defaults }) => Object.keys(defaults)).map((name) => [name, { type: "string" } as const]),
		),
	},
});
const given = values as Readonly<Record<string, string | boolean | undefined>>;

function fail(problem: string): never {
	process.stderr.write(`${problem}\n`);
	process.exit(2);
}

/** Those that were named on the command line; a name that is none is a mistake. */
function chosen<T extends { readonly name: string }>(all: readonly T[], names: readonly string[], what: string): T[] {
	for (const name of names) {
		if (!all.some((one) => one.name === name)) {
			fail(`no ${what} is called "${name}", but ${all.map((one) => `"${one.name}"`).join(", ")}`);
		}
	}
	return names.length === 0 ? [...all] : all.filter(({ name }) => names.includes(name));
}

function optionsOf({ defaults, quick }: Subject): Options {
	const own: Record<string, number> = { ...defaults, ...(values.quick ? quick : {}) };
	for (const name of Object.keys(own)) {
		const text = given[name];
		if (typeof text === "string") {
			own[name] = Number(text);
			if (!(own[name] >= 0)) {
				fail(`--${name} is "${text}", but must be a number`);
			}
		}
	}
	return own;
}

async function measure(subject: Subject): Promise<Measurement> {
	const absent: Absent[] = [];
	const wanted = subject.systems.filter((system) => chosenSystems.includes(system));
	const here = wanted.filter((system) => {
		const reason = system.absent();
		if (reason !== undefined) {
			absent.push({ system: system.name, reason });
		}
		return reason === undefined;
	});
	for (const { name } of subject.systems.filter((system) => !wanted.includes(system))) {
		absent.push({ system: name, reason: "left out by --systems" });
	}
	let systems: readonly System[] = here;
	return subject.run(optionsOf(subject), {
		get systems() {
			return systems;
		},
		absent,
		drop: (failed, reason) => {
			systems = systems.filter((system) => system !== failed);
			absent.push({ system: failed.name, reason: `failed: ${reason}` });
			process.exitCode = 1;
		},
		say: (text) => process.stderr.write(`  ${text}\n`),
	});
}

function print({ rows, goals, absent, disturbed }: Measurement): void {
	printTable(rows);
	process.stdout.write("\n");
	for (const { name, limit, atLeast, unit, figure, least, most, met } of goals) {
		const range = least === undefined || least === most ? "" : ` (${least}–${most})`;
		const result = met === null ? "not measured" : `${figure}${range} ${unit ?? ""}: ${met ? "met" : "missed"}`;
		process.stdout.write(`goal  ${name} ${atLeast ? "≥" : "≤"} ${limit} ${unit ?? ""}: ${result}\n`);
	}
	for (const { system, reason } of absent) {
		process.stdout.write(`absent  ${system}: ${reason}\n`);
	}
	if (disturbed !== undefined) {
		process.stdout.write(`disturbed  ${disturbed}\n`);
	}
}

const subjects = chosen(SUBJECTS, positionals, "subject");
const allSystems = [...new Set(SUBJECTS.flatMap(({ systems }) => systems))];
const chosenSystems = chosen(allSystems, values.systems?.split(",") ?? [], "system");

if (values.list) {
	for (const { name, title, defaults } of SUBJECTS) {
		const options = Object.entries(defaults).map(([option, value]) => `--${option} ${value}`);
		process.stdout.write(`npm run bench -- ${name.padEnd(14)} ${title}\n    ${options.join(" ")}\n`);
	}
	process.exit();
}
const missing = loadAbsent();
if (missing !== undefined) {
	process.stderr.write(`Nothing can be measured: ${missing}.\n`);
	process.exit(1);
}
if (!pinned) {
	process.stdout.write("Not pinned: this needs two cores and taskset. Server and load disturb each other.\n");
}
for (const subject of subjects) {
	process.stdout.write(`\n${subject.name}: ${subject.title}\n`);
	const measurement = await measure(subject);
	print(measurement);
	if (values.save) {
		process.stdout.write(`written  ${save(measurement, values.results)}\n`);
	}
}
if (values.save && values.results === RESULTS) {
	const report = join(import.meta.dirname, "report/run.ts");
	spawnSync(process.execPath, ["--conditions=tidewire-source", report], { stdio: "inherit" });
}
