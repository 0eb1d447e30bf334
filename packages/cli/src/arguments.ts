/**
 * How arguments that several commands take are read, and how they are named to the person. What cannot be read is the
 * caller's mistake.
 */
import type { TidewireError } from "@tidewire/client";
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

/** No close frame came: nothing listens there, or what does is no WebSocket endpoint, or the network failed. */
const ABNORMAL_CLOSURE = 1006;

/** Why a server is not reached. A runtime does not tell a refused connection from a refused handshake; the URL helps. */
export function troubleAt({ origin, pathname }: URL, { closeCode, message }: TidewireError): string {
	return closeCode === ABNORMAL_CLOSURE ? `no WebSocket connection to ${origin}${pathname}` : message;
}

/** A server's refusal. One that came because nobody was named says how to name somebody. */
export function refusalWords({ code, message }: Pick<TidewireError, "code" | "message">, token: unknown): string {
	const missing = code === "unauthenticated" && token === undefined;
	return `${message} (${code})${missing ? "; --token gives a credential" : ""}`;
}
