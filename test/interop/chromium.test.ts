/** Chromium's WebSocket, in a page that was served from loopback. */
import { chromium } from "playwright-core";
import { requires } from "../requires.ts";
import type { Heard, Program } from "./client.ts";
import { runCommand } from "./clients/standard.ts";
import { itTalksToTidewire } from "./scenario.ts";

/** Nothing that calls home, and nothing that a container lacks. */
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"];

const browserProgram = requires("chromium");

browserProgram.describe("Chromium", () => {
	itTalksToTidewire({ fragments: false, ping: false, refusal: false, page: true }, startPage);
});

/** A browser with one page; the browser ends with this process, too. */
async function startPage(origin: string): Promise<Program> {
	const browser = await chromium.launch({ executablePath: browserProgram.path, args: FLAGS });
	const page = await browser.newPage();
	let listener: (heard: Heard | undefined, reason: string) => void = () => {};
	await page.exposeFunction("say", (heard: Heard) => listener(heard, ""));
	await page.goto(origin);
	browser.on("disconnected", () => listener(undefined, "the browser is gone"));
	return {
		tell: (line) => {
			page.evaluate(`(${runCommand})(${JSON.stringify(line)}, say)`).catch((cause: unknown) => {
				listener(undefined, String(cause));
			});
		},
		listen: (given) => {
			listener = given;
		},
		stop: () => browser.close(),
	};
}
