/** Who speaks on a connection. */

/** What `authenticate` returns: the application's own object, with the user's id. */
export interface User {
	readonly id: string;
}

/** `full`: the holder of the API key, or anybody under `--dev`; permissions are not asked. */
export interface Caller {
	readonly user: User | null;
	readonly full: boolean;
	/** Whether credentials have been accepted, or none are needed. Until then only `auth` and `ping` are performed. */
	readonly admitted: boolean;
}

export const ANONYMOUS: Caller = { user: null, full: false, admitted: true };
export const WAITING: Caller = { user: null, full: false, admitted: false };
/** Waiting as well, but a token has been shown, of which nobody could say yet whose it is. */
export const SHOWN: Caller = { user: null, full: false, admitted: false };
export const FULL: Caller = { user: null, full: true, admitted: true };
