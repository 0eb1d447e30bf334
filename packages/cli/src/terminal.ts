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
