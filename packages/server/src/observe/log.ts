/** Where the server says what happens to it. pino, console and most loggers fit behind it in a line. */
export interface Log {
	info(message: string, fields?: Readonly<Record<string, unknown>>): void;
	warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
	error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export const SILENT: Log = { info() {}, warn() {}, error() {} };
