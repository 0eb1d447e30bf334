/** Python's `websockets`. */
import { requires } from "../requires.ts";
import { clientFile, startProgram } from "./program.ts";
import { itTalksToTidewire } from "./scenario.ts";

const python = requires("python3-websockets");

python.describe("Python's websockets", () => {
	itTalksToTidewire({ fragments: true, ping: true, refusal: true, page: false }, () =>
		startProgram(python.path, [clientFile("websockets_client.py")]),
	);
});
