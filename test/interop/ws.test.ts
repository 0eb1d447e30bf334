/** The npm package `ws`. */
import { describe } from "vitest";
import { clientFile, startProgram } from "./program.ts";
import { itTalksToTidewire } from "./scenario.ts";

describe("ws", () => {
	itTalksToTidewire({ fragments: true, ping: true, refusal: true, page: false }, () =>
		startProgram(process.execPath, [clientFile("ws.ts")]),
	);
});
