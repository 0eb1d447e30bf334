/**
 * What a command needs of the process around it: where to write, and how it learns that it should stop. Commands know
 * this interface only.
 */
import { stripVTControlCharacters, styleText } from "node:util";

export type Tone = "aside" | "warning" | "error";

export interface Terminal {
	/** Results: what a pipe should get. One line, which the caller has made safe to show. */
	print(line: string): void;
	/** News for the person, never part of the results. It may quote a peer, so control characters are taken out. */
	note(text: string, tone?: Tone): void;
	/** Aborted by the first SIGINT or SIGTERM, and when nobody reads the results any more (`| head -1`). */
	readonly stopped: AbortSignal;
	/** Stops watching the process. */
	release(): void;
}

const COLOURS = { aside: "dim", warning: "yellow", error: "red" } as const satisfies Record<Tone, string>;

/** The real one. A second signal ends the process at once, with the exit code of a failure. */
export function openTerminal(): Terminal {
	const stop = new AbortController();
	const onSignal = (): void => {
		if (stop.signal.aborted) {
			process.exit(1);
		}
		stop.abort();
	};
	const onOutputError = (error: NodeJS.ErrnoException): void => {
		if (error.code !== "EPIPE") {
			throw error;
		}
		stop.abort();
	};
	process.on("SIGINT", onSignal);
	process.on("SIGTERM", onSignal);
	process.stdout.on("error", onOutputError);
	return {
		print: (line) => {
			if (process.stdout.writable) {
				process.stdout.write(`${line}\n`);
			}
		},
		note: (text, tone) => {
			const safe = withoutControls(text);
			const styled = tone === undefined ? safe : styleText(COLOURS[tone], safe, { stream: process.stderr });
			process.stderr.write(`${styled}\n`);
		},
		stopped: stop.signal,
		release: () => {
			process.off("SIGINT", onSignal);
			process.off("SIGTERM", onSignal);
		},
	};
}

/** A server's words must not drive the terminal that shows them. Line ends and tabs stay. */
function withoutControls(text: string): string {
	return stripVTControlCharacters(text).replace(/[^\P{Cc}\n\t]/gu, "�");
}
