/**
 * Programs that some tests need and a machine may lack: browsers, other languages' clients. `requires("chromium")` finds
 * one and gives a `describe` that runs where it is there and is skipped where it is not; the reason and the way to
 * install it become part of the title, so that every report names them. On CI (`CI` set) nothing is skipped: a missing
 * program fails its tests.
 *
 * It installs nothing; `.ci/run` does that for Debian.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, resolve } from "node:path";
import { describe, it } from "vitest";

interface Requirement {
	/** How somebody gets the program. */
	readonly install: string;
	/** Tried in this order; the first that passes its probe is used. */
	readonly candidates: readonly string[];
	/** Arguments that make a usable program exit with 0. */
	readonly probe: readonly string[];
	/** What the probe's standard output must match. */
	readonly expect?: RegExp;
}

const REQUIREMENTS = {
	chromium: {
		install: "apt-get install chromium, or set CHROMIUM to a browser's path",
		candidates: [process.env.CHROMIUM ?? "", "chromium", "chromium-browser", "google-chrome"],
		probe: ["--version"],
	},
	"python3-websockets": {
		install: "apt-get install python3-websockets",
		// Debian's package belongs to Debian's interpreter, which need not be the first on the path.
		candidates: ["/usr/bin/python3", "python3"],
		probe: ["-c", "import websockets"],
	},
	java: {
		install: "apt-get install default-jdk-headless",
		candidates: ["java"],
		// Tests run a single source file, which wants the compiler: a JRE does not do.
		probe: ["--list-modules"],
		expect: /^jdk\.compiler@/m,
	},
	curl: { install: "apt-get install curl", candidates: ["curl"], probe: ["--version"] },
} as const satisfies Record<string, Requirement>;

export type Program = keyof typeof REQUIREMENTS;

export interface Required {
	/** The program to start, as an absolute path. Empty where it is missing. */
	readonly path: string;
	/** vitest's `describe` for tests that need the program. */
	readonly describe: (title: string, tests: () => void) => void;
}

const found = new Map<Program, string>();

export function requires(program: Program): Required {
	const path = find(program);
	if (path !== "") {
		return { path, describe: (title, tests) => void describe(title, tests) };
	}
	const reason = `needs ${program}: ${REQUIREMENTS[program].install}`;
	if (process.env.CI) {
		return {
			path,
			describe: (title) =>
				void describe(title, () => {
					it(reason, () => {
						throw new Error(`${reason} (CI skips nothing)`);
					});
				}),
		};
	}
	return { path, describe: (title, tests) => void describe.skip(`${title} [${reason}]`, tests) };
}

function find(program: Program): string {
	const known = found.get(program);
	if (known !== undefined) {
		return known;
	}
	const { candidates } = REQUIREMENTS[program];
	const path = candidates.map(locate).find((candidate) => works(candidate, REQUIREMENTS[program])) ?? "";
	found.set(program, path);
	return path;
}

/** Where a name on the path is; some who start programs, such as Playwright, do not look. */
function locate(name: string): string {
	const places = (process.env.PATH ?? "").split(delimiter).map((folder) => resolve(folder, name));
	return name === "" ? "" : (places.find((place) => existsSync(place)) ?? name);
}

function works(candidate: string, { probe, expect }: Requirement): boolean {
	if (candidate === "") {
		return false;
	}
	const { status, stdout } = spawnSync(candidate, probe, { encoding: "utf8", timeout: 20_000 });
	return status === 0 && (expect === undefined || expect.test(stdout));
}
