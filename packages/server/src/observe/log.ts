/** Where the server says what happens to it: the application's log, the console, or nowhere. */
import { inspect } from "node:util";

/** pino, console and most loggers fit behind it in a line. What failed is in `fields.cause`. */
export interface Log {
	info(message: string, fields?: Readonly<Record<string, unknown>>): void;
	warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
	error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Says nothing. */
export const SILENT: Log = { info() {}, warn() {}, error() {} };

/** Warnings and errors to the console, which is stderr, in one line each with the stack of what failed. */
export const CONSOLE: Log = {
	info() {},
	warn: (message, fields) => console.warn(line("warning", message, fields)),
	error: (message, fields) => console.error(line("error", message, fields)),
};

function line(level: string, message: string, fields: Readonly<Record<string, unknown>> = {}): string {
	// What was thrown may be anything: this reads cycles and big integers too, and runs no code of the object's.
	const details = inspect(fields, { breakLength: Number.POSITIVE_INFINITY, compact: true, customInspect: false });
	const text = `tidewire ${level}: ${message}${details === "{}" ? "" : ` ${details}`}`;
	// Words of a peer may be in it: they start no line of their own, and do not drive the terminal.
	return text.replace(/\p{Cc}/gu, (character) => (character === "\n" ? "\\n" : "\ufffd"));
}
