/** How arguments that several commands take are read. What cannot be read is the caller's mistake. */
import { InvalidArgumentError, Option } from "commander";

export function readUrl(text: string): URL {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url === undefined || (url.protocol !== "ws:" && url.protocol !== "wss:")) {
		throw new InvalidArgumentError("It must be a ws:// or wss:// URL.");
	}
	return url;
}

/** From the environment too, because other users of the machine can read a command's arguments. */
export function tokenOption(): Option {
	return new Option("--token <token>", "the credential that the server asks for").env("TIDEWIRE_TOKEN");
}
