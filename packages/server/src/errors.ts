/** What this package throws: its caller's mistakes, and what could not be done for the caller. */

export type ServerErrorCode =
	/** An option that cannot be meant. */
	| "bad_option"
	/** The server has been closed, or is closing. */
	| "closed"
	/** A channel's name or data that the contract does not allow. */
	| "invalid_data"
	/** The position asked for with `ifPosition` is not the present one. */
	| "conflict"
	/** More at once than this node takes. */
	| "limit_reached"
	/** It may succeed later: other nodes changed the state channel first, each time. */
	| "unavailable"
	/** The port or address cannot be listened on. */
	| "cannot_listen"
	/** A certificate or key that TLS cannot be spoken with. */
	| "bad_certificate";

export class ServerError extends Error {
	readonly code: ServerErrorCode;
	/** `invalid_data`: what is wrong where. */
	readonly issues: readonly { readonly message: string; readonly path: readonly (string | number)[] }[];

	/** `conflict`: the channel's present position. */
	readonly position: string | undefined;

	constructor(
		code: ServerErrorCode,
		message: string,
		options: ErrorOptions & { readonly issues?: ServerError["issues"]; readonly position?: string } = {},
	) {
		super(message, options);
		this.name = "ServerError";
		this.code = code;
		this.issues = options.issues ?? [];
		this.position = options.position;
	}
}
