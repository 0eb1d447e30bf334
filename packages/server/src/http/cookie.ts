/** Cookies of a request (RFC 6265 §5.4), by name. The first of a name counts: browsers send the most specific first. */
export function readCookies(header: string | undefined): Readonly<Record<string, string>> {
	const cookies: Record<string, string> = Object.create(null);
	for (const pair of (header ?? "").split(";")) {
		const at = pair.indexOf("=");
		const name = pair.slice(0, Math.max(at, 0)).trim();
		if (name !== "") {
			cookies[name] ??= pair.slice(at + 1).trim();
		}
	}
	return cookies;
}
