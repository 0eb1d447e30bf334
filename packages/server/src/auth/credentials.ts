/** What a client shows to be somebody. */
import type { IncomingHttpHeaders } from "node:http";

/** What a client showed. Of an `auth` message there is only the token. */
export interface Credentials {
	/** From `Authorization: Bearer`, `?token=` or an `auth` message. */
	readonly token: string | undefined;
	/** Cookies by name; empty unless the request came from a page of an allowed origin. */
	readonly cookies: Readonly<Record<string, string>>;
	/** The upgrade request's, without `cookie`. */
	readonly headers: IncomingHttpHeaders;
	/** The parameters of the route that the connection came by. */
	readonly params: Readonly<Record<string, string>>;
	readonly remoteAddress: string | undefined;
}
