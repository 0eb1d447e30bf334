/** The report's one error class: a result file that cannot be drawn from, with the file and the field. */

export type ReportErrorCode = "no_results" | "unreadable" | "malformed";

export class ReportError extends Error {
	readonly code: ReportErrorCode;

	constructor(code: ReportErrorCode, message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = "ReportError";
		this.code = code;
	}
}
