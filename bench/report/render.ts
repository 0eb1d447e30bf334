/** SVG to PNG, by the Chromium of this machine, twice as many dots as the picture has pixels. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";
import { WIDTH } from "./svg.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** On the path, under one of its names; `CHROMIUM` names another. */
export function findChromium(): string | undefined {
	const { CHROMIUM = "", PATH = "" } = process.env;
	const folders = PATH.split(delimiter).filter((folder) => folder !== "");
	const places = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
	return [CHROMIUM, ...places].find((path) => path !== "" && existsSync(path));
}

/** In the order of the pictures. `scheme`: what a dark page's reader would see, or a light one's. */
export async function renderPngs(
	executablePath: string,
	svgs: readonly string[],
	scheme: "light" | "dark" = "light",
): Promise<readonly Buffer[]> {
	const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
	try {
		const context = await browser.newContext({
			colorScheme: scheme,
			deviceScaleFactor: 2,
			viewport: { width: WIDTH, height: 600 },
		});
		const page = await context.newPage();
		const pngs: Buffer[] = [];
		for (const svg of svgs) {
			await page.setContent(`<body style="margin: 0; background: transparent">${svg}</body>`);
			pngs.push(await page.locator("svg").screenshot({ omitBackground: true }));
		}
		return pngs;
	} finally {
		await browser.close();
	}
}
