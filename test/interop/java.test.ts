/** The WebSocket of Java's own `HttpClient`. */
import { requires } from "../requires.ts";
import { clientFile, startProgram } from "./program.ts";
import { itTalksToTidewire } from "./scenario.ts";

const java = requires("java");

java.describe("Java's HttpClient WebSocket", () => {
	itTalksToTidewire({ fragments: true, ping: true, refusal: true, page: false }, () =>
		// Quick to start rather than quick: the first compiler is enough.
		startProgram(java.path, ["-XX:TieredStopAtLevel=1", clientFile("HttpClientWebSocket.java")]),
	);
});
