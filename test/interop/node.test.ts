/** Node's own `WebSocket`. */
import { describe } from "vitest";
import { clientFile, startProgram } from "./program.ts";
import { itTalksToTidewire } from "./scenario.ts";

describe("Node's own WebSocket", () => {
	itTalksToTidewire({ fragments: false, ping: false, refusal: false, page: false }, () =>
		startProgram(process.execPath, [clientFile("own.ts")]),
	);
});
