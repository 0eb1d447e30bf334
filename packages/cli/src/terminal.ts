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
	/**
	 * What is being done right now, for the person: on a terminal a line that the next one replaces, elsewhere a line now
	 * and then. Undefined: it is done.
	 */
	progress(text: string | undefined): void;
	/** Aborted by the first SIGINT or SIGTERM, and when nobody reads the results any more (`| head -1`). */
	readonly stopped: AbortSignal;
	/** Calls this at each SIGHUP, which otherwise ends the process. */
	onHangUp(listener: () => void): void;
	/** Stops watching the process. */
	release(): void;
}

const COLOURS = { aside: "dim", warning: "yellow", error: "red" } as const satisfies Record<Tone, string>;

/**
 * One Ctrl-C under npm or npx arrives twice: the terminal sends it to all, and npm passes its own on. So a SIGINT that
 * comes so soon after the first signal is the same one.
 */
const SAME_PRESS_MS = 500;

/** Elsewhere than on a terminal a line of progress stays, so there are fewer of them. */
const PROGRESS_EVERY_MS = 5_000;
const CLEAR_LINE = "\r\u001b[2K";

/** The real one. A second signal ends the process at once, with the exit code of a failure. */
export function openTerminal(): Terminal {
	const stop = new AbortController();
	let firstAt = Number.POSITIVE_INFINITY;
	const onSignal = (signal: NodeJS.Signals): void => {
		if (firstAt === Number.POSITIVE_INFINITY) {
			firstAt = performance.now();
			stop.abort();
		} else if (signal !== "SIGINT" || performance.now() - firstAt > SAME_PRESS_MS) {
			process.exit(1);
		}
	};
	const onOutputError = (error: NodeJS.ErrnoException): void => {
		if (error.code !== "EPIPE") {
			throw error;
		}
		stop.abort();
	};
	const hangUpListeners: (() => void)[] = [];
	process.on("SIGINT", onSignal);
	process.on("SIGTERM", onSignal);
	process.stdout.on("error", onOutputError);
	const { isTTY } = process.stderr;
	let progressShown = false;
	let progressAt = Number.NEGATIVE_INFINITY;
	const clearProgress = (): void => {
		if (progressShown) {
			process.stderr.write(CLEAR_LINE);
			progressShown = false;
		}
	};
	return {
		print: (line) => {
			clearProgress();
			if (process.stdout.writable) {
				process.stdout.write(`${line}\n`);
			}
		},
		note: (text, tone) => {
			clearProgress();
			const safe = withoutControls(text);
			const styled = tone === undefined ? safe : styleText(COLOURS[tone], safe, { stream: process.stderr });
			process.stderr.write(`${styled}\n`);
		},
		progress: (text) => {
			clearProgress();
			if (text !== undefined && isTTY) {
				// Cut, because what wraps would not be cleared.
				const cut = withoutControls(text).slice(0, (process.stderr.columns || 80) - 1);
				process.stderr.write(styleText(COLOURS.aside, cut, { stream: process.stderr }));
				progressShown = true;
			} else if (text !== undefined && performance.now() - progressAt >= PROGRESS_EVERY_MS) {
				progressAt = performance.now();
				process.stderr.write(`${withoutControls(text)}\n`);
			}
		},
		stopped: stop.signal,
		onHangUp: (listener) => {
			hangUpListeners.push(listener);
			process.on("SIGHUP", listener);
		},
		release: () => {
			for (const listener of hangUpListeners) {
				process.off("SIGHUP", listener);
			}
			process.off("SIGINT", onSignal);
			process.off("SIGTERM", onSignal);
		},
	};
}

/** A server's words must not drive the terminal that shows them. Line ends and tabs stay. */
function withoutControls(text: string): string {
	return stripVTControlCharacters(text).replace(/[^\P{Cc}\n\t]/gu, "�");
}
