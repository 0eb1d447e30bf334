/** The one error class of the command line: what is said to the person, and the exit code that goes with it. */

/** The exit codes of every command. */
export const EXIT = { clean: 0, failure: 1, usage: 2 } as const;

/** `usage`: the command was called wrongly and did nothing. `failure`: it was called rightly and did not succeed. */
export type CliErrorCode = "usage" | "failure";

export class CliError extends Error {
	readonly code: CliErrorCode;

	constructor(code: CliErrorCode, message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = "CliError";
		this.code = code;
	}
}

/** An error's words without its stack; whatever else was thrown, as text. */
export function wordsOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
