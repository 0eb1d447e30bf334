/**
 * `tidewire sub URL CHANNEL…`: prints what happens on channels, one JSON object a line, in the shape of the enveloped
 * protocol: messages, and the gaps and resets between them. It goes on over reconnects until it is stopped; trouble is
 * told on the standard error output.
 */
import { once } from "node:events";
import { connect, type Gap, type Message } from "@tidewire/client";
import { Command } from "commander";
import { readUrl, refusalWords, tokenOption, troubleAt } from "../arguments.ts";
import { CliError } from "../error.ts";
import type { Terminal } from "../terminal.ts";
import { JsonText, verbatimJson, withMember } from "../verbatim-json.ts";

interface SubOptions {
	readonly token?: string;
}

export function subCommand(terminal: Terminal): Command {
	return new Command("sub")
		.description("print what is published to channels, one JSON object a line")
		.argument("<url>", "where the server is, such as ws://127.0.0.1:7400/connect", readUrl)
		.argument("<channel...>", "the channels")
		.addOption(tokenOption())
		.action((url: URL, channels: readonly string[], { token }: SubOptions) => sub(terminal, url, channels, token));
}

async function sub(
	terminal: Terminal,
	url: URL,
	channels: readonly string[],
	token: string | undefined,
): Promise<void> {
	const client = connect(url, {
		codec: verbatimJson,
		...(token === undefined ? {} : { token }),
		onError: (error) => terminal.note(`${error.message} (${error.code})`, "warning"),
	});
	const print = (value: object): void => terminal.print(JSON.stringify(value));
	const ended = new AbortController();
	client.on("state", (state, why) => {
		// Each new try repeats why the one before failed: said once.
		if (state !== "connecting") {
			terminal.note(why === undefined ? state : `${state}: ${troubleAt(url, why)}`, "aside");
		}
		// Refused for good, or closed below.
		if (state === "closed") {
			ended.abort();
		}
	});

	const open = new Set(channels);
	for (const name of new Set(channels)) {
		client.channel(name).subscribe((_data, message) => terminal.print(line(message)), {
			onGap: (gap) => print(gapEvent(name, gap)),
			onReset: ({ position, reason }) => print({ channel: name, event: "reset", position, reason }),
			onState: (state) => {
				if (state === "subscribed") {
					terminal.note(`listening to ${name}`, "aside");
				} else if (state === "ended" && open.delete(name) && open.size === 0) {
					ended.abort();
				}
			},
			onError: (error) => terminal.note(`${name}: ${refusalWords(error, token)}`, "warning"),
		});
	}

	const stop = AbortSignal.any([terminal.stopped, ended.signal]);
	if (!stop.aborted) {
		await once(stop, "abort");
	}
	await client.close();
	if (!terminal.stopped.aborted) {
		throw new CliError("failure", "nothing is left to listen to");
	}
}

/** In the shape of the wire, with the position in full and the data as its publisher wrote it. */
function line({ channel, offset, position, data, ...rest }: Message<unknown>): string {
	const envelope = { channel, offset, position, ...rest };
	if (data instanceof JsonText) {
		return withMember(envelope, "data", data);
	}
	return JSON.stringify(
		data instanceof Uint8Array
			? { ...envelope, data: Buffer.from(data).toString("base64"), encoding: "base64" }
			: { ...envelope, data },
	);
}

function gapEvent(channel: string, { from, to, reason }: Gap): object {
	return reason === "conflated"
		? { channel, event: "conflated", from, to }
		: { channel, event: "gap", from, to, reason };
}
