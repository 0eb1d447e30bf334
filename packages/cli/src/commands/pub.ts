/** `tidewire pub URL CHANNEL JSON`: publishes one message and prints its position, such as `k3f9:42`. */
import { connect, TidewireError } from "@tidewire/client";
import { Command, InvalidArgumentError } from "commander";
import { readUrl, refusalWords, tokenOption, troubleAt } from "../arguments.ts";
import { CliError, wordsOf } from "../error.ts";
import type { Terminal } from "../terminal.ts";
import { JsonText, verbatimJson } from "../verbatim-json.ts";

/** How long a server that cannot be reached is waited for: a script that publishes wants an answer. */
const TIMEOUT_MS = 10_000;

interface PubOptions {
	readonly token?: string;
}

export function pubCommand(terminal: Terminal): Command {
	return new Command("pub")
		.description("publish one message and print its position")
		.argument("<url>", "where the server is, such as ws://127.0.0.1:7400/connect", readUrl)
		.argument("<channel>", "the channel")
		.argument("<json>", "the message's data", readData)
		.addOption(tokenOption())
		.action((url: URL, channel: string, data: JsonText, { token }: PubOptions) =>
			pub(terminal, url, channel, data, token),
		);
}

async function pub(
	terminal: Terminal,
	url: URL,
	channel: string,
	data: JsonText,
	token: string | undefined,
): Promise<void> {
	const client = connect(url, {
		codec: verbatimJson,
		requestTimeoutMs: TIMEOUT_MS,
		...(token === undefined ? {} : { token }),
		// Comes with the state, too, and with the publish: said once, below.
		onError: () => {},
	});
	// Why the connection failed says more than that the answer did not come in time.
	let trouble: TidewireError | undefined;
	client.on("state", (_state, why) => {
		trouble = why ?? trouble;
	});
	terminal.stopped.addEventListener("abort", () => void client.close(), { once: true });
	try {
		terminal.print(await client.channel(channel).publish(data));
	} catch (error) {
		const words = error instanceof TidewireError ? refusalWords(error, token) : wordsOf(error);
		throw new CliError("failure", trouble === undefined ? words : `${words}; ${troubleAt(url, trouble)}`, {
			cause: error,
		});
	} finally {
		await client.close();
	}
}

function readData(text: string): JsonText {
	try {
		return new JsonText(text);
	} catch (error) {
		throw new InvalidArgumentError(`It must be JSON: ${wordsOf(error)}.`);
	}
}
