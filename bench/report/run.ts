/**
 * `npm run bench:report`: draws the report from the results.
 *
 *   --results FOLDER (bench/results)   --out FOLDER (bench/report)   --dark (PNGs as on a dark page)
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { reportOf } from "./page.ts";
import { findChromium, renderPngs } from "./render.ts";
import { ReportError } from "./report-error.ts";
import { readResults } from "./result-file.ts";

async function main(): Promise<void> {
	const { values } = parseArgs({
		options: { results: { type: "string" }, out: { type: "string" }, dark: { type: "boolean" } },
	});
	const out = values.out ?? import.meta.dirname;
	const results = readResults(values.results ?? join(import.meta.dirname, "../results"));
	const chromium = findChromium();
	const { page, pictures } = reportOf(results, { png: chromium !== undefined });
	const folder = join(out, "pictures");
	mkdirSync(folder, { recursive: true });
	// Pictures of subjects that are gone must not stay.
	for (const name of readdirSync(folder).filter((file) => /\.(svg|png)$/.test(file))) {
		rmSync(join(folder, name));
	}
	writeFileSync(join(out, "README.md"), page);
	for (const { name, svg } of pictures) {
		writeFileSync(join(folder, `${name}.svg`), svg);
	}
	if (chromium === undefined) {
		process.stderr.write("PNGs were skipped: there is no Chromium here (CHROMIUM=path names one)\n");
	} else {
		const scheme = values.dark === true ? "dark" : "light";
		const pngs = await renderPngs(
			chromium,
			pictures.map(({ svg }) => svg),
			scheme,
		);
		for (const [index, png] of pngs.entries()) {
			writeFileSync(join(folder, `${pictures[index]!.name}.png`), png);
		}
	}
	const goals = results.flatMap((result) => result.goals);
	const count = (met: boolean | null): number => goals.filter((goal) => goal.met === met).length;
	process.stdout.write(
		`${relative(process.cwd(), join(out, "README.md"))}: ${results.length} subjects, ${pictures.length} pictures; ` +
			`goals: ${count(true)} met, ${count(false)} missed, ${count(null)} not measured\n`,
	);
}

try {
	await main();
} catch (error) {
	process.stderr.write(`bench:report: ${error instanceof Error ? error.message : String(error)}\n`);
	process.exitCode = error instanceof ReportError ? 1 : 2;
}
