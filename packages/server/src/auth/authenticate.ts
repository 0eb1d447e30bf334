/**
 * From credentials to a caller. Where credentials come from is the transport's business; whether they are good is the
 * application's, or the API key's.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { ResolvedOptions } from "../options.ts";
import { Refusal } from "../refusal.ts";
import { ANONYMOUS, type Caller, FULL } from "./caller.ts";
import type { Credentials } from "./credentials.ts";

/**
 * Who these credentials belong to, or undefined for nobody. Where `authenticate` throws, it is not known: that is logged,
 * and a `Refusal` (`unavailable`), since a client that is told "nobody" does not come back.
 */
export async function authenticate(options: ResolvedOptions, credentials: Credentials): Promise<Caller | undefined> {
	const { token } = credentials;
	if (options.apiKey !== undefined && token !== undefined && sameSecret(token, options.apiKey)) {
		return FULL;
	}
	if (options.authenticate === undefined) {
		if (options.dev) {
			return FULL;
		}
		return token === undefined ? ANONYMOUS : undefined;
	}
	try {
		const user = await options.authenticate(credentials);
		if (user === null || user === undefined) {
			return undefined;
		}
		if (typeof user.id !== "string" || user.id === "") {
			options.log.error("authenticate returned a user whose id is no string, or empty; refused");
			return undefined;
		}
		return { user, full: options.dev, admitted: true };
	} catch (cause) {
		options.log.error("authenticate threw; the client is asked to come back", { cause });
		throw new Refusal("unavailable", "the server cannot tell at present whose credentials these are");
	}
}

/** In constant time: both are hashed, so that not even the length tells. */
function sameSecret(a: string, b: string): boolean {
	return timingSafeEqual(createHash("sha256").update(a).digest(), createHash("sha256").update(b).digest());
}
