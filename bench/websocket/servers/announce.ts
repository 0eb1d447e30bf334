/**
 * What every measured server does besides echoing: it says its port, and collects its garbage when it is told to, so
 * that memory is compared at rest.
 */

/** Whether this run is the one with permessage-deflate. */
export const compressed: boolean = process.argv.includes("deflate");

/** From how many bytes on every server compresses: what this project has as its default. */
export const THRESHOLD = 64;

/** `collect`: a full garbage collection. */
export function announce(port: number, collect: (() => void) | undefined): void {
	process.stdin.on("data", () => {
		collect?.();
		collect?.();
		process.stdout.write("collected\n");
	});
	// The bench is gone, however it went.
	process.stdin.on("end", () => process.exit());
	process.stdout.write(`port ${port}\n`);
}
