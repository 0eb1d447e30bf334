/** The report is a pure function of the results; what cannot be drawn from is refused by file and field. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { requires } from "../../test/requires.ts";
import type { Goal, Result } from "../result.ts";
import { linearAxis, logAxis, spansDecades } from "./axis.ts";
import { drawBars } from "./bar-chart.ts";
import { partsOf } from "./goal-chart.ts";
import { drawLines } from "./line-chart.ts";
import { reportOf } from "./page.ts";
import { picturesOf } from "./pictures.ts";
import { parseResult, readResults } from "./result-file.ts";
import { SAMPLE } from "./sample.ts";
import { widthOf, wrapped, written } from "./svg.ts";

const { page, pictures } = reportOf(SAMPLE, { png: true });
const svgOf = (name: string): string => pictures.find((picture) => picture.name === name)?.svg ?? "";

function newFolder(): string {
	const folder = mkdtempSync(join(tmpdir(), "tidewire-report-"));
	onTestFinished(() => rmSync(folder, { recursive: true }));
	return folder;
}

describe("the page", () => {
	it("has a row for each goal, with its figure and whether it was met", () => {
		expect(page).toContain("| [fanout](#fanout) | 1 message a turn: CPU of ws | ≤ 0.9 | 0.86 (0.82–0.91) | met * |");
		expect(page).toContain("| 1 message a turn: user CPU of ws | ≤ 0.6 | 0.74 (0.7–0.8) | **missed** * |");
		expect(page).toContain("| bursts of 20: CPU of Centrifugo | ≤ 0.5 | – | not measured * |");
		expect(page).toContain("| resident memory added | ≤ 40 MB | 23.4 MB | met |");
		expect(page).toContain("| healthy readers that got everything | ≥ 100 % | 100 % | met |");
		const goals = SAMPLE.flatMap((result) => result.goals);
		expect(page.match(/^\| \[\w+\]\(#\w+\) \|/gm)).toHaveLength(goals.length);
	});

	it("names every system that is absent, once, with the reason and the subjects", () => {
		expect(page.match(/no binary here/g)).toHaveLength(1);
		expect(page).toContain("| Centrifugo | no binary here &lt;and no package> | fanout, stalled |");
	});

	it("says which runs were disturbed, and by what", () => {
		expect(page).toContain("\\* The run was disturbed by something else on the machine; its chapter says by what.");
		expect(page).toContain("> Disturbed: server or load stood in line");
	});

	it("says the machine once where it is the same for all, and by subject where it is not", () => {
		expect(page).toMatch(/^Machine: AMD EPYC, 2 cores, .*; 2026-01-31\.$/m);
		const [first, ...rest] = SAMPLE;
		const two = reportOf([{ ...first!, machine: { ...first!.machine, node: "v26.0.0" } }, ...rest], { png: false });
		expect(two.page).toMatch(/^- fanout: .*Node v26\.0\.0/m);
		expect(two.page).toMatch(/^- scale, stalled: .*Node v24/m);
	});

	it("has a table for each subject, the spread in one cell, and all columns behind it", () => {
		expect(page).toContain("| 1 message a turn | **tidewire** | 0 | 8.9 (8.5–9.6) | 0.86 |");
		expect(page).toContain("| case | system | deliveries | lost | cpu µs | least | most | user µs | cpu / ws |");
	});

	it("shows every picture, linked to its PNG where there is one", () => {
		for (const { name } of pictures) {
			expect(page).toContain(`](pictures/${name}.svg)](pictures/${name}.png)`);
		}
		expect(reportOf(SAMPLE, { png: false }).page).not.toContain(".png");
	});

	it("is the same when it is made again", () => {
		expect(reportOf(SAMPLE, { png: true })).toEqual({ page, pictures });
	});
});

describe("the pictures", () => {
	it("are bars by system, lines for series of one graph, and all goals", () => {
		expect(pictures.map(({ name }) => name)).toEqual([
			"goals",
			"fanout-cpu-us",
			"scale-cpu-per-delivery-by-subscribers",
			"stalled-p99-ms-with-100-of-1-000-stalled",
			"stalled-peak-mb-100-of-1-000-stalled",
			"stalled-100-of-1-000-stalled",
		]);
	});

	it("are well-formed, say their units, and describe themselves to those who do not see them", () => {
		for (const { svg, title } of pictures) {
			expect(svg.match(/<(text|title|desc|style|svg)\b/g)?.length).toBe(
				svg.match(/<\/(text|title|desc|style|svg)>/g)?.length,
			);
			expect(svg).toContain(`<title>${title}</title>`);
			expect(svg).not.toMatch(/NaN|undefined|Infinity/);
		}
		expect(svgOf("fanout-cpu-us")).toContain(">server CPU, µs per delivery</text>");
		expect(svgOf("fanout-cpu-us")).toContain("tidewire 8.9, ws 10.3");
		expect(svgOf("stalled-100-of-1-000-stalled")).toMatch(/>MB<\/text>.*>seconds<\/text>/s);
	});

	it("have colours for dark pages, too", () => {
		expect(svgOf("goals")).toContain("@media (prefers-color-scheme: dark)");
	});

	it("draw spreads as whiskers", () => {
		expect(svgOf("fanout-cpu-us").match(/class="whisker line-ink"/g)).toHaveLength(8);
	});

	it("escape what others have named", () => {
		const svg = drawBars({
			title: "<b> & co",
			unit: "µs",
			groups: [{ label: "", bars: [{ label: '"x" <y>', value: 1, marked: false }] }],
		});
		expect(svg).toContain("<title>&lt;b&gt; &amp; co</title>");
		expect(svg).toContain(">&quot;x&quot; &lt;y&gt;</text>");
	});

	it("say what was not measured instead of drawing it", () => {
		const bars = [
			{ label: "a", value: null, marked: false },
			{ label: "b", value: 2, marked: true },
		];
		expect(drawBars({ title: "", unit: "", groups: [{ label: "", bars }] })).toContain(">not measured</text>");
	});

	it("stand zeros: a line and bars without height", () => {
		const zero = { name: "a", x: [0, 1], y: [0, 0], marked: true };
		const chart = { title: "", subtitle: "", xLabel: "seconds", yUnit: "MB", lines: [zero] };
		expect(drawLines(chart)).not.toContain("NaN");
		const bars = [{ label: "a", value: 0, least: 0, most: 0, marked: true }];
		expect(drawBars({ title: "", unit: "", groups: [{ label: "", bars }] })).not.toContain("NaN");
	});

	it("give cases that lie an order of magnitude apart an axis each", () => {
		const result: Result = {
			...SAMPLE[0]!,
			rows: [
				{ system: "tidewire", case: "alone", "cpu µs": 10 },
				{ system: "tidewire", case: "in bursts", "cpu µs": 0.5 },
			],
		};
		expect(picturesOf(result).map(({ name }) => name)).toEqual(["fanout-cpu-us-alone", "fanout-cpu-us-in-bursts"]);
	});

	it("take several rows of a system and case for its rounds", () => {
		const rows = [3, 1, 2].map((peak) => ({ system: "tidewire", case: "a", "peak MB": peak }));
		const [picture] = picturesOf({ ...SAMPLE[0]!, subject: "stalled", rows });
		expect(picture?.svg).toContain("tidewire 2");
		expect(picture?.svg.match(/class="whisker line-ink"/g)).toHaveLength(1);
	});

	it("of a subject that is new here draw the column that has a spread", () => {
		const rows = [{ system: "tidewire", case: "a", runs: 7, "turns/s": 40, least: 30, most: 50 }];
		expect(picturesOf({ ...SAMPLE[0]!, subject: "new", rows })[0]?.name).toBe("new-turns-s-a");
	});
});

describe("a goal as a part of its limit", () => {
	const goal: Goal = { name: "a", limit: 0.5, figure: 0.25, least: 0.2, most: 1, met: true };

	it("is below 1 where it is met", () => {
		expect(partsOf(goal)).toEqual({ figure: 0.5, least: 0.4, most: 2 });
	});

	it("is so where the figure is to be at least the limit, too", () => {
		expect(partsOf({ ...goal, limit: 100, figure: 200, atLeast: true }).figure).toBe(0.5);
	});
});

describe("axes and words", () => {
	it("mark steps of 1, 2 or 5", () => {
		expect(linearAxis(10.3).ticks).toEqual([0, 2, 4, 6, 8, 10, 12]);
		expect(linearAxis(0.3, 3).ticks).toEqual([0, 0.1, 0.2, 0.3]);
		expect(linearAxis(10.3, 6, true).ticks).toEqual([0, 2, 4, 6, 8, 10]);
		expect(linearAxis(10, 6, true).place(10)).toBe(1);
		expect(logAxis(0.06, 3).ticks).toEqual([0.05, 0.1, 0.2, 0.5, 1, 2, 5]);
		expect(logAxis(10, 18_000).ticks).toEqual([10, 100, 1_000, 10_000]);
		expect(logAxis(1, 100).place(10)).toBeCloseTo(0.5);
	});

	it("are logarithmic where values lie decades apart", () => {
		expect([spansDecades([10, 18_000]), spansDecades([10, 100]), spansDecades([0, 1_000])]).toEqual([
			true,
			false,
			false,
		]);
	});

	it("write three digits, or all before the point", () => {
		expect([0.05714, 10.34, 12_345.6, 0, -3].map(written)).toEqual(["0.0571", "10.3", "12,346", "0", "-3"]);
	});

	it("break long names between words", () => {
		const lines = wrapped("all stalled: growth from the second third of the time to the last", 200);
		expect(lines.length).toBeGreaterThan(1);
		expect(lines.every((part) => widthOf(part) <= 200)).toBe(true);
		expect(lines.join(" ")).toBe("all stalled: growth from the second third of the time to the last");
	});
});

describe("a result file", () => {
	const sound = SAMPLE[0]!;
	const parse = (change: object): Result => parseResult("fanout.json", JSON.stringify({ ...sound, ...change }));

	it("is read as it was written", () => {
		for (const result of SAMPLE) {
			expect(parseResult("x.json", JSON.stringify(result))).toEqual(result);
		}
	});

	it.each<[string, object, string]>([
		["goals missing", { goals: undefined }, "goals is missing, it must be a list"],
		["a date that is a number", { date: 2026 }, "date is 2026, it must be a text"],
		[
			"a goal without a limit",
			{ goals: [{ name: "a", figure: 1, met: true }] },
			"goals[0].limit is missing, it must be a number",
		],
		[
			"a verdict in words",
			{ goals: [{ ...sound.goals[0]!, met: "yes" }] },
			'goals[0].met is "yes", it must be true, false or null',
		],
		["a row of the old shape", { rows: [{ server: "ws", case: "a" }] }, "rows[0].system is missing, it must be a text"],
		[
			"a cell that is a list",
			{ rows: [{ system: "ws", case: "a", p99: [1] }] },
			"rows[0].p99 is [1], it must be a text, a number or null",
		],
		[
			"a series cut short",
			{ series: [{ name: "a", unit: "MB", x: [1, 2], y: [1] }] },
			"series[0].y is [1], it must be as many numbers as x, which has 2",
		],
		[
			"an absence without a reason",
			{ absent: [{ system: "nchan" }] },
			"absent[0].reason is missing, it must be a text",
		],
	])("with %s is refused by its name and the field's", (_what, change, words) => {
		expect(() => parse(change)).toThrow(`fanout.json: ${words}`);
	});

	it("that is no JSON, or no object, is refused by its name", () => {
		expect(() => parseResult("a.json", "{")).toThrow("a.json is no JSON");
		expect(() => parseResult("a.json", "[]")).toThrow("a.json: the file is [], it must be an object");
	});

	it("is looked for in a folder, whose other files do not matter", () => {
		const folder = newFolder();
		expect(() => readResults(join(folder, "nowhere"))).toThrow(/there is no folder .*nowhere: npm run bench makes one/);
		expect(() => readResults(folder)).toThrow(/holds no result/);
		writeFileSync(join(folder, "websocket.json"), "{}");
		writeFileSync(join(folder, "notes.txt"), "");
		for (const subject of ["another", "stalled", "fanout"]) {
			writeFileSync(join(folder, `${subject}.json`), JSON.stringify({ ...sound, subject }));
		}
		expect(readResults(folder).map(({ subject }) => subject)).toEqual(["fanout", "stalled", "another"]);
	});
});

describe("npm run bench:report", () => {
	const report = (...args: readonly string[]) => {
		const program = join(import.meta.dirname, "run.ts");
		return spawnSync(process.execPath, ["--conditions=tidewire-source", program, ...args], { encoding: "utf8" });
	};

	it("fails where a result is malformed, and names it", () => {
		const folder = newFolder();
		writeFileSync(join(folder, "fanout.json"), '{"subject":"fanout"}');
		const { status, stderr } = report("--results", folder, "--out", folder);
		expect(stderr).toMatch(/^bench:report: .*fanout\.json: date is missing, it must be a text$/m);
		expect(status).toBe(1);
		expect(existsSync(join(folder, "README.md"))).toBe(false);
	});

	requires("chromium").describe("with a browser", () => {
		it("writes the page and each picture as SVG and PNG, and removes those of subjects that are gone", {
			timeout: 60_000,
		}, () => {
			const folder = newFolder();
			for (const result of SAMPLE) {
				writeFileSync(join(folder, `${result.subject}.json`), JSON.stringify(result));
			}
			mkdirSync(join(folder, "out/pictures"), { recursive: true });
			writeFileSync(join(folder, "out/pictures/gone.svg"), "");
			const { status, stdout, stderr } = report("--results", folder, "--out", join(folder, "out"));
			expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
			expect(stdout).toMatch(/: 3 subjects, 6 pictures; goals: 7 met, 1 missed, 1 not measured$/m);
			expect(readdirSync(join(folder, "out/pictures"))).toEqual(
				pictures.flatMap(({ name }) => [`${name}.png`, `${name}.svg`]).toSorted(),
			);
			const png = readFileSync(join(folder, "out/pictures/goals.png"));
			expect(png.subarray(1, 4).toString()).toBe("PNG");
			// Twice the picture's 880 pixels.
			expect(png.readUInt32BE(16)).toBe(1_760);
		});
	});
});
